//! Where a model's files are: one file, or a folder that `pull` filled.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Name of the index that `pull` writes.
pub const INDEX: &str = "slipway.json";

/// What a folder holds; paths are relative to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    /// The model file.
    pub model: PathBuf,
    /// Digest of the model's artifact.
    pub digest: String,
    /// The golden samples, if there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub golden: Option<PathBuf>,
}

/// A model's files, found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelFiles {
    /// The model file.
    pub model: PathBuf,
    /// Digest of its artifact, where it is known.
    pub digest: Option<String>,
    /// Its golden samples, where there are any.
    pub golden: Option<PathBuf>,
}

/// Why no model was found.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// A file or folder cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file or folder.
        path: String,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// The index is not in its format.
    #[error("{path} is not valid: {source}")]
    Index {
        /// The index.
        path: String,
        /// What the parser said.
        source: serde_json::Error,
    },
    /// The folder has no index, and not exactly one `.onnx` file.
    #[error("{}", ambiguous(path, *count))]
    Ambiguous {
        /// The folder.
        path: String,
        /// How many there are.
        count: usize,
    },
}

fn ambiguous(folder: &str, count: usize) -> String {
    match count {
        0 => format!("{folder} holds no .onnx file: name a model"),
        _ => format!("{folder} has {count} .onnx files: name one of them"),
    }
}

impl ModelFiles {
    /// Takes a file as it is; in a folder looks for the index, else for the only `.onnx` file.
    ///
    /// # Errors
    /// See [`FilesError`].
    pub fn find(path: &Path) -> Result<Self, FilesError> {
        let metadata = std::fs::metadata(path).map_err(|source| read_error(path, source))?;
        if !metadata.is_dir() {
            return Ok(Self { model: path.to_path_buf(), digest: None, golden: None });
        }
        match std::fs::read(path.join(INDEX)) {
            Ok(text) => Self::indexed(path, &text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Self::only_model(path),
            Err(source) => Err(read_error(&path.join(INDEX), source)),
        }
    }

    fn indexed(folder: &Path, text: &[u8]) -> Result<Self, FilesError> {
        let invalid = |source| FilesError::Index { path: folder.join(INDEX).display().to_string(), source };
        let Index { model, digest, golden } = serde_json::from_slice(text).map_err(invalid)?;
        Ok(Self {
            model: folder.join(model),
            digest: Some(digest),
            golden: golden.map(|path| folder.join(path)),
        })
    }

    fn only_model(folder: &Path) -> Result<Self, FilesError> {
        let entries = std::fs::read_dir(folder).map_err(|source| read_error(folder, source))?;
        let is_onnx = |path: &PathBuf| path.extension().and_then(OsStr::to_str) == Some("onnx");
        let mut models: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(is_onnx).collect();
        match (models.pop(), models.len()) {
            (Some(model), 0) => Ok(Self { model, digest: None, golden: None }),
            (last, others) => {
                let count = others + usize::from(last.is_some());
                Err(FilesError::Ambiguous { path: folder.display().to_string(), count })
            }
        }
    }
}

fn read_error(path: &Path, source: std::io::Error) -> FilesError {
    FilesError::Read { path: path.display().to_string(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folder_needs_an_index_or_exactly_one_model() {
        let folder = tempfile::tempdir().unwrap();
        let find = || ModelFiles::find(folder.path());
        assert!(matches!(find(), Err(FilesError::Ambiguous { count: 0, .. })));
        std::fs::write(folder.path().join("a.onnx"), "").unwrap();
        assert_eq!(find().unwrap().model, folder.path().join("a.onnx"));
        std::fs::write(folder.path().join("b.onnx"), "").unwrap();
        assert!(matches!(find(), Err(FilesError::Ambiguous { count: 2, .. })));
        std::fs::write(
            folder.path().join(INDEX),
            r#"{"model":"b.onnx","digest":"sha256:00","golden":"g.json"}"#,
        )
        .unwrap();
        let files = find().unwrap();
        assert_eq!(files.model, folder.path().join("b.onnx"));
        assert_eq!(files.golden, Some(folder.path().join("g.json")));
        std::fs::write(folder.path().join(INDEX), "{").unwrap();
        assert!(matches!(find(), Err(FilesError::Index { .. })));
        assert!(matches!(ModelFiles::find(&folder.path().join("gone")), Err(FilesError::Read { .. })));
    }
}
