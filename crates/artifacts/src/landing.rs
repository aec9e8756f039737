//! Where files come to rest: written aside inside the destination, then renamed into place once all are verified.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::digest::{self, Digest, HashingWriter};
use crate::error::{Error, Result};
use crate::path::RelPath;

/// A destination folder with a hidden folder in it that vanishes unless its files are settled.
#[derive(Debug)]
pub(crate) struct Landing {
    dest: PathBuf,
    aside: TempDir,
}

impl Landing {
    /// Creates the destination when it is missing; blocks.
    pub(crate) fn new(dest: &Path) -> Result<Self> {
        fs::create_dir_all(dest).map_err(|e| Error::storage(dest, e))?;
        let aside = tempfile::Builder::new()
            .prefix(".slipway-")
            .tempdir_in(dest)
            .map_err(|e| Error::storage(dest, e))?;
        Ok(Self { dest: dest.to_owned(), aside })
    }

    /// A place for one file, aside; its parent folders exist afterwards.
    pub(crate) fn place(&self, path: &RelPath) -> Result<PathBuf> {
        let place = path.join_to(self.aside.path());
        let parent = place.parent().unwrap_or(self.aside.path());
        fs::create_dir_all(parent).map_err(|e| Error::storage(parent, e))?;
        Ok(place)
    }

    /// Writes one file aside from a reader, with at most `limit` bytes.
    pub(crate) fn write(
        &self,
        path: &RelPath,
        from: &mut impl Read,
        limit: u64,
        passed: impl FnMut(u64),
    ) -> Result<(Digest, u64)> {
        let place = self.place(path)?;
        let file = File::create(&place).map_err(|e| Error::storage(&place, e))?;
        let mut writer = HashingWriter::new(file);
        digest::copy(&mut from.take(limit.saturating_add(1)), &mut writer, passed)
            .map_err(|e| Error::storage(&place, e))?;
        let (_, digest, size) = writer.finish();
        if size > limit {
            return Err(Error::too_many_bytes(format!("file {path:?}"), limit));
        }
        Ok((digest, size))
    }

    /// Moves these files into the destination, over older ones; nothing is followed out of it.
    pub(crate) fn settle<'a>(self, paths: impl Iterator<Item = &'a RelPath>) -> Result<()> {
        for path in paths {
            for parent in path.parents() {
                make_real_folder(&self.dest.join(parent))?;
            }
            let place = path.join_to(&self.dest);
            fs::rename(path.join_to(self.aside.path()), &place).map_err(|e| Error::storage(&place, e))?;
        }
        Ok(())
    }
}

fn make_real_folder(folder: &Path) -> Result<()> {
    match fs::symlink_metadata(folder) {
        Ok(meta) if meta.is_dir() => Ok(()),
        Ok(_) => {
            Err(Error::not_allowed(folder.display().to_string(), "a file or link is where a folder must be"))
        }
        Err(_) => fs::create_dir(folder).map_err(|e| Error::storage(folder, e)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Category;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn path(text: &str) -> RelPath {
        text.parse().unwrap()
    }

    #[test]
    fn files_appear_together_and_readable_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let dest = dir.path().join("in/model");
        let landing = Landing::new(&dest).unwrap();
        let (digest, size) = landing.write(&path("a/b"), &mut &b"12"[..], 2, |_| ()).unwrap();
        assert_eq!((digest, size), (Digest::of(b"12"), 2));
        assert!(!dest.join("a").exists());
        landing.settle([path("a/b")].iter()).unwrap();
        assert_eq!(fs::read(dest.join("a/b")).unwrap(), b"12");
        assert_eq!(fs::metadata(dest.join("a/b")).unwrap().permissions().mode() & 0o044, 0o044);
        assert_eq!(fs::read_dir(&dest).unwrap().count(), 1);

        let failed = Landing::new(&dest).unwrap();
        let error = failed.write(&path("c"), &mut &b"123"[..], 2, |_| ()).unwrap_err();
        assert_eq!(error.category(), Category::TooLarge);
        drop(failed);
        assert_eq!(fs::read_dir(&dest).unwrap().count(), 1);
    }

    #[test]
    fn a_link_in_the_destination_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        symlink(outside.path(), dir.path().join("a")).unwrap();
        let landing = Landing::new(dir.path()).unwrap();
        landing.write(&path("a/b"), &mut &b"1"[..], 1, |_| ()).unwrap();
        let error = landing.settle([path("a/b")].iter()).unwrap_err();
        assert_eq!(error.category(), Category::NotAllowed);
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
    }
}
