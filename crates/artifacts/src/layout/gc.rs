//! Garbage: blobs that no listed manifest names, and what killed writers left behind.

use std::collections::BTreeSet;
use std::fs::{self, DirEntry};
use std::path::Path;

use serde_json::Value;

use super::Layout;
use crate::digest::Digest;
use crate::error::{Category, Error, Result};
use crate::limits::MAX_MANIFEST_BYTES;

/// What a garbage collection freed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Files that were removed.
    pub files: usize,
    /// Bytes that they held.
    pub bytes: u64,
}

impl Layout {
    /// Removes every blob that no listed manifest names, and half-written files; waits until nobody writes.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the index or a listed manifest cannot be understood: then nothing is removed.
    pub fn collect_garbage(&self) -> Result<Collected> {
        let content = self.lock_file("content.lock")?;
        content.lock().map_err(|e| Error::storage(&self.root, e))?;
        let _turn = self.index_turn()?;
        let live = self.live()?;
        let mut collected = Collected::default();
        let is_live = |name: &str| live.contains(name);
        sweep(&self.blobs(), is_live, &mut collected)?;
        sweep(&self.temporary(), |_| false, &mut collected)?;
        Ok(collected)
    }

    /// The file names of all blobs that can be reached from the index, through indexes of other tools too.
    fn live(&self) -> Result<BTreeSet<String>> {
        let mut live = BTreeSet::new();
        let mut open: Vec<Digest> = self.read_index()?.roots().collect();
        while let Some(digest) = open.pop() {
            if !live.insert(digest.hex()) {
                continue;
            }
            let bytes = match self.read_blob(&digest, MAX_MANIFEST_BYTES) {
                Ok(bytes) => bytes,
                // A listed manifest that is gone or damaged names nothing that could be kept.
                Err(e) if matches!(e.category(), Category::NotFound | Category::DigestMismatch) => continue,
                Err(e) => return Err(e),
            };
            let manifest: Value = serde_json::from_slice(&bytes)
                .map_err(|e| Error::invalid(format!("manifest {digest}"), e.to_string()))?;
            let of = |name: &str| manifest[name].as_array().map_or(&[][..], Vec::as_slice);
            open.extend(of("manifests").iter().filter_map(digest_of));
            let blobs = of("layers").iter().chain([&manifest["config"], &manifest["subject"]]);
            live.extend(blobs.filter_map(digest_of).map(|digest| digest.hex()));
        }
        Ok(live)
    }
}

fn digest_of(descriptor: &Value) -> Option<Digest> {
    descriptor["digest"].as_str()?.parse().ok()
}

fn sweep(folder: &Path, keep: impl Fn(&str) -> bool, collected: &mut Collected) -> Result<()> {
    let storage = |e| Error::storage(folder, e);
    for entry in fs::read_dir(folder).map_err(storage)? {
        let entry = entry.map_err(storage)?;
        if !entry.file_name().to_str().is_some_and(&keep) {
            remove(&entry, collected)?;
        }
    }
    Ok(())
}

fn remove(entry: &DirEntry, collected: &mut Collected) -> Result<()> {
    let storage = |e| Error::storage(&entry.path(), e);
    let meta = entry.metadata().map_err(storage)?;
    if !meta.is_file() {
        return Ok(());
    }
    fs::remove_file(entry.path()).map_err(storage)?;
    collected.files += 1;
    collected.bytes += meta.len();
    Ok(())
}
