//! Exceptions for single weights, by name.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use slipway_model::onnx::proto::{GraphProto, ModelProto};

use super::QuantizeError;
use super::near::nearest;
use crate::graph::{Scopes, node_name};

/// What is done differently where a name matches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rule {
    /// A node's or a weight's name, in which `*` stands for any characters and `?` for one.
    #[serde(rename = "match")]
    pub matches: String,
    /// Leave what matches as it is.
    #[serde(default)]
    pub keep_float: bool,
}

impl Rule {
    /// The longest pattern that a stage takes.
    const LONGEST: usize = 256;

    /// Keeps what has a name; of a name that is longer than a pattern may be, all that begin alike.
    pub fn keep_float(name: &str) -> Self {
        let matches = if name.chars().count() > Self::LONGEST {
            name.chars().take(Self::LONGEST - 1).chain(['*']).collect()
        } else {
            name.to_owned()
        };
        Self { matches, keep_float: true }
    }
}

/// The first rule that matches one of the names.
pub(super) fn first_match<'a>(rules: &'a [Rule], names: &[&str]) -> Option<&'a Rule> {
    rules.iter().find(|rule| names.iter().any(|name| matches(rule.matches.as_bytes(), name.as_bytes())))
}

/// Refuses a rule that names nothing, which is a slip of the pen and would leave in silence what it was written for.
///
/// It is enough that an operator or a constant of that name is there: whether the method would have
/// changed it does not matter, so that the same rules serve every method.
pub(super) fn refuse_unmatched(rules: &[Rule], model: &ModelProto) -> Result<(), QuantizeError> {
    let Some(graph) = model.graph.as_ref().filter(|_| !rules.is_empty()) else { return Ok(()) };
    let names = names(model, graph);
    let fits = |rule: &Rule| names.iter().any(|name| matches(rule.matches.as_bytes(), name.as_bytes()));
    match rules.iter().find(|rule| !fits(rule)) {
        None => Ok(()),
        Some(rule) => Err(QuantizeError::NoMatch {
            rule: rule.matches.clone(),
            near: nearest(&rule.matches, names.iter().copied()),
        }),
    }
}

/// What a rule can name: operators, initializers, and values that are constants.
fn names<'a>(model: &'a ModelProto, graph: &'a GraphProto) -> BTreeSet<&'a str> {
    let scopes = Scopes::of(graph);
    let mut names: BTreeSet<&str> =
        model.functions.iter().flat_map(|function| &function.node).map(node_name).collect();
    for (id, graph) in scopes.graphs() {
        names.extend(graph.initializer.iter().map(slipway_model::onnx::proto::TensorProto::name));
        for node in &graph.node {
            names.insert(node_name(node));
            let is_constant = |input: &&String| scopes.behind(id, input).is_some();
            names.extend(node.input.iter().filter(is_constant).map(String::as_str));
        }
    }
    names.remove("");
    names
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

    #[test]
    fn a_rule_for_a_name_matches_it_however_long_it_is() {
        for name in ["/head/MatMul", "a*b?", &"é".repeat(256), &"layer/".repeat(100)] {
            let rule = Rule::keep_float(name);
            assert!(rule.matches.chars().count() <= 256 && first_match(&[rule], &[name]).is_some(), "{name}");
        }
        assert_eq!(first_match(&[Rule::keep_float("/head")], &["/head2"]), None);
    }
}
