//! Failures in the words and categories that conditions carry.

use std::fmt;
use std::path::Path;

use slipway_api::job::{Failure, FailureCategory};
use slipway_artifacts::{Category, Error, chain};
use slipway_model::npz::NpzError;
use tempfile::TempDir;

use crate::evaluate::DataError;

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

/// A failure of the disk that a step works on, which may have room another time.
pub(super) fn disk(message: impl fmt::Display) -> Failure {
    Failure { category: FailureCategory::Disk, retryable: true, message: message.to_string() }
}

/// A failure of work on local files: of the disk where it may pass, or else of a category.
pub(super) fn of_local(
    error: &dyn std::error::Error,
    is_retryable: bool,
    category: FailureCategory,
) -> Failure {
    if is_retryable { disk(chain(error)) } else { fail(category, chain(error)) }
}

/// A failure of reading a data set, by its name.
pub(super) fn of_data(name: &str, error: &DataError) -> Failure {
    let message = format!("data set {name}: {}", chain(error));
    match error {
        DataError::File(NpzError::Read { .. }) => disk(message),
        _ => fail(FailureCategory::InvalidData, message),
    }
}

/// A folder for one step's temporary files.
pub(super) fn scratch(base: &Path) -> Result<TempDir, Failure> {
    let no_room = |error| disk(format!("no room for temporary files in {}: {error}", base.display()));
    TempDir::with_prefix_in("slipway-", base).map_err(no_room)
}

#[cfg(test)]
mod tests {
    use std::io;

    use slipway_model::npz::NpzFile;
    use slipway_model::onnx::OnnxModel;

    use super::super::source::of_model;
    use super::*;
    use crate::stage::quantize::QuantizeError;

    #[test]
    fn a_full_disk_is_no_registry() {
        let full =
            || Error::Storage { path: "artifacts/blobs".into(), source: io::ErrorKind::StorageFull.into() };
        for failure in [of_store(&full()), of_source(&full())] {
            assert_eq!((failure.category.reason(), failure.retryable), ("DiskFailed", true));
            assert!(failure.message.contains("no storage space"), "{}", failure.message);
        }
    }

    #[test]
    fn a_local_file_that_cannot_be_read_is_no_broken_model_and_no_broken_data() {
        let gone = Path::new("/none/at/all");
        let npz = NpzFile::open(gone).map(drop).unwrap_err();
        let model = OnnxModel::open(gone).map(drop).unwrap_err();
        let opened = QuantizeError::from(OnnxModel::open(gone).map(drop).unwrap_err());
        let unread = of_local(&opened, opened.is_retryable(), FailureCategory::InvalidModel);
        for failure in [of_data("usual", &npz.into()), of_model(&model), unread] {
            assert_eq!((failure.category.reason(), failure.retryable), ("DiskFailed", true));
            assert!(failure.message.contains("/none/at/all"), "{}", failure.message);
        }
        let text = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&text, "no arrays").unwrap();
        let failure = of_data("usual", &NpzFile::open(text.path()).map(drop).unwrap_err().into());
        assert_eq!((failure.category.reason(), failure.retryable), ("InvalidData", false));
    }
}
