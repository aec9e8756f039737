//! Walks a folder that somebody else wrote: links stay inside, special files are refused, counts and bytes are bounded.

use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::limits::{Limits, MAX_FILES};
use crate::path::RelPath;

const MAX_DEPTH: usize = 64;

/// A regular file that was found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// Its path below the folder, or its name.
    pub(crate) path: RelPath,
    /// Its real place; never a link.
    pub(crate) local: PathBuf,
}

/// Describes one file by its name, or every file below a folder, sorted by path.
pub(crate) fn file_or_folder(path: &Path, limits: &Limits) -> Result<Vec<Found>> {
    let real = fs::canonicalize(path).map_err(|e| Error::storage(path, e))?;
    let meta = fs::metadata(&real).map_err(|e| Error::storage(path, e))?;
    if meta.is_dir() {
        return folder(&real, limits);
    }
    check_regular(path, &meta)?;
    if meta.len() > limits.max_bytes {
        return Err(Error::too_many_bytes(path.display().to_string(), limits.max_bytes));
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    Ok(vec![Found { path: name.parse()?, local: real }])
}

/// Every file below a folder, sorted by path.
pub(crate) fn folder(folder: &Path, limits: &Limits) -> Result<Vec<Found>> {
    let root = fs::canonicalize(folder).map_err(|e| Error::storage(folder, e))?;
    let mut walk = Walk { root: &root, limits, found: Vec::new(), bytes: 0 };
    walk.visit(&root, "", 0)?;
    walk.found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(walk.found)
}

struct Walk<'a> {
    root: &'a Path,
    limits: &'a Limits,
    found: Vec<Found>,
    bytes: u64,
}

impl Walk<'_> {
    fn visit(&mut self, folder: &Path, prefix: &str, depth: usize) -> Result<()> {
        if depth > MAX_DEPTH {
            return Err(Error::not_allowed(
                folder.display().to_string(),
                "folders are nested more than 64 deep",
            ));
        }
        for entry in fs::read_dir(folder).map_err(|e| Error::storage(folder, e))? {
            let entry = entry.map_err(|e| Error::storage(folder, e))?;
            let place = entry.path();
            let name = entry.file_name();
            let name = name
                .to_str()
                .ok_or_else(|| Error::invalid(place.display().to_string(), "its name is not UTF-8"))?;
            let path = format!("{prefix}{name}");
            let kind = entry.file_type().map_err(|e| Error::storage(&place, e))?;
            if kind.is_dir() {
                self.visit(&place, &format!("{path}/"), depth + 1)?;
            } else {
                let local = if kind.is_symlink() { self.follow(&place)? } else { place };
                self.take(path.parse()?, local)?;
            }
        }
        Ok(())
    }

    /// A link may point to a file inside the folder, and to nothing else.
    fn follow(&self, link: &Path) -> Result<PathBuf> {
        let target = fs::canonicalize(link).map_err(|e| Error::storage(link, e))?;
        if !target.starts_with(self.root) {
            return Err(Error::not_allowed(
                link.display().to_string(),
                "this symbolic link leaves its folder",
            ));
        }
        if target.is_dir() {
            let reason = "this symbolic link points to a folder; only links to files are followed";
            return Err(Error::not_allowed(link.display().to_string(), reason));
        }
        Ok(target)
    }

    fn take(&mut self, path: RelPath, local: PathBuf) -> Result<()> {
        let meta = fs::metadata(&local).map_err(|e| Error::storage(&local, e))?;
        check_regular(&local, &meta)?;
        let max_files = self.limits.max_files.min(MAX_FILES);
        if self.found.len() >= max_files {
            let what = self.root.display().to_string();
            return Err(Error::TooLarge { what, limit: max_files as u64, unit: "files" });
        }
        self.bytes = self.bytes.saturating_add(meta.len());
        if self.bytes > self.limits.max_bytes {
            return Err(Error::too_many_bytes(self.root.display().to_string(), self.limits.max_bytes));
        }
        self.found.push(Found { path, local });
        Ok(())
    }
}

fn check_regular(path: &Path, meta: &Metadata) -> Result<()> {
    if meta.is_file() {
        return Ok(());
    }
    Err(Error::not_allowed(path.display().to_string(), "it is a device, pipe or socket, not a regular file"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Category;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    fn names(found: &[Found]) -> Vec<&str> {
        found.iter().map(|file| file.path.as_str()).collect()
    }

    #[test]
    fn a_folder_gives_its_files_in_order_and_follows_inner_links() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("b")).unwrap();
        fs::write(dir.path().join("b/z"), "1").unwrap();
        fs::write(dir.path().join("a"), "22").unwrap();
        symlink("b/z", dir.path().join("link")).unwrap();
        let found = file_or_folder(dir.path(), &Limits::default()).unwrap();
        assert_eq!(names(&found), ["a", "b/z", "link"]);
        assert_eq!(found[1].local, found[2].local);
        assert_eq!(names(&file_or_folder(&dir.path().join("a"), &Limits::default()).unwrap()), ["a"]);
    }

    #[test]
    fn links_out_loops_and_special_files_are_refused() {
        let outside = tempfile::NamedTempFile::new().unwrap();
        let refused = |prepare: &dyn Fn(&Path)| {
            let dir = tempfile::tempdir().unwrap();
            prepare(dir.path());
            file_or_folder(dir.path(), &Limits::default()).unwrap_err().category()
        };
        assert_eq!(refused(&|d| symlink(outside.path(), d.join("x")).unwrap()), Category::NotAllowed);
        assert_eq!(refused(&|d| symlink(".", d.join("x")).unwrap()), Category::NotAllowed);
        assert_eq!(refused(&|d| drop(UnixListener::bind(d.join("s")).unwrap())), Category::NotAllowed);
        assert_eq!(refused(&|d| symlink("nowhere", d.join("x")).unwrap()), Category::NotFound);
        assert_eq!(refused(&|d| fs::write(d.join("a\nb"), "").unwrap()), Category::InvalidInput);
    }

    #[test]
    fn counts_and_bytes_are_bounded() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a", "b", "c"] {
            fs::write(dir.path().join(name), "1234").unwrap();
        }
        let with = |max_bytes, max_files| folder(dir.path(), &Limits { max_bytes, max_files });
        assert_eq!(with(12, 3).unwrap().len(), 3);
        assert_eq!(with(11, 3).unwrap_err().category(), Category::TooLarge);
        assert_eq!(with(12, 2).unwrap_err().category(), Category::TooLarge);
    }
}
