//! The one error type of this crate and the closed set of categories that callers act on.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::digest::Digest;

/// The result of everything here that can fail.
pub type Result<T> = std::result::Result<T, Error>;

/// An error with all of its causes on one line; a cause that is told already is not told again.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(inner) = next {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        next = inner.source();
    }
    text
}

/// What kind of failure it was: a closed set, fit for metric labels, conditions and exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Category {
    /// The request, reference, manifest or path is malformed.
    InvalidInput,
    /// The named file, key, tag, blob or repository does not exist.
    NotFound,
    /// The bytes are not those that were promised, or fewer.
    DigestMismatch,
    /// A limit on bytes, files or manifest size was exceeded.
    TooLarge,
    /// A policy refuses it: scheme, host, address, redirect, symbolic link.
    NotAllowed,
    /// The other side wants other credentials.
    Unauthorized,
    /// The other side could not be reached, or was overloaded or failing, until the last retry.
    Unreachable,
    /// The other side answered with something that the protocol does not allow.
    Protocol,
    /// The local disk failed.
    Storage,
}

impl Category {
    /// The name as it appears in JSON, conditions and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidInput => "InvalidInput",
            Self::NotFound => "NotFound",
            Self::DigestMismatch => "DigestMismatch",
            Self::TooLarge => "TooLarge",
            Self::NotAllowed => "NotAllowed",
            Self::Unauthorized => "Unauthorized",
            Self::Unreachable => "Unreachable",
            Self::Protocol => "Protocol",
            Self::Storage => "Storage",
        }
    }
}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why an artifact or a source could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Input that can never work.
    #[error("{what} is invalid: {reason}")]
    Invalid {
        /// The thing, quoted.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A named thing that does not exist.
    #[error("{what} does not exist{hint}")]
    NotFound {
        /// The thing.
        what: String,
        /// What to do, starting with punctuation; may be empty.
        hint: String,
    },
    /// Bytes that are not the promised ones.
    #[error("{what}: wanted {wanted}, got {got}")]
    DigestMismatch {
        /// The thing.
        what: String,
        /// The promised digest.
        wanted: Digest,
        /// The digest of what came.
        got: Digest,
    },
    /// More or fewer bytes than promised.
    #[error("{what}: wanted {wanted} bytes, got {got}")]
    SizeMismatch {
        /// The thing.
        what: String,
        /// The promised length.
        wanted: u64,
        /// The length of what came.
        got: u64,
    },
    /// A limit that was exceeded.
    #[error("{what} exceeds the limit of {limit} {unit}")]
    TooLarge {
        /// The thing.
        what: String,
        /// The limit.
        limit: u64,
        /// `bytes` or `files`.
        unit: &'static str,
    },
    /// Something that a policy refuses.
    #[error("{what} is not allowed: {reason}")]
    NotAllowed {
        /// The thing.
        what: String,
        /// Which rule, and how to lift it.
        reason: String,
    },
    /// Credentials that are missing or refused.
    #[error("{host} refused {action} with status {status}: {hint}")]
    Unauthorized {
        /// Host and port.
        host: String,
        /// What was tried.
        action: String,
        /// 401 or 403.
        status: u16,
        /// What to do.
        hint: String,
    },
    /// No answer, or only overload and failure, after every retry.
    #[error(
        "{host} could not be reached for {action} (tried {attempts} times): {reason}; check that the host is up, its name and port, and that this machine may connect to it"
    )]
    Unreachable {
        /// Host and port.
        host: String,
        /// What was tried.
        action: String,
        /// How many requests were made.
        attempts: u32,
        /// The last failure.
        reason: String,
    },
    /// An answer that the protocol does not allow.
    #[error("{host} gave a wrong answer to {action}: {reason}")]
    Protocol {
        /// Host and port.
        host: String,
        /// What was tried.
        action: String,
        /// What was wrong.
        reason: String,
    },
    /// The local disk.
    #[error("{}: {source}", .path.display())]
    Storage {
        /// The file or folder.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
}

impl Error {
    /// The category that callers act on.
    pub const fn category(&self) -> Category {
        match self {
            Self::Invalid { .. } => Category::InvalidInput,
            Self::NotFound { .. } => Category::NotFound,
            Self::DigestMismatch { .. } | Self::SizeMismatch { .. } => Category::DigestMismatch,
            Self::TooLarge { .. } => Category::TooLarge,
            Self::NotAllowed { .. } => Category::NotAllowed,
            Self::Unauthorized { .. } => Category::Unauthorized,
            Self::Unreachable { .. } => Category::Unreachable,
            Self::Protocol { .. } => Category::Protocol,
            Self::Storage { .. } => Category::Storage,
        }
    }

    /// Whether the same request may succeed later without anybody changing it.
    ///
    /// The network retries inside this crate are already used up when this is asked.
    pub const fn is_retryable(&self) -> bool {
        matches!(self.category(), Category::Unreachable | Category::Storage)
    }

    pub(crate) fn invalid(what: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Invalid { what: what.into(), reason: reason.into() }
    }

    pub(crate) fn not_found(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::NotFound { what: what.into(), hint: hint.into() }
    }

    pub(crate) fn not_allowed(what: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::NotAllowed { what: what.into(), reason: reason.into() }
    }

    pub(crate) fn too_many_bytes(what: impl Into<String>, limit: u64) -> Self {
        Self::TooLarge { what: what.into(), limit, unit: "bytes" }
    }

    /// A missing file becomes `NotFound`, anything else `Storage`.
    pub(crate) fn storage(path: &Path, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::NotFound => Self::not_found(path.display().to_string(), ""),
            _ => Self::Storage { path: path.to_owned(), source },
        }
    }
}

/// Compares what came with what was promised, size first.
pub(crate) fn check_content(what: &str, wanted: (&Digest, u64), got: (&Digest, u64)) -> Result<()> {
    if wanted.1 != got.1 {
        return Err(Error::SizeMismatch { what: what.to_owned(), wanted: wanted.1, got: got.1 });
    }
    check_digest(what, wanted.0, got.0)
}

/// Compares a digest with the promised one.
pub(crate) fn check_digest(what: &str, wanted: &Digest, got: &Digest) -> Result<()> {
    if wanted == got {
        return Ok(());
    }
    Err(Error::DigestMismatch { what: what.to_owned(), wanted: *wanted, got: *got })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mismatch_names_wanted_and_got() {
        let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
        let error = check_digest("model.onnx", &a, &b).unwrap_err();
        assert_eq!(error.to_string(), format!("model.onnx: wanted {a}, got {b}"));
        assert_eq!(error.category(), Category::DigestMismatch);
        assert!(!error.is_retryable());
        assert_eq!(serde_json::to_string(&error.category()).unwrap(), "\"DigestMismatch\"");
    }

    #[test]
    fn a_missing_file_is_not_a_broken_disk() {
        let missing = Error::storage(Path::new("x"), io::ErrorKind::NotFound.into());
        assert_eq!(missing.category(), Category::NotFound);
        let broken = Error::storage(Path::new("x"), io::ErrorKind::PermissionDenied.into());
        assert_eq!(broken.category(), Category::Storage);
        assert!(broken.is_retryable());
    }
}
