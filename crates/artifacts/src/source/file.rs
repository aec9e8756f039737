//! `file://`: this machine's own disk, for work on a laptop.

use std::path::{Path, PathBuf};

use super::FetchOptions;
use crate::error::{Error, Result};

/// Where a path on this machine is; relative ones start from the folder in the options.
pub(super) fn place(path: &Path, options: &FetchOptions) -> Result<PathBuf> {
    let base = options.files.as_ref().ok_or_else(|| {
        let reason = "files of this machine are only read by slipway run on your own machine";
        Error::not_allowed(format!("source file://{}", path.display()), reason)
    })?;
    Ok(base.join(path))
}
