//! A file or a folder on this machine, copied and hashed in one pass.

use std::fs::File;
use std::path::Path;

use super::{Fetched, FetchedFile, check_wanted, choose_entry, folder_digest};
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::landing::Landing;
use crate::limits::Limits;
use crate::path::RelPath;
use crate::progress::SharedProgress;
use crate::walk;

/// Copies a file or everything in a folder; blocks.
pub(super) fn copy(
    place: &Path,
    file: Option<&RelPath>,
    wanted: Option<&Digest>,
    dest: &Path,
    limits: &Limits,
    progress: &SharedProgress,
) -> Result<Fetched> {
    let what = place.display().to_string();
    let is_folder = place.is_dir();
    let found = walk::file_or_folder(place, limits)?;
    if found.is_empty() {
        return Err(Error::not_found(format!("any file in {what}"), ""));
    }
    let landing = Landing::new(dest)?;
    progress.start(&what, None);
    let files = copy_all(&landing, &found, limits, progress);
    progress.finish();
    let files = files?;
    let entry = choose_entry(&what, file, &files)?;
    let entry_digest = files.iter().find(|f| entry.as_ref() == Some(&f.path)).map(|f| f.digest);
    let digest = match entry_digest {
        Some(digest) if !is_folder => digest,
        _ => folder_digest(&files),
    };
    check_wanted(&what, wanted, &digest, entry_digest.as_ref())?;
    landing.settle(files.iter().map(|file| &file.path))?;
    Ok(Fetched { files, entry, digest })
}

fn copy_all(
    landing: &Landing,
    found: &[walk::Found],
    limits: &Limits,
    progress: &SharedProgress,
) -> Result<Vec<FetchedFile>> {
    let mut left = limits.max_bytes;
    let mut files = Vec::new();
    for walk::Found { path, local } in found {
        let mut from = File::open(local).map_err(|e| Error::storage(local, e))?;
        let (digest, size) = landing.write(path, &mut from, left, |bytes| progress.advance(bytes))?;
        left = left.saturating_sub(size);
        files.push(FetchedFile { path: path.clone(), size, digest });
    }
    Ok(files)
}
