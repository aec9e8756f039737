//! What an output may replace: a regular file, or nothing.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use slipway_model::regular;

use super::FileError;

/// The file that an output becomes: the path itself, or the file that it links to.
///
/// Outputs are written aside and renamed, which would put a file in the place of whatever is there: so a link is
/// followed, and its target replaced beside the target.
///
/// # Errors
/// [`FileError::OutputName`] for a path without a name; [`FileError::NotAFile`] for a folder, a device, a pipe, a socket
/// and a link that leads to no file; [`FileError::Write`] where the system does not tell.
pub fn destination(output: &Path) -> Result<PathBuf, FileError> {
    let write = |source| FileError::Write { path: output.to_owned(), source };
    let refuse = |what| FileError::NotAFile { path: output.to_owned(), what };
    if output.file_name().is_none() {
        return Err(FileError::OutputName { path: output.to_owned() });
    }
    let own = match fs::symlink_metadata(output) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(output.to_owned()),
        found => found.map_err(write)?,
    };
    let missing = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => refuse("a link to a file that is not there"),
        _ => write(error),
    };
    let followed = fs::metadata(output).map_err(missing)?;
    match regular::other_kind(followed.file_type()) {
        Some(what) => Err(refuse(what)),
        None if own.is_symlink() => fs::canonicalize(output).map_err(missing),
        None => Ok(output.to_owned()),
    }
}
