//! Failures in the words and categories that conditions carry.

use std::path::Path;

use slipway_api::job::{Failure, FailureCategory};
use slipway_artifacts::{Category, Error, chain};
use tempfile::TempDir;

/// What TLS says of a certificate that nobody vouches for, whatever the cause.
const REFUSED_CERTIFICATE: &str = "invalid peer certificate";

/// A failure that would be the same if tried again.
pub fn fail(category: FailureCategory, message: impl Into<String>) -> Failure {
    Failure { category, retryable: false, message: message.into() }
}

/// A failure of fetching a source.
pub(super) fn of_source(error: &Error) -> Failure {
    let category = match error.category() {
        Category::InvalidInput | Category::NotAllowed | Category::NotFound => FailureCategory::NotFound,
        Category::DigestMismatch => FailureCategory::DigestMismatch,
        Category::TooLarge => FailureCategory::TooLarge,
        Category::Unauthorized => FailureCategory::Unauthorized,
        Category::Unreachable | Category::Protocol => FailureCategory::Unreachable,
        Category::Storage => FailureCategory::Disk,
    };
    let mut message = chain(error);
    if message.contains(REFUSED_CERTIFICATE) {
        message += "; name an authority of your own by key ca.crt of credentialsSecretRef, with slipway run by \
                    SSL_CERT_FILE";
    }
    Failure { category, retryable: error.is_retryable(), message }
}

/// A failure of the store that artifacts are kept in.
pub(super) fn of_store(error: &Error) -> Failure {
    let (category, retryable) = match error.category() {
        Category::NotFound => (FailureCategory::ArtifactMissing, false),
        Category::DigestMismatch => (FailureCategory::DigestMismatch, false),
        Category::InvalidInput | Category::NotAllowed | Category::TooLarge | Category::Protocol => {
            (FailureCategory::Storage, error.is_retryable())
        }
        Category::Unauthorized | Category::Unreachable => (FailureCategory::Storage, true),
        Category::Storage => (FailureCategory::Disk, true),
    };
    Failure { category, retryable, message: chain(error) }
}

/// A folder for one step's temporary files.
pub(super) fn scratch(base: &Path) -> Result<TempDir, Failure> {
    TempDir::with_prefix_in("slipway-", base).map_err(|error| Failure {
        category: FailureCategory::Disk,
        retryable: true,
        message: format!("no room for temporary files in {}: {error}", base.display()),
    })
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn a_full_disk_is_no_registry() {
        let full =
            || Error::Storage { path: "artifacts/blobs".into(), source: io::ErrorKind::StorageFull.into() };
        for failure in [of_store(&full()), of_source(&full())] {
            assert_eq!((failure.category.reason(), failure.retryable), ("DiskFailed", true));
            assert!(failure.message.contains("no storage space"), "{}", failure.message);
        }
    }
}
