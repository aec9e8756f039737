//! YAML, read through JSON values so that every tool of the project sees the same thing.

use serde::Deserialize;
use serde_json::Value;

/// Why a text is not a stream of YAML documents that JSON can express.
#[derive(Debug, thiserror::Error)]
#[error("not valid YAML: {0}")]
pub struct YamlError(#[from] serde_yaml_ng::Error);

/// The documents of a YAML stream as JSON values, empty documents left out.
///
/// # Errors
/// When the text is not YAML, or holds what JSON cannot express (keys that are not strings, tags).
pub fn documents(text: &str) -> Result<Vec<Value>, YamlError> {
    serde_yaml_ng::Deserializer::from_str(text)
        .map(|document| Value::deserialize(document).map_err(YamlError))
        .filter(|document| !matches!(document, Ok(Value::Null)))
        .collect()
}

/// A value as a YAML document without the leading `---`.
///
/// # Errors
/// When the value does not serialise.
pub fn to_string<T: serde::Serialize>(value: &T) -> Result<String, YamlError> {
    Ok(serde_yaml_ng::to_string(value)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_gives_its_documents_and_skips_empty_ones() {
        let documents = documents("a: 1\n---\n---\nb: [x]\n").unwrap();
        assert_eq!(documents, [serde_json::json!({"a": 1}), serde_json::json!({"b": ["x"]})]);
    }

    #[test]
    fn what_is_not_yaml_is_an_error() {
        assert!(documents("a: [").is_err());
    }
}
