//! `oci://` and `oci-layout://`: an artifact of a registry or a layout.

use std::path::Path;

use super::{FetchOptions, Fetched, FetchedFile, choose_entry, file};
use crate::digest::Digest;
use crate::error::{Result, check_digest};
use crate::path::RelPath;
use crate::reference::{Location, Reference};
use crate::store::Store;

/// Pulls the artifact that the reference means; a wanted digest is that of its manifest.
pub(super) async fn fetch(
    reference: &Reference,
    file: Option<&RelPath>,
    wanted: Option<&Digest>,
    dest: &Path,
    options: &FetchOptions,
) -> Result<Fetched> {
    let what = reference.to_string();
    let location = match &reference.location {
        Location::Layout { path } => Location::Layout { path: file::place(path, options)? },
        registry @ Location::Registry { .. } => registry.clone(),
    };
    let store = Store::open(&location, &options.registry)?;
    let digest = store.find(reference).await?;
    if let Some(wanted) = wanted {
        check_digest(&what, wanted, &digest)?;
    }
    let manifest = store.manifest(&digest).await?;
    let mut files: Vec<FetchedFile> = manifest
        .files()
        .iter()
        .map(|file| FetchedFile { path: file.path.clone(), size: file.size, digest: file.digest })
        .collect();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    let entry = choose_entry(&what, file.or(manifest.entry()), &files)?;
    store.pull(&digest, dest, &options.limits, &options.progress).await?;
    Ok(Fetched { files, entry, digest })
}
