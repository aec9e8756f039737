//! Why a file was not written.

use std::io;
use std::path::PathBuf;

use slipway_model::onnx::OnnxError;

/// Why an output was not written; whatever is said here, no file has changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The input changed or broke while it was read.
    #[error(transparent)]
    Model(#[from] OnnxError),
    /// A weight is not finite.
    #[error("tensor {tensor:?} has NaN or infinite values")]
    NotFinite {
        /// The tensor's name.
        tensor: String,
    },
    /// The output would overwrite the input.
    #[error("{} is a file of the input", path.display())]
    OutputIsInput {
        /// The output.
        path: PathBuf,
    },
    /// The output path has no file name.
    #[error("{} names no file", path.display())]
    OutputName {
        /// The output.
        path: PathBuf,
    },
    /// The output is there, and no file: it is not replaced.
    #[error("{} is {what}: name a file", path.display())]
    NotAFile {
        /// The output.
        path: PathBuf,
        /// What it is, with its article.
        what: &'static str,
    },
    /// The rest of the model is longer than a protobuf message may be.
    #[error("the model without its tensors has {bytes} bytes, more than a model file can hold")]
    TooLarge {
        /// Bytes of the model file.
        bytes: u64,
    },
    /// External data in a subgraph or attribute is too large to move into the model file.
    #[error(
        "tensor {tensor:?}: external data of {bytes} bytes inside a subgraph or attribute is not supported"
    )]
    NestedExternalData {
        /// The tensor's name.
        tensor: String,
        /// Its bytes.
        bytes: u64,
    },
    /// A tensor could not be read.
    #[error("cannot read tensor {tensor:?}")]
    Read {
        /// The tensor's name.
        tensor: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The files of the input cannot be read for their digest.
    #[error(transparent)]
    Digest(slipway_artifacts::Error),
    /// Whoever asked for it wants it no more.
    #[error("called off")]
    Cancelled,
    /// A file could not be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl FileError {
    /// Whether the same input may succeed another time.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Model(error) => error.is_retryable(),
            Self::Digest(error) => error.is_retryable(),
            Self::Read { .. } | Self::Write { .. } => true,
            Self::Cancelled
            | Self::NotFinite { .. }
            | Self::OutputIsInput { .. }
            | Self::OutputName { .. }
            | Self::NotAFile { .. }
            | Self::TooLarge { .. }
            | Self::NestedExternalData { .. } => false,
        }
    }
}
