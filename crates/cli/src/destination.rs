//! Where a command writes: refused before any work where the work would be in vain, or cost a file that is read.

use std::{
    io,
    path::{Path, PathBuf},
};

use slipway_model::onnx::OnnxModel;

use crate::error::Error;

/// Refuses a path that cannot be written, or that is one of those that the command reads.
///
/// # Errors
/// [`Error::Usage`] for a path that is read, through links too; [`Error::Write`] for a folder, and for a path in a
/// folder that is not there.
pub(crate) fn check<'a>(output: &Path, read: impl IntoIterator<Item = &'a Path>) -> Result<(), Error> {
    let refuse = |kind, words| Error::Write { path: output.into(), source: io::Error::new(kind, words) };
    if output.is_dir() {
        let words = format!("{} is a folder", output.display());
        return Err(refuse(io::ErrorKind::IsADirectory, words));
    }
    let folder = output.parent().filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
        let words = format!("the folder {} does not exist", folder.display());
        return Err(refuse(io::ErrorKind::NotFound, words));
    }
    match read.into_iter().find(|read| is_same(output, read)) {
        Some(_) => {
            Err(Error::Usage(format!("{} is read by this command: write to another file", output.display())))
        }
        None => Ok(()),
    }
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
