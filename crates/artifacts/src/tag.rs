//! Tags: names that point at manifests and keep them from being collected.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};

const MAX_TAG: usize = 128;

/// A tag: at most 128 letters, digits, `_`, `.` and `-`, not starting with `.` or `-` (OCI Distribution).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(String);

impl Tag {
    /// `work-` and the first 40 digits of a work key: the root that keeps a stage's output.
    ///
    /// # Errors
    /// [`Error::Invalid`] unless `key` starts with 40 lower-case hexadecimal digits.
    pub fn work(key: &str) -> Result<Self> {
        match key.get(..40) {
            Some(head) if head.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) => {
                Ok(Self(format!("work-{head}")))
            }
            _ => Err(Error::invalid(
                format!("work key {key:?}"),
                "it must be 64 lower-case hexadecimal digits",
            )),
        }
    }

    /// The tag as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Tag {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        let valid = text.len() <= MAX_TAG
            && text.bytes().next().is_some_and(word)
            && text.bytes().all(|b| word(b) || b == b'.' || b == b'-');
        if valid {
            return Ok(Self(text.to_owned()));
        }
        Err(Error::invalid(
            format!("tag {text:?}"),
            "tags are 1 to 128 letters, digits, _, . and -, not starting with . or -",
        ))
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_tags_come_from_keys() {
        let key = "0123456789abcdef".repeat(4);
        assert_eq!(Tag::work(&key).unwrap().as_str(), "work-0123456789abcdef0123456789abcdef01234567");
        assert!(Tag::work("0123").is_err());
        assert!(Tag::work(&key.to_uppercase()).is_err());
    }
}
