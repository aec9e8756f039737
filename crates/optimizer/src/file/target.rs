//! Where the output goes: temporary names first, the real ones when it is whole.

use std::collections::BTreeSet;
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
    /// Data files of the output that is replaced, which go when the new one is whole.
    old: Vec<PathBuf>,
}

impl Target {
    /// Refuses an output that would overwrite a file of the input, or replace an output whose data the input uses.
    pub(crate) fn beside(input: &OnnxModel, output: &Path) -> Result<Self, FileError> {
        let name = output.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| FileError::OutputName { path: output.to_path_buf() })?;
        let folder = match output.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
            _ => PathBuf::from("."),
        };
        let model = folder.join(name);
        let old: Vec<_> = data_files(&model).into_iter().filter(|file| is_data_of(name, file)).collect();
        let (data, location) = free(name, &folder, &old);
        let target = Self { folder, model, data, location, old };
        for file in [&target.model, &target.data].into_iter().chain(&target.old) {
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

    /// Brings the names in the folder to disk.
    fn sync(&self) -> Result<(), FileError> {
        let failed = |source| FileError::Write { path: self.folder.clone(), source };
        File::open(&self.folder).and_then(|folder| folder.sync_all()).map_err(failed)
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

/// Where a model keeps its tensors, if there is a model.
fn data_files(model: &Path) -> BTreeSet<PathBuf> {
    OnnxModel::open(model).map(|model| model.files()).unwrap_or_default()
}

/// The names that the data of an output may have: the first, unless the output that is replaced has it.
fn data_names(name: &str) -> impl Iterator<Item = String> {
    std::iter::once(format!("{name}.data"))
        .chain((2_u32..).map(move |number| format!("{name}.{number}.data")))
}

/// Whether a file has one of the names that the data of an output gets.
fn is_data_of(name: &str, file: &Path) -> bool {
    let found = file.file_name().and_then(|found| found.to_str());
    let middle = found.and_then(|found| found.strip_prefix(name)?.strip_suffix(".data"));
    middle.is_some_and(|middle| middle.is_empty() || middle.strip_prefix('.').is_some_and(is_number))
}

fn is_number(text: &str) -> bool {
    text.parse::<u32>().is_ok()
}

/// The first name that no file of the old output has.
fn free(name: &str, folder: &Path, old: &[PathBuf]) -> (PathBuf, String) {
    let named = data_names(name).map(|location| (folder.join(&location), location));
    let mut unused = named.filter(|(path, _)| !old.contains(path));
    unused.next().unwrap_or_default()
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

    /// Gives the files their names, so that at every moment the old output is there or the new one, and whole.
    ///
    /// The data goes first, under a name that the old output does not use; the model's new name, which is one step for
    /// the file system, decides; then the old data goes.
    ///
    /// # Errors
    /// When a file cannot be renamed or brought to disk: then the old output stays.
    pub(crate) fn keep(self, target: &Target) -> Result<Vec<R>, FileError> {
        let has_data = self.data.is_some();
        if let Some(data) = self.data {
            persist(data, &target.data)?;
            target.sync()?;
        }
        if let Err(error) = persist(self.model, &target.model) {
            if has_data {
                let _ = fs::remove_file(&target.data);
            }
            return Err(error);
        }
        target.sync()?;
        // Whatever cannot be removed is a file that nothing refers to.
        for file in &target.old {
            let _ = fs::remove_file(file);
        }
        Ok(self.reports)
    }
}

fn persist(file: NamedTempFile, path: &Path) -> Result<(), FileError> {
    let write = |source| FileError::Write { path: path.to_path_buf(), source };
    file.as_file().sync_all().map_err(write)?;
    file.persist(path).map(drop).map_err(|error| write(error.error))
}
