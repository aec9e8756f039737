//! Everything that can be wrong with an npz file.

use std::io;
use std::path::PathBuf;

use crate::sniff::FileFormat;

/// Why a data file, or one of its arrays, cannot be used.
///
/// Messages name the array and what was expected, so that they can stand in a condition.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NpzError {
    /// The file could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The path names a folder, a pipe, a socket or a device.
    #[error("{} is {what}, not a regular file: name an .npz file", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
        /// What it is, with its article.
        what: &'static str,
    },
    /// The bytes are those of another format.
    #[error("it is {format}, not an npz file: {}", npz_advice(*format))]
    OtherFormat {
        /// What it is.
        format: FileFormat,
    },
    /// The bytes are no archive at all: text, for example.
    #[error("it is no npz file: save arrays with numpy.savez")]
    Unknown,
    /// The bytes are no zip archive, or end too early.
    #[error("an npz file that is cut short or broken: {reason}")]
    NotAnArchive {
        /// What the archive reader met.
        reason: String,
    },
    /// The archive has no arrays.
    #[error("an npz file without arrays: save some with numpy.savez")]
    NoArrays,
    /// The archive has more arrays than any data set.
    #[error("the file has {arrays} arrays, more than {limit}")]
    TooManyArrays {
        /// How many there are.
        arrays: usize,
        /// The most that are read.
        limit: usize,
    },
    /// There is no array of this name.
    #[error("there is no array {array:?}; the file has {}", available.join(", "))]
    NoSuchArray {
        /// The name that was asked for.
        array: String,
        /// The names that there are, sorted.
        available: Vec<String>,
    },
    /// An array is wrong.
    #[error("array {array:?} {problem}")]
    Array {
        /// The array's name.
        array: String,
        /// What is wrong with it.
        problem: ArrayProblem,
    },
    /// The arrays do not have the same number of samples.
    #[error("array {array:?} has {got} samples, expected {expected} as in {reference:?}")]
    SampleCount {
        /// The array that differs.
        array: String,
        /// Its leading dimension.
        got: usize,
        /// What the others have.
        expected: usize,
        /// One of the others.
        reference: String,
    },
}

/// What is wrong with one array.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArrayProblem {
    /// An object array: a pickle, which may run any code when it is loaded.
    #[error("holds Python objects (a pickle), which is refused: save it as plain numbers")]
    Pickle,
    /// A type that is not a plain number.
    #[error("has the type {descr:?}, which is not supported: {}", type_advice(descr))]
    UnsupportedType {
        /// The type as the file says it.
        descr: String,
    },
    /// The header is not what `NumPy` writes.
    #[error("has no valid npy header: {0}")]
    Header(&'static str),
    /// The dimensions multiply to more than a machine can address.
    #[error("has an impossible shape {0:?}")]
    Overflow(Vec<usize>),
    /// There are more or fewer bytes than shape and type need.
    #[error("has {got} bytes of data, its shape and type need {expected}")]
    Length {
        /// Bytes that there are.
        got: u64,
        /// Bytes that there should be.
        expected: u64,
    },
    /// It, or the whole file, would take more memory than allowed.
    #[error("brings the data to {bytes} bytes, more than {limit} are allowed")]
    TooLarge {
        /// Bytes of all arrays so far and this one.
        bytes: u64,
        /// The most that are read.
        limit: u64,
    },
    /// It claims to unpack to more than its packed bytes can hold.
    #[error("claims to unpack {packed} bytes to {unpacked}, which no real data does")]
    Bomb {
        /// Bytes in the file.
        packed: u64,
        /// Bytes that it claims.
        unpacked: u64,
    },
    /// Its bytes cannot be unpacked.
    #[error("cannot be unpacked: {0}")]
    Unpack(String),
    /// A single value where samples are needed.
    #[error("has no axis, expected one that counts samples")]
    NoSampleAxis,
    /// A value that is not a number, or infinite.
    #[error("has a NaN or infinite value, the first at index {index:?}")]
    NonFinite {
        /// Where it is, one number for each axis.
        index: Vec<usize>,
    },
}

/// What to do where a plain number is wanted.
fn type_advice(descr: &str) -> &'static str {
    let is_text = descr.trim_start_matches(['<', '>', '=', '|']).starts_with(['U', 'S']);
    if is_text {
        "models with text inputs can be served, not judged yet"
    } else {
        "use bool, int, uint or float of 8 to 64 bits"
    }
}

/// What to do where data is wanted.
fn npz_advice(format: FileFormat) -> &'static str {
    match format {
        FileFormat::Npy => "a .npy file holds one array without a name: save it with numpy.savez",
        FileFormat::GitLfs | FileFormat::Html => format.to_onnx(),
        FileFormat::Onnx
        | FileFormat::Npz
        | FileFormat::Safetensors
        | FileFormat::Tflite
        | FileFormat::Pickle
        | FileFormat::Hdf5
        | FileFormat::Keras
        | FileFormat::Gguf
        | FileFormat::Unknown => "save arrays with numpy.savez",
    }
}

impl NpzError {
    pub(super) fn array(name: &str, problem: ArrayProblem) -> Self {
        Self::Array { array: name.to_owned(), problem }
    }

    /// Whether trying again may help: only reading can fail for a passing reason.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Read { .. })
    }
}
