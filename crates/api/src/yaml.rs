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
/// Words that YAML 1.1, which kubectl and Helm read, takes for booleans (`off`, `no`, `y`, …) are quoted.
///
/// # Errors
/// When the value does not serialise.
pub fn to_string<T: serde::Serialize>(value: &T) -> Result<String, YamlError> {
    let text = serde_yaml_ng::to_string(value)?;
    let mut block = None;
    let line = |line: &str| {
        let indent = line.len() - line.trim_start().len();
        block = block.filter(|header| indent > *header || line.trim().is_empty());
        let text = if block.is_some() { line.to_owned() } else { quoted(line) };
        if block.is_none() && [" |", " |-", " |+"].iter().any(|header| line.ends_with(header)) {
            block = Some(indent);
        }
        text + "\n"
    };
    Ok(text.lines().map(line).collect())
}

/// A line, with its scalar quoted where YAML 1.1 would not read it as a string.
fn quoted(line: &str) -> String {
    let mut item = line.trim_start();
    while let Some(inner) = item.strip_prefix("- ") {
        item = inner;
    }
    let scalar = match item.split_once(": ") {
        Some((key, value)) if !key.contains(' ') => value,
        _ => item,
    };
    let is_boolean =
        ["y", "n", "yes", "no", "on", "off"].iter().any(|word| scalar.eq_ignore_ascii_case(word));
    if is_boolean && scalar != line {
        format!("{}'{scalar}'", &line[..line.len() - scalar.len()])
    } else {
        line.to_owned()
    }
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
    fn no_string_reads_as_a_boolean_in_yaml_1_1() {
        let value = serde_json::json!({"args": ["off", ["no"], "on y"], "mode": "Off", "text": "a - no", "lines": "a\n  b |\nno"});
        let text = to_string(&value).unwrap();
        let wanted =
            "args:\n- 'off'\n- - 'no'\n- on y\nlines: |-\n  a\n    b |\n  no\nmode: 'Off'\ntext: a - no\n";
        assert_eq!(text, wanted);
        assert_eq!(documents(&text).unwrap(), [value]);
    }

    #[test]
    fn what_is_not_yaml_is_an_error() {
        assert!(documents("a: [").is_err());
    }
}
