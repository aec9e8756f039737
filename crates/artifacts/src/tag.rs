//! Tags: names that point at manifests and keep them from being collected.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};

const MAX_TAG: usize = 128;

/// A tag: at most 128 letters, digits, `_`, `.` and `-`, not starting with `.` or `-` (OCI Distribution).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(String);

impl Tag {
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
    fn what_a_registry_would_refuse_is_no_tag() {
        let longest = "a".repeat(MAX_TAG);
        for tag in ["work-0123", "_", "v1.0", &longest] {
            assert_eq!(tag.parse::<Tag>().unwrap().as_str(), tag);
        }
        for no_tag in ["", ".a", "-a", "a/b", "a:b", "é", &format!("{longest}a")] {
            assert!(no_tag.parse::<Tag>().is_err(), "{no_tag}");
        }
    }
}
