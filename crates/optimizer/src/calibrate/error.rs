//! Why the values of a model could not be shown, or no ranges came of them.

use std::path::PathBuf;

use slipway_model::onnx::OnnxError;
use slipway_server::{LoadError, RunError};

use crate::file::FileError;

/// Why the values of a model could not be shown.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CaptureError {
    /// The input is no model, or a broken one.
    #[error(transparent)]
    Model(#[from] OnnxError),
    /// The model with more outputs could not be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// There is no room for it.
    #[error("no room for a copy of the model in {}", folder.display())]
    Scratch {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The main graph has no such value.
    #[error("the main graph of the model has no float value {value:?} that depends on its inputs")]
    NoValue {
        /// The name.
        value: String,
    },
    /// No engine here can run the model, or show its values.
    #[error("the model cannot be run for its values")]
    Load(#[source] LoadError),
    /// One run failed.
    #[error("sample {sample}: the model cannot be run to show {}", names(values))]
    Run {
        /// The sample.
        sample: usize,
        /// What was to be shown.
        values: Vec<String>,
        /// What the engine said.
        #[source]
        source: RunError,
    },
    /// A sample cannot be made into tensors.
    #[error("sample {sample} cannot be read, or has a type that no engine takes")]
    Sample {
        /// The sample.
        sample: usize,
    },
    /// There is nothing to run the model on.
    #[error("there are no samples to run the model on: give at least one")]
    NoSamples,
    /// Whoever looked at a value refused it.
    #[error("value {value:?} of sample {sample}: {refusal}")]
    Refused {
        /// The value.
        value: String,
        /// The sample.
        sample: usize,
        /// In words.
        refusal: Refusal,
    },
}

/// Why a visitor refuses a value: it ends the capture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal(pub String);

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl CaptureError {
    /// Whether the same work may succeed another time.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Model(error) => error.is_retryable(),
            Self::File(error) => error.is_retryable(),
            Self::Scratch { .. } => true,
            Self::Load(error) => error.is_retryable(),
            Self::NoValue { .. }
            | Self::Run { .. }
            | Self::Sample { .. }
            | Self::NoSamples
            | Self::Refused { .. } => false,
        }
    }
}

/// Why a model was not calibrated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CalibrateError {
    /// The values of the model could not be shown.
    #[error(transparent)]
    Capture(#[from] CaptureError),
    /// No activation would be quantized.
    #[error(
        "nothing to calibrate: the model has no Conv, MatMul or Gemm in single precision that could compute in integers; take dynamic or weightOnly, which need no data"
    )]
    NothingToCalibrate,
    /// No activation has a range.
    #[error("no activation has a range: {reason}")]
    NoRanges {
        /// What is wrong with the first of them.
        reason: String,
    },
    /// The files of the model cannot be read.
    #[error(transparent)]
    Digest(slipway_artifacts::Error),
    /// A calibration cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A file is no calibration.
    #[error("{} is no calibration: {reason}; make it again with `slipway calibrate`", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

impl CalibrateError {
    /// Whether the same work may succeed another time.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Capture(error) => error.is_retryable(),
            Self::Digest(error) => error.is_retryable(),
            Self::Read { .. } => true,
            Self::NothingToCalibrate | Self::NoRanges { .. } | Self::Invalid { .. } => false,
        }
    }
}

/// A few names, for people.
fn names(values: &[String]) -> String {
    const SHOWN: usize = 3;
    let shown: Vec<_> = values.iter().take(SHOWN).map(|name| format!("{name:?}")).collect();
    match values.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
