//! An OCI image layout directory: blobs by digest, tags in `index.json`.
//!
//! Everything is written aside, synced and renamed, so a kill at any moment leaves a valid layout with at most some
//! litter that [`Layout::collect_garbage`] removes. Any number of processes may read and write at once: changes of the
//! index take turns under a file lock, and garbage is only collected while nobody writes.
//! All methods block.

mod blobs;
mod damage;
mod gc;
mod index;

pub use gc::Collected;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::limits::MAX_MANIFEST_BYTES;
use crate::manifest::Manifest;
use crate::tag::Tag;

const LAYOUT_FILE: &str = "oci-layout";
const LAYOUT_CONTENT: &str = r#"{"imageLayoutVersion":"1.0.0"}"#;
const PRIVATE: &str = ".slipway";

/// An OCI image layout directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    root: PathBuf,
}

/// The right to add blobs and tags; while one lives, no garbage is collected.
#[derive(Debug)]
pub struct Writer<'a> {
    layout: &'a Layout,
    _content: File,
}

impl Layout {
    /// Opens the layout in this directory and creates what is missing of it.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the directory holds something else, [`Error::Storage`] when it cannot be written.
    pub fn create(root: impl Into<PathBuf>) -> Result<Self> {
        let layout = Self { root: root.into() };
        for folder in [layout.temporary(), layout.blobs()] {
            fs::create_dir_all(&folder).map_err(|e| Error::storage(&folder, e))?;
        }
        layout.create_files()?;
        layout.check()?;
        Ok(layout)
    }

    /// Opens an existing layout.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none, [`Error::Invalid`] when the directory holds something else.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self> {
        let layout = Self { root: root.into() };
        layout.check()?;
        Self::create(layout.root)
    }

    /// The directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Starts to add blobs and tags; waits while garbage is collected.
    ///
    /// # Errors
    /// [`Error::Storage`] when the lock file cannot be opened.
    pub fn writer(&self) -> Result<Writer<'_>> {
        let content = self.lock_file("content.lock")?;
        content.lock_shared().map_err(|e| Error::storage(&self.root, e))?;
        Ok(Writer { layout: self, _content: content })
    }

    /// All tags and the manifests that they point at.
    ///
    /// # Errors
    /// [`Error::Invalid`] when `index.json` is damaged, [`Error::Storage`] when it cannot be read.
    pub fn tags(&self) -> Result<BTreeMap<Tag, Digest>> {
        Ok(self.read_index()?.tags())
    }

    /// The manifest that a tag points at.
    ///
    /// # Errors
    /// As [`Layout::tags`].
    pub fn resolve(&self, tag: &Tag) -> Result<Option<Digest>> {
        Ok(self.tags()?.remove(tag))
    }

    /// Removes a tag; false when it was not there.
    ///
    /// # Errors
    /// As [`Layout::tags`].
    pub fn untag(&self, tag: &Tag) -> Result<bool> {
        self.change_index(|index| index.untag(tag))
    }

    /// Reads and verifies a manifest.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::DigestMismatch`] for a damaged one, [`Error::Invalid`] for a malformed one.
    pub fn manifest(&self, digest: &Digest) -> Result<Manifest> {
        Manifest::parse(&self.read_blob(digest, MAX_MANIFEST_BYTES)?)
    }

    fn create_files(&self) -> Result<()> {
        let _turn = self.index_turn()?;
        let (marker, index) = (self.root.join(LAYOUT_FILE), self.index_path());
        if !index.exists() {
            self.write_aside(&index, &index::Index::default().to_json())?;
        }
        if !marker.exists() {
            self.write_aside(&marker, LAYOUT_CONTENT.as_bytes())?;
        }
        Ok(())
    }

    fn check(&self) -> Result<()> {
        #[derive(serde::Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Marker {
            image_layout_version: String,
        }
        let path = self.root.join(LAYOUT_FILE);
        let text = fs::read(&path).map_err(|e| Error::storage(&path, e))?;
        match serde_json::from_slice::<Marker>(&text) {
            Ok(marker) if marker.image_layout_version.starts_with("1.") => Ok(()),
            _ => Err(Error::invalid(
                self.root.display().to_string(),
                "it is not an OCI image layout of version 1",
            )),
        }
    }

    fn blobs(&self) -> PathBuf {
        self.root.join("blobs").join("sha256")
    }

    fn temporary(&self) -> PathBuf {
        self.root.join(PRIVATE).join("tmp")
    }

    fn lock_file(&self, name: &str) -> Result<File> {
        let path = self.root.join(PRIVATE).join(name);
        let open = File::options().create(true).truncate(false).read(true).write(true).open(&path);
        open.map_err(|e| Error::storage(&path, e))
    }

    /// Waits for the sole right to change the index; the turn ends when the file is dropped.
    fn index_turn(&self) -> Result<File> {
        let turn = self.lock_file("index.lock")?;
        turn.lock().map_err(|e| Error::storage(&self.root, e))?;
        Ok(turn)
    }
}

impl Writer<'_> {
    /// Lists a manifest in the index under these tags, moving them; without tags it is listed by digest alone.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the manifest is not in the layout, [`Error::Storage`] when the index cannot be written.
    pub fn list(&self, digest: &Digest, tags: &[Tag]) -> Result<()> {
        let size = self.layout.blob_size(digest)?;
        self.layout.change_index(|index| index.list(*digest, size, tags))
    }
}

#[cfg(test)]
mod tests;
