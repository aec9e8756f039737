//! Paths that come from manifests and users: relative, inside their folder, printable.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{Error, Result};

const MAX_PATH: usize = 1024;
const MAX_COMPONENT: usize = 255;

/// A relative path with `/` between its parts that cannot leave the folder it is joined to.
///
/// No absolute path, no empty part, no `.` or `..`, no backslash, no control character; at most 1,024 bytes in parts
/// of at most 255.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RelPath(String);

impl RelPath {
    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last part.
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }

    /// The path inside `folder`.
    pub fn join_to(&self, folder: &Path) -> PathBuf {
        folder.join(&self.0)
    }

    /// The parent folders of this path, outermost first: `a/b/c` gives `a` and `a/b`.
    pub fn parents(&self) -> impl Iterator<Item = &str> {
        self.0.match_indices('/').map(|(at, _)| &self.0[..at])
    }
}

impl FromStr for RelPath {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match fault(text) {
            None => Ok(Self(text.to_owned())),
            Some(reason) => {
                Err(Error::invalid(format!("path {:?}", text.chars().take(80).collect::<String>()), reason))
            }
        }
    }
}

fn fault(text: &str) -> Option<&'static str> {
    if text.is_empty() {
        return Some("it is empty");
    }
    if text.len() > MAX_PATH {
        return Some("it is longer than 1024 bytes");
    }
    if text.starts_with('/') {
        return Some("it must be relative");
    }
    if text.contains('\\') || text.chars().any(char::is_control) {
        return Some("it holds a backslash or a control character");
    }
    text.split('/').find_map(|part| match part {
        "" => Some("it has an empty part"),
        "." | ".." => Some("it has a . or .. part"),
        _ if part.len() > MAX_COMPONENT => Some("it has a part longer than 255 bytes"),
        _ => None,
    })
}

impl fmt::Display for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl Serialize for RelPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for RelPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_paths_are_taken_and_joined() {
        let path: RelPath = "onnx/weights/model.onnx".parse().unwrap();
        assert_eq!(path.file_name(), "model.onnx");
        assert_eq!(path.join_to(Path::new("/m")), Path::new("/m/onnx/weights/model.onnx"));
        assert_eq!(path.parents().collect::<Vec<_>>(), ["onnx", "onnx/weights"]);
        assert!("..data.onnx".parse::<RelPath>().is_ok());
    }

    #[test]
    fn paths_that_leave_the_folder_or_hide_are_refused() {
        for bad in [
            "",
            "/etc/passwd",
            "..",
            ".",
            "a/../b",
            "a/..",
            "../a",
            "a//b",
            "a/",
            "./a",
            "a\\b",
            "a\0b",
            "a\nb",
            "a\u{85}b",
        ] {
            assert!(bad.parse::<RelPath>().is_err(), "{bad:?}");
        }
        assert!("x".repeat(256).parse::<RelPath>().is_err());
        assert!(vec!["x"; 600].join("/").parse::<RelPath>().is_err());
    }
}
