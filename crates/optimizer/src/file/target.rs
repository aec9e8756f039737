//! Where the output goes: temporary names first, the real ones when it is whole.

use std::fs::{self, File, Permissions};
use std::io::BufWriter;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use slipway_model::onnx::OnnxModel;
use tempfile::NamedTempFile;

use super::FileError;

const BUFFER: usize = 256 << 10;

/// Where the output goes.
#[derive(Debug)]
pub(crate) struct Target {
    pub(super) folder: PathBuf,
    pub(crate) model: PathBuf,
    pub(crate) data: PathBuf,
    /// The data file's name, as the model writes it.
    pub(crate) location: String,
}

impl Target {
    /// Refuses an output that would overwrite a file of the input.
    pub(crate) fn beside(input: &OnnxModel, output: &Path) -> Result<Self, FileError> {
        let name = output.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| FileError::OutputName { path: output.to_path_buf() })?;
        let folder = match output.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
            _ => PathBuf::from("."),
        };
        let location = format!("{name}.data");
        let target = Self { model: folder.join(name), data: folder.join(&location), folder, location };
        for file in [&target.model, &target.data] {
            let same = |input: &PathBuf| matches!((input.canonicalize(), file.canonicalize()), (Ok(a), Ok(b)) if a == b);
            if input.files().iter().any(same) {
                return Err(FileError::OutputIsInput { path: file.clone() });
            }
        }
        Ok(target)
    }

    /// Where the output lies, and what is kept aside for it.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// A file in the same folder that goes away unless it is kept.
    pub(crate) fn temporary(&self) -> Result<BufWriter<NamedTempFile>, FileError> {
        let file = tempfile::Builder::new()
            .prefix(".slipway-")
            .permissions(Permissions::from_mode(0o666))
            .tempfile_in(&self.folder)
            .map_err(|source| FileError::Write { path: self.folder.clone(), source })?;
        Ok(BufWriter::with_capacity(BUFFER, file))
    }
}

/// Bytes of all files of a model.
pub(crate) fn total_len(model: &OnnxModel) -> Result<u64, FileError> {
    let len = |path: &PathBuf| {
        let read = |source| FileError::Read { tensor: path.display().to_string(), source };
        fs::metadata(path).map(|metadata| metadata.len()).map_err(read)
    };
    model.files().iter().map(len).sum()
}

/// A finished output under temporary names; dropping it removes the files.
pub(crate) struct Written<R> {
    pub(crate) model: NamedTempFile,
    pub(crate) data: Option<NamedTempFile>,
    /// What the producers told, in the order of the output.
    pub(crate) reports: Vec<R>,
    /// Bytes of all files.
    pub(crate) bytes: u64,
}

impl<R> Written<R> {
    /// Whether tensors lie in a file of their own.
    pub(crate) fn is_external(&self) -> bool {
        self.data.is_some()
    }

    /// Gives the files their names: the data first, so that a model never lacks it.
    ///
    /// An older output goes before its data does, so that it never meets data of another.
    ///
    /// # Errors
    /// When a file cannot be renamed or brought to disk.
    pub(crate) fn keep(self, target: &Target) -> Result<Vec<R>, FileError> {
        if let Some(data) = self.data {
            remove(&target.model)?;
            persist(data, &target.data)?;
        }
        persist(self.model, &target.model)?;
        let sync = |source| FileError::Write { path: target.folder.clone(), source };
        File::open(&target.folder).and_then(|folder| folder.sync_all()).map_err(sync)?;
        Ok(self.reports)
    }
}

fn persist(file: NamedTempFile, path: &Path) -> Result<(), FileError> {
    let write = |source| FileError::Write { path: path.to_path_buf(), source };
    file.as_file().sync_all().map_err(write)?;
    file.persist(path).map(drop).map_err(|error| write(error.error))
}

fn remove(path: &Path) -> Result<(), FileError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(FileError::Write { path: path.to_path_buf(), source: error })
        }
        _ => Ok(()),
    }
}
