//! Canonical JSON, so that the same thing always has the same name.

use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// The canonical JSON of a value: keys sorted, no white space, nulls of objects left out.
///
/// Types of this crate skip fields that are at their defaults when they serialise, so a new field with a default
/// does not move the text. The form is a subset of RFC 8785; numbers must be integers (fractions are strings).
///
/// # Panics
/// Never for types of this crate: they serialise to JSON without error (string keys, no custom failures).
pub fn canonical_json<T: Serialize + ?Sized>(value: &T) -> String {
    let value = serde_json::to_value(value).expect("types of this crate serialise to JSON");
    let mut text = String::new();
    write(&value, &mut text);
    text
}

/// The SHA-256 of some bytes as 64 lower-case hexadecimal characters.
pub fn sha256_hex(bytes: impl AsRef<[u8]>) -> String {
    hex::encode(Sha256::digest(bytes.as_ref()))
}

fn write(value: &Value, out: &mut String) {
    match value {
        Value::Object(map) => {
            let mut keys: Vec<_> = map.iter().filter(|(_, value)| !value.is_null()).collect();
            keys.sort_by_key(|(key, _)| key.as_str());
            write_joined(out, ('{', '}'), keys, |(key, value), out| {
                out.push_str(&Value::String(key.clone()).to_string());
                out.push(':');
                write(value, out);
            });
        }
        Value::Array(items) => write_joined(out, ('[', ']'), items, write),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            out.push_str(&value.to_string());
        }
    }
}

fn write_joined<T>(
    out: &mut String,
    (open, close): (char, char),
    items: impl IntoIterator<Item = T>,
    write_item: impl Fn(T, &mut String),
) {
    out.push(open);
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write_item(item, out);
    }
    out.push(close);
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn keys_are_sorted_at_every_depth_and_nulls_left_out() {
        let value = json!({"b": [{"d": 1, "c": null}], "a": "x\"y"});
        assert_eq!(canonical_json(&value), r#"{"a":"x\"y","b":[{"d":1}]}"#);
    }

    #[test]
    fn sha256_of_nothing_is_the_published_one() {
        assert_eq!(sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }
}
