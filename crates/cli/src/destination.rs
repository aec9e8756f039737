//! Where a command writes: refused before any work where the work would be in vain, or cost a file that is read.

use std::{
    io,
    path::{Path, PathBuf},
};

use slipway_model::onnx::OnnxModel;
use slipway_optimizer::file::{FileError, destination};

use crate::error::Error;

/// Refuses a path that cannot be written, or that is one of those that the command reads.
///
/// A link to a file is followed: that file is written, and replaced in its own folder.
///
/// # Errors
/// [`Error::Usage`] for a path that is read, through links too, and for one that is there and no file, such as a device;
/// [`Error::Write`] for a path in a folder that is not there or cannot be written.
pub(crate) fn check<'a>(output: &Path, read: impl IntoIterator<Item = &'a Path>) -> Result<(), Error> {
    let file = followed(output)?;
    if read.into_iter().any(|read| is_same(&file, read)) {
        return Err(Error::Usage(format!(
            "{} is read by this command: write to another file",
            output.display()
        )));
    }
    let folder = folder(&file);
    let refuse = |source| Error::Write { path: output.into(), source };
    if !folder.is_dir() {
        let words = format!("the folder {} does not exist", folder.display());
        return Err(refuse(io::Error::new(io::ErrorKind::NotFound, words)));
    }
    tempfile::tempfile_in(folder).map(drop).map_err(refuse)
}

/// The file that an output becomes, through links.
///
/// # Errors
/// [`Error::Usage`] for what is there and no file: it is not replaced.
pub(crate) fn followed(output: &Path) -> Result<PathBuf, Error> {
    destination(output).map_err(|error| match error {
        FileError::Write { path, source } => Error::Write { path, source },
        refused => Error::Usage(refused.to_string()),
    })
}

/// The folder of a file.
pub(crate) fn folder(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A model's file and those of its weights; the file alone where it is no model.
pub(crate) fn files(model: &Path) -> Vec<PathBuf> {
    let weights = OnnxModel::open(model).map(|model| model.files()).unwrap_or_default();
    [model.to_owned()].into_iter().chain(weights).collect()
}

fn is_same(one: &Path, other: &Path) -> bool {
    match (one.canonicalize(), other.canonicalize()) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    }
}
