//! The folder of artifacts, and the room for work that no run leaves anything behind in.

use std::{
    collections::BTreeSet,
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
};

use slipway_api::names;
use slipway_artifacts::{Category, Layout, Tag};
use tempfile::TempDir;

use crate::error::Error;

/// Where runs work and keep artifacts; while it lives, no other run clears it.
///
/// Names of its own begin with a dot, which no namespace does.
#[derive(Debug)]
pub(crate) struct Workspace {
    artifacts: PathBuf,
    scratch: PathBuf,
    lock: File,
}

impl Workspace {
    /// Enters a folder of artifacts; what a killed run left of its work is removed where no other run works.
    ///
    /// # Errors
    /// [`Error::Write`] where the folder cannot be written.
    pub(crate) fn enter(artifacts: &Path) -> Result<Self, Error> {
        let scratch = artifacts.join(".scratch");
        let write = |source| Error::Write { path: artifacts.to_owned(), source };
        fs::create_dir_all(artifacts).map_err(write)?;
        let lock = File::create(artifacts.join(".lock")).map_err(write)?;
        match lock.try_lock() {
            Ok(()) => clear(&scratch).and_then(|()| lock.unlock()).map_err(write)?,
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(source)) => return Err(write(source)),
        }
        lock.lock_shared().map_err(write)?;
        fs::create_dir_all(&scratch).map_err(write)?;
        Ok(Self { artifacts: artifacts.to_owned(), scratch, lock })
    }

    /// Where a repository's image layout is.
    pub(crate) fn repository(&self, repository: &str) -> PathBuf {
        self.artifacts.join(repository)
    }

    /// Removes the artifacts of earlier runs from a repository: all but those with the tags in `keep`.
    ///
    /// Nothing is removed while another run works here, since it may need any of them.
    ///
    /// # Errors
    /// Where the repository cannot be read or written.
    pub(crate) fn collect(&self, repository: &str, keep: &BTreeSet<String>) -> Result<(), Error> {
        let write = |source| Error::Write { path: self.artifacts.clone(), source };
        let collected = match self.lock.try_lock() {
            Ok(()) => collect(&self.repository(repository), keep),
            Err(TryLockError::WouldBlock) => Ok(()),
            Err(TryLockError::Error(source)) => return Err(write(source)),
        };
        self.lock.lock_shared().map_err(write)?;
        Ok(collected?)
    }

    /// Makes room for what is damaged in a repository to be made again; whether anything is.
    ///
    /// # Errors
    /// [`Error::Damaged`] where the repository's own files are.
    pub(crate) fn mend(&self, repository: &str) -> Result<bool, Error> {
        let folder = self.repository(repository);
        match Layout::open(&folder).and_then(|layout| layout.untag_damaged()) {
            Ok(untagged) => Ok(!untagged.is_empty()),
            Err(source) if source.category() == Category::InvalidInput => {
                Err(Error::Damaged { folder, source })
            }
            // What could not be done is told by whoever met it first.
            Err(_) => Ok(false),
        }
    }

    /// Where work is done that nothing of may stay.
    pub(crate) fn scratch(&self) -> &Path {
        &self.scratch
    }

    /// A folder of its own, gone when it is dropped.
    ///
    /// # Errors
    /// [`Error::Write`] where it cannot be made.
    pub(crate) fn folder(&self) -> Result<TempDir, Error> {
        TempDir::new_in(&self.scratch).map_err(|source| Error::Write { path: self.scratch.clone(), source })
    }
}

fn collect(repository: &Path, keep: &BTreeSet<String>) -> slipway_artifacts::Result<()> {
    let layout = Layout::open(repository)?;
    let spent = |tag: &Tag| names::is_work_tag(tag.as_str()) && !keep.contains(tag.as_str());
    for tag in layout.tags()?.into_keys().filter(spent) {
        layout.untag(&tag)?;
    }
    layout.collect_garbage().map(drop)
}

fn clear(scratch: &Path) -> std::io::Result<()> {
    match fs::remove_dir_all(scratch) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_run_left_is_cleared_unless_another_run_works() {
        let artifacts = tempfile::tempdir().unwrap();
        let left = artifacts.path().join(".scratch/left");
        fs::create_dir_all(&left).unwrap();
        let first = Workspace::enter(artifacts.path()).unwrap();
        assert!(!left.exists(), "nobody worked, so it was left behind");

        let folder = first.folder().unwrap();
        let second = Workspace::enter(artifacts.path()).unwrap();
        assert!(folder.path().exists(), "the first run still works in it");
        drop((first, second));
        assert!(folder.path().exists());
        let _third = Workspace::enter(artifacts.path()).unwrap();
        assert!(!folder.path().exists());
    }
}
