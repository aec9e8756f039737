//! Writing ONNX files: streamed, aligned, and whole or not at all.
//!
//! An [`Output`] is a message without its tensors, and the tensors: kept whole, copied from file
//! to file, or made by a [`Producer`] while they are written, so memory does not grow with the
//! model. Files appear under temporary names and get their own when everything is on disk.

mod destination;
mod embed;
mod error;
mod lineage;
mod output;
mod producer;
mod reader;
mod target;
mod writer;

pub use destination::destination;
pub(crate) use embed::embed;
pub use error::FileError;
pub(crate) use lineage::{describe, digest, source_of};
pub(crate) use output::{Output, OutputTensor, kept};
pub(crate) use producer::{MakeError, Nothing, Part, Producer};
pub(crate) use reader::{PIECE, Reader};
pub(crate) use target::{Target, Written, total_len};
pub(crate) use writer::write;
