//! Why a body is no request, in words that say what to write.

use crate::error::ApiError;

/// What writers of JSON that is none put in the place of numbers.
const NO_JSON: [&str; 2] = ["NaN", "Infinity"];

/// The reason that a body was not understood.
pub(super) fn refused(json: &[u8], error: &serde_json::Error) -> ApiError {
    let first = json.iter().find(|byte| !byte.is_ascii_whitespace());
    let words = match (no_json(json, error), first) {
        (Some(word), _) => {
            let or_null = if word == "NaN" { "null, or " } else { "" };
            format!(
                "{word} is no JSON: send {or_null}binary tensors (line {}, column {})",
                error.line(),
                error.column()
            )
        }
        (None, None) => "the body is empty: send a JSON object with \"inputs\"".to_owned(),
        (None, Some(b'{')) => error.to_string(),
        (None, Some(_)) => "the body is no JSON object with \"inputs\"".to_owned(),
    };
    ApiError::BadRequest(format!("the request is not valid: {words}"))
}

/// The word that stands where the reader stopped.
fn no_json(json: &[u8], error: &serde_json::Error) -> Option<&'static str> {
    if !error.is_syntax() {
        return None;
    }
    let line = json.split(|byte| *byte == b'\n').nth(error.line().checked_sub(1)?)?;
    let near = line.get(error.column().saturating_sub(2)..)?;
    NO_JSON.into_iter().find(|word| {
        let near = near.get(..word.len() + 2).unwrap_or(near);
        near.windows(word.len()).any(|found| found == word.as_bytes())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(json: &str) -> String {
        let error = serde_json::from_str::<serde::de::IgnoredAny>(json).unwrap_err();
        refused(json.as_bytes(), &error).to_string()
    }

    #[test]
    fn what_json_has_no_word_for_is_named() {
        assert!(words("{\"data\": [1.0, NaN]}").contains("NaN is no JSON: send null, or binary tensors"));
        assert!(words("{\"data\":\n [NaN]}").contains("NaN is no JSON"));
        for json in ["{\"data\": [Infinity]}", "{\"data\": [1, -Infinity]}"] {
            assert!(words(json).contains("Infinity is no JSON: send binary tensors"), "{}", words(json));
        }
        assert!(!words("{\"NaN\": x}").contains("NaN is"));
    }

    #[test]
    fn what_is_no_object_is_said() {
        assert!(words("").contains("the body is empty"));
        assert!(words("[").contains("no JSON object with \"inputs\""));
    }
}
