//! Why a model was not quantized.

use std::io;
use std::path::PathBuf;

use slipway_model::onnx::OnnxError;

use super::Skipped;

/// Why [`quantize_dynamic`](super::quantize_dynamic) wrote nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QuantizeError {
    /// The input is no model, or a broken one.
    #[error(transparent)]
    Model(#[from] OnnxError),
    /// No weight could be quantized.
    #[error("nothing changed: {}", reasons(skipped))]
    NothingChanged {
        /// Every operator with weights, and why it stayed as it was.
        skipped: Vec<Skipped>,
    },
    /// The result would not be smaller.
    #[error("the quantized model has {after} bytes, the input {before}: nothing is gained")]
    Bigger {
        /// Bytes of all files of the input.
        before: u64,
        /// Bytes of all files of the result.
        after: u64,
    },
    /// A weight is not finite.
    #[error("tensor {tensor:?} has NaN or infinite values")]
    NotFinite {
        /// The tensor's name.
        tensor: String,
    },
    /// The model's opset is too old and one of its operators changed since.
    #[error(
        "opset {opset} is older than 11 and {operator} may mean something else there: export the model again"
    )]
    Opset {
        /// The model's opset.
        opset: i64,
        /// The first operator that is not known to be unchanged.
        operator: String,
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

impl QuantizeError {
    /// Whether the same input may succeed another time.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Model(error) => error.is_retryable(),
            Self::Read { .. } | Self::Write { .. } => true,
            Self::NothingChanged { .. }
            | Self::Bigger { .. }
            | Self::NotFinite { .. }
            | Self::Opset { .. }
            | Self::OutputIsInput { .. }
            | Self::OutputName { .. }
            | Self::TooLarge { .. }
            | Self::NestedExternalData { .. } => false,
        }
    }
}

fn reasons(skipped: &[Skipped]) -> String {
    const SHOWN: usize = 3;
    if skipped.is_empty() {
        return "the model has no MatMul and no Gemm".to_owned();
    }
    let shown =
        skipped.iter().take(SHOWN).map(|skip| format!("{} {:?}: {}", skip.op, skip.node, skip.reason));
    let more = skipped.len().saturating_sub(SHOWN);
    let tail = if more == 0 { String::new() } else { format!(" (and {more} more)") };
    shown.collect::<Vec<_>>().join("; ") + &tail
}
