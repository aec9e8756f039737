//! External data: where a tensor's bytes lie outside the model file.
//!
//! Rules of the ONNX specification, held strictly because the model is not trusted:
//! a relative path of plain names inside the model's folder, no symbolic link on the
//! way, and a range inside the file. A hard link is a file like any other: caches make
//! them, and nothing tells which of its names came first.

use std::fs;
use std::path::{Component, Path, PathBuf};

use super::error::TensorProblem;
use super::proto::TensorProto;

/// A checked range of a file beside the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExternalData {
    /// The file: the model's folder joined with the location.
    pub path: PathBuf,
    /// First byte.
    pub offset: u64,
    /// Number of bytes.
    pub length: u64,
}

impl ExternalData {
    /// Checks the entry of one tensor against the files in `folder`.
    ///
    /// A missing `length` means the rest of the file, a missing `offset` zero.
    ///
    /// # Errors
    /// The problem, when the location is not a plain path inside the folder, goes
    /// through a symbolic link, is no regular file, or ends before the range does.
    pub fn resolve(folder: &Path, tensor: &TensorProto) -> Result<Self, TensorProblem> {
        let location = entry(tensor, "location").ok_or(TensorProblem::NoLocation)?;
        let path = plain_path(folder, location)?;
        let file_len = regular_file_len(folder, &path, location)?;
        let offset = number(tensor, "offset")?.unwrap_or(0);
        let length = number(tensor, "length")?.unwrap_or(file_len.saturating_sub(offset));
        let inside = offset.checked_add(length).is_some_and(|end| end <= file_len);
        if !inside {
            return Err(TensorProblem::BeyondFile {
                location: location.to_owned(),
                file_len,
                offset,
                length,
            });
        }
        Ok(Self { path, offset, length })
    }
}

fn entry<'a>(tensor: &'a TensorProto, key: &str) -> Option<&'a str> {
    tensor
        .external_data
        .iter()
        .find(|pair| pair.key() == key)
        .map(super::proto::StringStringEntryProto::value)
}

fn number(tensor: &TensorProto, key: &'static str) -> Result<Option<u64>, TensorProblem> {
    entry(tensor, key)
        .map(|value| value.parse().map_err(|_| TensorProblem::BadNumber { key, value: value.to_owned() }))
        .transpose()
}

fn plain_path(folder: &Path, location: &str) -> Result<PathBuf, TensorProblem> {
    let relative = Path::new(location);
    let plain = relative.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if location.is_empty() || location.contains(['\0', '\\']) || !plain {
        return Err(TensorProblem::OutsideFolder { location: location.to_owned() });
    }
    Ok(folder.join(relative))
}

fn regular_file_len(folder: &Path, path: &Path, location: &str) -> Result<u64, TensorProblem> {
    let read = |source| TensorProblem::ExternalRead { location: location.to_owned(), source };
    let inside = path.strip_prefix(folder).unwrap_or(path);
    let mut step = folder.to_path_buf();
    for part in inside.components() {
        step.push(part);
        if fs::symlink_metadata(&step).map_err(read)?.is_symlink() {
            return Err(TensorProblem::Symlink { location: location.to_owned() });
        }
    }
    let metadata = fs::symlink_metadata(path).map_err(read)?;
    if metadata.is_file() {
        Ok(metadata.len())
    } else {
        Err(TensorProblem::OutsideFolder { location: location.to_owned() })
    }
}
