//! Tensors that are made while they are written.

use std::io::{self, Write};
use std::path::Path;

use slipway_model::onnx::proto::TensorProto;

use super::FileError;

/// One tensor of those that a producer makes.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    /// The message without its data.
    pub(crate) header: TensorProto,
    /// Bytes of data, known before any is made.
    pub(crate) length: u64,
}

/// Makes one or more tensors from one: integers and their scales from a float weight.
pub(crate) trait Producer {
    /// What is told about the tensors when they are made.
    type Report;

    /// The name of the tensor that is read, for progress and errors.
    fn name(&self) -> &str;

    /// Bytes that are read.
    fn work(&self) -> u64;

    /// The tensors, the largest first: it goes straight into the file, the others are kept aside
    /// until it is complete.
    fn parts(&self) -> Vec<Part>;

    /// Writes each part's data to the sink of the same index, exactly as long as was said.
    ///
    /// # Errors
    /// When the input cannot be read or used, or a sink cannot be written.
    fn make(&self, sinks: &mut [&mut dyn Write]) -> Result<Self::Report, MakeError>;
}

/// Why a producer stopped.
#[derive(Debug)]
pub(crate) enum MakeError {
    /// The tensor holds NaN or infinite values.
    NotFinite,
    /// The input could not be read.
    Read(io::Error),
    /// A sink could not be written.
    Write(io::Error),
    /// Whoever asked for it wants it no more.
    Cancelled,
}

impl MakeError {
    /// What is told of a tensor that is read, and of the file that is made of it.
    pub(crate) fn of_tensor(self, name: &str, output: &Path) -> FileError {
        let tensor = name.to_owned();
        match self {
            Self::NotFinite => FileError::NotFinite { tensor },
            Self::Read(source) => FileError::Read { tensor, source },
            Self::Write(source) => FileError::Write { path: output.to_owned(), source },
            Self::Cancelled => FileError::Cancelled,
        }
    }
}

/// The producer of an output that makes no tensors.
#[derive(Debug)]
pub(crate) enum Nothing {}

impl Producer for Nothing {
    type Report = ();

    fn name(&self) -> &str {
        match *self {}
    }

    fn work(&self) -> u64 {
        match *self {}
    }

    fn parts(&self) -> Vec<Part> {
        match *self {}
    }

    fn make(&self, _sinks: &mut [&mut dyn Write]) -> Result<(), MakeError> {
        match *self {}
    }
}
