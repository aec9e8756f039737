//! A file or a folder on this machine, copied and hashed in one pass.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::{Fetched, FetchedFile, check_wanted, check_whole, choose_entry, folder_digest};
use crate::companions::{self, Companions};
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::landing::Landing;
use crate::limits::Limits;
use crate::path::RelPath;
use crate::progress::SharedProgress;
use crate::walk::{self, Found};

/// A copy of a file, with its companions, or of everything in a folder.
pub(super) struct Copy {
    /// The file or the folder.
    pub(super) place: PathBuf,
    /// The volume that no link may lead out of, where there is one.
    pub(super) root: Option<PathBuf>,
    /// The file that matters in a folder.
    pub(super) file: Option<RelPath>,
    /// The digest that it must have.
    pub(super) wanted: Option<Digest>,
    /// Where it goes.
    pub(super) dest: PathBuf,
    pub(super) limits: Limits,
    pub(super) progress: SharedProgress,
    pub(super) companions: Companions,
}

impl Copy {
    /// Copies, verifies, and moves all files into place; blocks.
    pub(super) fn run(self) -> Result<Fetched> {
        let what = self.place.display().to_string();
        let found = walk::file_or_folder(&self.place, &self.limits)?;
        if found.is_empty() {
            return Err(Error::not_found(format!("any file in {what}"), ""));
        }
        let landing = Landing::new(&self.dest)?;
        self.progress.start(&what, None);
        let copied = self.copy_all(&what, &landing, &found);
        self.progress.finish();
        let (files, entry, digest) = copied?;
        landing.settle(files.iter().map(|file| &file.path))?;
        Ok(Fetched { files, entry, digest })
    }

    fn copy_all(
        &self,
        what: &str,
        landing: &Landing,
        found: &[Found],
    ) -> Result<(Vec<FetchedFile>, Option<RelPath>, Digest)> {
        let mut files = Vec::new();
        for one in found {
            self.copy(landing, one, &mut files)?;
        }
        let entry = choose_entry(what, self.file.as_ref(), &files)?;
        let needed = match &entry {
            Some(entry) => companions::paths(self.companions, entry, &landing.place(entry)?)?,
            None => Vec::new(),
        };
        if let Some(entry) = entry.as_ref().filter(|_| !self.place.is_dir()) {
            for path in needed {
                let local = self.beside(&path, entry)?;
                self.copy(landing, &Found { path, local }, &mut files)?;
            }
            files.sort_by(|a, b| a.path.cmp(&b.path));
            let digest = check_whole(what, self.wanted.as_ref(), &files)?;
            return Ok((files, Some(entry.clone()), digest));
        }
        let digest = folder_digest(&files);
        let own = files.iter().find(|file| needed.is_empty() && entry.as_ref() == Some(&file.path));
        check_wanted(what, self.wanted.as_ref(), &digest, own.map(|file| &file.digest))?;
        Ok((files, entry, digest))
    }

    fn copy(&self, landing: &Landing, found: &Found, files: &mut Vec<FetchedFile>) -> Result<()> {
        let Found { path, local } = found;
        let copied: u64 = files.iter().map(|file| file.size).sum();
        let left = self.limits.max_bytes.saturating_sub(copied);
        let mut from = File::open(local).map_err(|e| Error::storage(local, e))?;
        let (digest, size) = landing.write(path, &mut from, left, |bytes| self.progress.advance(bytes))?;
        files.push(FetchedFile { path: path.clone(), size, digest });
        Ok(())
    }

    /// Where a companion of the one file lies; links are followed as far as the file's own.
    fn beside(&self, path: &RelPath, entry: &RelPath) -> Result<PathBuf> {
        let folder = self.place.parent().unwrap_or(Path::new("."));
        let local = path.join_to(folder);
        let missing = |_| {
            let hint = "; bring it there too, or export the model as one file";
            companions::missing(path.as_str(), entry, &folder.display().to_string(), hint)
        };
        let real = local.canonicalize().map_err(missing)?;
        if self.root.as_ref().is_some_and(|root| !real.starts_with(root)) {
            return Err(Error::not_allowed(
                local.display().to_string(),
                "it is a symbolic link out of the volume",
            ));
        }
        if !real.is_file() {
            return Err(Error::invalid(local.display().to_string(), "it is no file"));
        }
        Ok(real)
    }
}
