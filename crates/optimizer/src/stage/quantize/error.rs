//! Why a model was not quantized.

use slipway_model::onnx::OnnxError;

use super::Skipped;
use crate::calibrate::CalibrateError;
use crate::file::FileError;
use crate::stage::skipped::reasons;

/// Why [`quantize`](super::quantize) wrote nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QuantizeError {
    /// The input is no model, or a broken one.
    #[error(transparent)]
    Model(#[from] OnnxError),
    /// The output could not be made.
    #[error(transparent)]
    File(#[from] FileError),
    /// The options contradict each other, or what the engine can load.
    #[error("{reason}")]
    Options {
        /// What is wrong, and what to do.
        reason: String,
    },
    /// A rule names nothing in the model.
    #[error("rule {rule:?} matches no operator and no weight of the model{}", hint(near))]
    NoMatch {
        /// As it was written.
        rule: String,
        /// The names that come closest, if any does.
        near: Vec<String>,
    },
    /// The calibration or the model that it is of cannot be read.
    #[error(transparent)]
    Calibration(#[from] CalibrateError),
    /// No weight could be quantized.
    #[error(
        "nothing changed: {}",
        reasons(skipped, "the model has no operator with weights that this method covers")
    )]
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
}

impl QuantizeError {
    /// Whether the same input may succeed another time.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Model(error) => error.is_retryable(),
            Self::File(error) => error.is_retryable(),
            Self::Calibration(error) => error.is_retryable(),
            Self::Options { .. }
            | Self::NoMatch { .. }
            | Self::NothingChanged { .. }
            | Self::Bigger { .. } => false,
        }
    }
}

fn hint(near: &[String]) -> String {
    let names: Vec<_> = near.iter().map(|name| format!("{name:?}")).collect();
    if names.is_empty() { String::new() } else { format!("; near it are {}", names.join(", ")) }
}
