//! Blobs: written aside and renamed to their digest, verified whenever they are read.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::{Layout, Writer};
use crate::digest::{self, Digest, HashingReader, HashingWriter};
use crate::error::{Error, Result, check_content, check_digest};

impl Layout {
    /// Where a blob is or would be.
    pub fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.blobs().join(digest.hex())
    }

    /// The length of a blob in bytes, without verifying it.
    ///
    /// # Errors
    /// [`Error::NotFound`] when it is not here.
    pub fn blob_size(&self, digest: &Digest) -> Result<u64> {
        let meta = fs::metadata(self.blob_path(digest)).map_err(|e| self.blob_error(digest, e))?;
        Ok(meta.len())
    }

    /// Reads and verifies a whole blob.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::TooLarge`] over `limit` bytes, [`Error::DigestMismatch`] for a damaged blob.
    pub fn read_blob(&self, digest: &Digest, limit: u64) -> Result<Vec<u8>> {
        if self.blob_size(digest)? > limit {
            return Err(Error::too_many_bytes(format!("blob {digest}"), limit));
        }
        let bytes = fs::read(self.blob_path(digest)).map_err(|e| self.blob_error(digest, e))?;
        check_digest(&self.damaged(digest), digest, &Digest::of(&bytes))?;
        Ok(bytes)
    }

    /// Copies a blob of known length out and verifies it on the way; `passed` hears of every piece.
    ///
    /// When this fails, what was written to `to` must be thrown away.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::DigestMismatch`] or [`Error::SizeMismatch`] for a damaged blob, [`Error::Storage`].
    pub fn copy_blob(
        &self,
        digest: &Digest,
        size: u64,
        to: &mut impl Write,
        passed: impl FnMut(u64),
    ) -> Result<()> {
        let path = self.blob_path(digest);
        let file = File::open(&path).map_err(|e| self.blob_error(digest, e))?;
        // One byte more than promised is enough to know that it is too long.
        let mut reader = HashingReader::new(file.take(size.saturating_add(1)));
        digest::copy(&mut reader, to, passed).map_err(|e| Error::storage(&path, e))?;
        let (got, length) = reader.finish();
        check_content(&self.damaged(digest), (digest, size), (&got, length))
    }

    /// Replaces a file of the layout in one step that survives a crash.
    pub(super) fn write_aside(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        let mut aside = self.aside()?;
        aside.write_all(bytes).map_err(|e| Error::storage(aside.path(), e))?;
        self.settle(aside, path)
    }

    fn aside(&self) -> Result<NamedTempFile> {
        let folder = self.temporary();
        tempfile::Builder::new()
            .permissions(fs::Permissions::from_mode(0o644))
            .tempfile_in(&folder)
            .map_err(|e| Error::storage(&folder, e))
    }

    /// Syncs a file and then its name: after this returns, neither can be lost.
    fn settle(&self, aside: NamedTempFile, path: &Path) -> Result<()> {
        let storage = |e| Error::storage(path, e);
        aside.as_file().sync_all().map_err(storage)?;
        aside.persist(path).map_err(|e| storage(e.error))?;
        let folder = path.parent().unwrap_or(&self.root);
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(storage)
    }

    fn damaged(&self, digest: &Digest) -> String {
        format!("blob {digest} in {} is damaged", self.root.display())
    }

    fn blob_error(&self, digest: &Digest, error: io::Error) -> Error {
        match error.kind() {
            io::ErrorKind::NotFound => Error::not_found(
                format!("blob {digest} in {}", self.root.display()),
                "; the layout is damaged",
            ),
            _ => Error::storage(&self.blob_path(digest), error),
        }
    }
}

impl Writer<'_> {
    /// Adds a blob and returns its digest; one that is already here is left alone.
    ///
    /// # Errors
    /// [`Error::Storage`] when it cannot be written.
    pub fn put_bytes(&self, bytes: &[u8]) -> Result<Digest> {
        let digest = Digest::of(bytes);
        if !self.layout.is_intact(&digest, bytes.len() as u64) {
            self.layout.write_aside(&self.layout.blob_path(&digest), bytes)?;
        }
        Ok(digest)
    }

    /// Adds a blob from a reader that must yield exactly `size` bytes of this digest; `passed` hears of every piece.
    ///
    /// A blob that is already here and intact is left alone, and a damaged one is replaced.
    ///
    /// # Errors
    /// [`Error::DigestMismatch`] or [`Error::SizeMismatch`] when the reader yields something else, [`Error::Storage`].
    pub fn put(
        &self,
        digest: &Digest,
        size: u64,
        from: &mut impl Read,
        mut passed: impl FnMut(u64),
    ) -> Result<()> {
        if self.layout.is_intact(digest, size) {
            passed(size);
            return Ok(());
        }
        let mut aside = self.layout.aside()?;
        let mut writer = HashingWriter::new(aside.as_file_mut());
        let what = format!("blob {digest}");
        digest::copy(&mut from.take(size.saturating_add(1)), &mut writer, passed)
            .map_err(|e| Error::storage(&self.layout.blob_path(digest), e))?;
        let (_, got, length) = writer.finish();
        check_content(&what, (digest, size), (&got, length))?;
        self.layout.settle(aside, &self.layout.blob_path(digest))
    }
}
