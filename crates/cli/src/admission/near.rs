//! The name that was meant.

/// The name that differs least from what was written: by its spelling alone (`weight-only`, `weightOnly`), or by few
/// letters.
pub(super) fn near<'a>(written: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let plain = plain(written);
    let edits = |name: &'a str| (strsim::damerau_levenshtein(&plain, &self::plain(name)), name);
    let (edits, name) = names.map(edits).min()?;
    (3 * edits <= plain.chars().count() + 1).then_some(name)
}

/// Letters and digits alone, all small.
fn plain(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_another_spelling_or_with_a_slip_are_near() {
        let names = ["minSamples", "weightOnly", "stages", "url", "maxDrop"];
        for (written, meant) in [
            ("minSample", Some("minSamples")),
            ("weight-only", Some("weightOnly")),
            ("max_drop", Some("maxDrop")),
            ("stagse", Some("stages")),
            ("uri", Some("url")),
            ("regression", None),
            ("", None),
        ] {
            assert_eq!(near(written, names.into_iter()), meant, "{written}");
        }
    }
}
