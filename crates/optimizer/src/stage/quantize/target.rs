//! Where the output goes: temporary names first, the real ones when it is whole.

use std::fs::{self, File, Permissions};
use std::io::BufWriter;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use slipway_model::onnx::OnnxModel;
use tempfile::NamedTempFile;

use super::{QuantizeError, TensorReport};

const BUFFER: usize = 256 << 10;

/// Where the output goes.
#[derive(Debug)]
pub(super) struct Target {
    folder: PathBuf,
    pub(super) model: PathBuf,
    pub(super) data: PathBuf,
    /// The data file's name, as the model writes it.
    pub(super) location: String,
}

impl Target {
    /// Refuses an output that would overwrite a file of the input.
    pub(super) fn beside(input: &OnnxModel, output: &Path) -> Result<Self, QuantizeError> {
        let name = output.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| QuantizeError::OutputName { path: output.to_path_buf() })?;
        let folder = match output.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
            _ => PathBuf::from("."),
        };
        let location = format!("{name}.data");
        let target = Self { model: folder.join(name), data: folder.join(&location), folder, location };
        for file in [&target.model, &target.data] {
            let same = |input: &PathBuf| matches!((input.canonicalize(), file.canonicalize()), (Ok(a), Ok(b)) if a == b);
            if input.files().iter().any(same) {
                return Err(QuantizeError::OutputIsInput { path: file.clone() });
            }
        }
        Ok(target)
    }

    /// A file in the same folder that goes away unless it is kept.
    pub(super) fn temporary(&self) -> Result<BufWriter<NamedTempFile>, QuantizeError> {
        let file = tempfile::Builder::new()
            .prefix(".slipway-")
            .permissions(Permissions::from_mode(0o666))
            .tempfile_in(&self.folder)
            .map_err(|source| QuantizeError::Write { path: self.folder.clone(), source })?;
        Ok(BufWriter::with_capacity(BUFFER, file))
    }
}

/// Bytes of all files of a model.
pub(super) fn total_len(model: &OnnxModel) -> Result<u64, QuantizeError> {
    let len = |path: &PathBuf| {
        let read = |source| QuantizeError::Read { tensor: path.display().to_string(), source };
        fs::metadata(path).map(|metadata| metadata.len()).map_err(read)
    };
    model.files().iter().map(len).sum()
}

/// A finished output under temporary names; dropping it removes the files.
pub(super) struct Written {
    pub(super) model: NamedTempFile,
    pub(super) data: Option<NamedTempFile>,
    pub(super) tensors: Vec<TensorReport>,
    /// Bytes of all files.
    pub(super) bytes: u64,
}

/// What became of the output.
pub(super) struct Kept {
    pub(super) tensors: Vec<TensorReport>,
    pub(super) bytes: u64,
    pub(super) external: bool,
}

impl Written {
    /// Gives the files their names: the data first, so that a model never lacks it.
    pub(super) fn keep(self, target: &Target) -> Result<Kept, QuantizeError> {
        let external = self.data.is_some();
        if let Some(data) = self.data {
            persist(data, &target.data)?;
        }
        persist(self.model, &target.model)?;
        let sync = |source| QuantizeError::Write { path: target.folder.clone(), source };
        File::open(&target.folder).and_then(|folder| folder.sync_all()).map_err(sync)?;
        Ok(Kept { tensors: self.tensors, bytes: self.bytes, external })
    }
}

fn persist(file: NamedTempFile, path: &Path) -> Result<(), QuantizeError> {
    let write = |source| QuantizeError::Write { path: path.to_path_buf(), source };
    file.as_file().sync_all().map_err(write)?;
    file.persist(path).map(drop).map_err(|error| write(error.error))
}
