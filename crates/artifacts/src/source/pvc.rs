//! `pvc://`: a volume that the kubelet mounted.

use std::fs;
use std::path::PathBuf;

use super::FetchOptions;
use crate::error::{Error, Result};
use crate::path::RelPath;

/// Where a claim's file or folder is, and the volume; a link in the volume must not lead out of it.
pub(super) fn place(
    claim: &str,
    path: Option<&RelPath>,
    options: &FetchOptions,
) -> Result<(PathBuf, PathBuf)> {
    let mount = options.claims.get(claim).ok_or_else(|| {
        let hint = match &options.files {
            Some(_) => "; it is in a cluster alone: on this machine name a copy with file://",
            None => "; it is not mounted in this pod",
        };
        Error::not_found(format!("volume claim {claim:?}"), hint)
    })?;
    let root = fs::canonicalize(mount).map_err(|e| Error::storage(mount, e))?;
    let Some(path) = path else { return Ok((root.clone(), root)) };
    let place = path.join_to(&root);
    let real = fs::canonicalize(&place).map_err(|e| {
        if e.kind() == std::io::ErrorKind::NotFound {
            missing(claim, path)
        } else {
            Error::storage(&place, e)
        }
    })?;
    if real.starts_with(&root) {
        return Ok((place, root));
    }
    Err(Error::not_allowed(
        format!("path {path:?} of volume claim {claim:?}"),
        "it is a symbolic link out of the volume",
    ))
}

fn missing(claim: &str, path: &RelPath) -> Error {
    Error::not_found(format!("path {path:?} of volume claim {claim:?}"), "")
}
