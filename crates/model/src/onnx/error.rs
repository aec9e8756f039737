//! Everything that can be wrong with an ONNX file.

use std::io;
use std::path::PathBuf;

use crate::sniff::FileFormat;

/// Why a file could not be opened as an ONNX model.
///
/// Messages name the file or the tensor, so that they can stand in a condition.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OnnxError {
    /// The file could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The path names a folder, a socket, a device.
    #[error("{} is not a regular file", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// The file is longer than a protobuf message may be.
    #[error("the model file has {bytes} bytes, more than {limit}: keep its tensors as external data")]
    TooLarge {
        /// Bytes of the file.
        bytes: u64,
        /// The most that is read.
        limit: u64,
    },
    /// The file has more parts than any real model.
    #[error("the model's nodes, attributes and names would take more than {limit} bytes of memory")]
    TooComplex {
        /// The most that is decoded.
        limit: u64,
    },
    /// The file has more numbers than there is memory for where they cannot be read in place.
    #[error(
        "the tensors keep values in int32_data, int64_data or uint64_data that take more than {limit} bytes of memory: \
         save them as raw or external data"
    )]
    TooManyValues {
        /// The most that is decoded.
        limit: u64,
    },
    /// The bytes are those of another format.
    #[error("it is {format}, not an ONNX model: {}", format.to_onnx())]
    OtherFormat {
        /// What it is.
        format: FileFormat,
    },
    /// The bytes are no protobuf message, or end in the middle of one.
    #[error("not an ONNX file, or cut short: {reason}")]
    Malformed {
        /// What the decoder met.
        reason: String,
    },
    /// A protobuf message, but no ONNX model.
    #[error("not an ONNX model: {reason}")]
    NotAModel {
        /// What is missing.
        reason: &'static str,
    },
    /// A tensor is wrong.
    #[error("tensor {tensor:?}: {problem}")]
    Tensor {
        /// The tensor's name.
        tensor: String,
        /// What is wrong with it.
        #[source]
        problem: TensorProblem,
    },
    /// Two tensors take overlapping parts of one file.
    #[error(
        "tensors {first:?} and {second:?} overlap in their external data: an offset or a length is wrong"
    )]
    Overlap {
        /// The tensor that begins first.
        first: String,
        /// The other one.
        second: String,
    },
    /// Two initializers of one graph have the same name.
    #[error("tensor {tensor:?} is defined twice")]
    DuplicateTensor {
        /// The tensor's name.
        tensor: String,
    },
}

/// What is wrong with one tensor.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TensorProblem {
    /// A dimension is below zero.
    #[error("dimension {0} is negative")]
    NegativeDim(i64),
    /// The number of elements or bytes does not fit 63 bits.
    #[error("dimensions {0:?} overflow")]
    Overflow(Vec<i64>),
    /// More dimensions than any operator takes.
    #[error("has {0} dimensions, more than 64")]
    TooManyDims(usize),
    /// The type is missing or not in the schema.
    #[error("unknown data type {0}")]
    UnknownType(i32),
    /// The data's length is not what shape and type ask for.
    #[error("has {actual} {unit}, its shape and type need {expected}")]
    Length {
        /// What there is.
        actual: u64,
        /// What there should be.
        expected: u64,
        /// What is counted: bytes or values.
        unit: &'static str,
    },
    /// Strings or segments where raw bytes are needed.
    #[error("{0}")]
    Unsupported(&'static str),
    /// External data without a place.
    #[error("external data without a location")]
    NoLocation,
    /// External data outside the model's folder.
    #[error("external data {location:?} is not a plain path inside the model's folder")]
    OutsideFolder {
        /// As written in the model.
        location: String,
    },
    /// External data behind a symbolic link.
    #[error("external data {location:?} goes through a symbolic link")]
    Symlink {
        /// As written in the model.
        location: String,
    },
    /// The external file is missing or unreadable.
    #[error("external data {location:?} cannot be read")]
    ExternalRead {
        /// As written in the model.
        location: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// An offset or length that is no number.
    #[error("external data has a bad {key}: {value:?}")]
    BadNumber {
        /// `offset` or `length`.
        key: &'static str,
        /// As written in the model.
        value: String,
    },
    /// The range ends beyond the file.
    #[error("external data {location:?} has {file_len} bytes, offset {offset} and length {length} go beyond")]
    BeyondFile {
        /// As written in the model.
        location: String,
        /// Bytes of the file.
        file_len: u64,
        /// Where the tensor begins.
        offset: u64,
        /// Bytes of the tensor.
        length: u64,
    },
}

impl OnnxError {
    /// Whether trying again may help: only reading can fail for a passing reason.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Read { .. })
    }
}
