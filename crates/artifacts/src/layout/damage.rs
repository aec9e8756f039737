//! Damage: artifacts of which a blob is gone, or not what its name says.

use super::Layout;
use crate::digest::{Digest, digest_file};
use crate::error::Result;
use crate::tag::Tag;

impl Layout {
    /// Takes the tags off every artifact of which a blob is missing or damaged, so that it is made again; says which.
    ///
    /// Every blob that a tag leads to is read.
    ///
    /// # Errors
    /// As [`Layout::tags`], and [`crate::Error::Storage`] when the index cannot be written.
    pub fn untag_damaged(&self) -> Result<Vec<Tag>> {
        let damaged = self.tags()?.into_iter().filter(|(_, digest)| !self.is_whole(digest));
        let damaged: Vec<_> = damaged.map(|(tag, _)| tag).collect();
        for tag in &damaged {
            self.untag(tag)?;
        }
        Ok(damaged)
    }

    fn is_whole(&self, digest: &Digest) -> bool {
        let files = |digest| self.manifest(digest).map(|manifest| manifest.files().to_vec());
        files(digest).is_ok_and(|files| files.iter().all(|file| self.is_intact(&file.digest, file.size)))
    }

    /// Whether a blob is here and is what its name says.
    pub(super) fn is_intact(&self, digest: &Digest, size: u64) -> bool {
        digest_file(&self.blob_path(digest)).is_ok_and(|found| found == (*digest, size))
    }
}
