//! Exceptions for single weights, by name.

use serde::{Deserialize, Serialize};

/// What is done differently where a name matches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rule {
    /// A node's or a weight's name, in which `*` stands for any characters and `?` for one.
    pub matches: String,
    /// Leave what matches as it is.
    #[serde(default)]
    pub keep_float: bool,
}

/// The first rule that matches one of the names.
pub(super) fn first_match<'a>(rules: &'a [Rule], names: &[&str]) -> Option<&'a Rule> {
    rules.iter().find(|rule| names.iter().any(|name| matches(rule.matches.as_bytes(), name.as_bytes())))
}

/// Whether a name fits a pattern; time grows with the product of their lengths.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut place) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while place < name.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at + 1, place));
                at += 1;
            }
            Some(wanted) if *wanted == b'?' || *wanted == name[place] => {
                at += 1;
                place += 1;
            }
            _ => {
                let Some((after, tried)) = star else { return false };
                star = Some((after, tried + 1));
                at = after;
                place = tried + 1;
            }
        }
    }
    pattern[at..].iter().all(|rest| *rest == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks_stand_for_characters() {
        let fits = |pattern: &str, name: &str| matches(pattern.as_bytes(), name.as_bytes());
        for (pattern, name) in [
            ("*", ""),
            ("/head/*", "/head/MatMul"),
            ("a?c", "abc"),
            ("*weight", "a.weight.weight"),
            ("a*b*c", "a1b2b3c"),
        ] {
            assert!(fits(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in
            [("", "a"), ("/head/*", "head/x"), ("a?c", "ac"), ("*weight", "weights"), ("a*b", "ba")]
        {
            assert!(!fits(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn the_first_rule_that_matches_counts() {
        let rule = |matches: &str, keep_float| Rule { matches: matches.to_owned(), keep_float };
        let rules = [rule("/head/last", false), rule("/head/*", true)];
        assert_eq!(first_match(&rules, &["/head/last"]), Some(&rules[0]));
        assert_eq!(first_match(&rules, &["/body", "/head/first"]), Some(&rules[1]));
        assert_eq!(first_match(&rules, &["/body"]), None);
    }
}
