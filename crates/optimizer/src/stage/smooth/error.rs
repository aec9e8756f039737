//! Why a model was not smoothed.

use slipway_model::onnx::OnnxError;

use crate::calibrate::CaptureError;
use crate::file::FileError;
use crate::stage::Skipped;
use crate::stage::skipped::reasons;

/// Why [`smooth`](super::smooth) wrote nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SmoothError {
    /// The input is no model, or a broken one.
    #[error(transparent)]
    Model(#[from] OnnxError),
    /// The output could not be made.
    #[error(transparent)]
    File(#[from] FileError),
    /// The model could not be run on the data.
    #[error(transparent)]
    Capture(#[from] CaptureError),
    /// The share of the range that moves is none.
    #[error("alpha is {alpha}: it has to lie between 0 and 1, such as 0.5")]
    Alpha {
        /// What was given.
        alpha: f64,
    },
    /// The model's operators do not spread factors over tensors.
    #[error("{reason}")]
    Opset {
        /// What is wrong, and what to do.
        reason: String,
    },
    /// No product could be smoothed.
    #[error(
        "nothing changed: {}",
        reasons(
            skipped,
            "the model has no MatMul or Gemm with a constant matrix of single precision on the right"
        )
    )]
    NothingChanged {
        /// Every product that stays as it is, and why.
        skipped: Vec<Skipped>,
    },
}

impl SmoothError {
    /// Whether the same input may succeed another time.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Model(error) => error.is_retryable(),
            Self::File(error) => error.is_retryable(),
            Self::Capture(error) => error.is_retryable(),
            Self::Alpha { .. } | Self::Opset { .. } | Self::NothingChanged { .. } => false,
        }
    }
}
