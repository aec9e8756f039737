//! Why a model's operators were not ranked.

use slipway_server::{LoadError, RunError};

use crate::stage::quantize::QuantizeError;

/// Why [`sensitivity`](super::sensitivity) has no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SensitivityError {
    /// The float model cannot be run.
    #[error("the model cannot be run")]
    Load(#[source] LoadError),
    /// A quantized model cannot be run.
    #[error("the model with {what} quantized cannot be run")]
    Quantized {
        /// Which operators.
        what: String,
        /// What the engine said.
        #[source]
        source: LoadError,
    },
    /// The model could not be quantized.
    #[error(transparent)]
    Quantize(#[from] QuantizeError),
    /// A run failed.
    #[error("sample {sample}: the model cannot be run")]
    Run {
        /// The sample.
        sample: usize,
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
    /// Whoever asked for it wants it no more.
    #[error("called off")]
    Cancelled,
    /// There is nothing to run the models on.
    #[error("there are no samples to run the model on: give at least one")]
    NoSamples,
    /// There is nothing to compare.
    #[error("{reason}")]
    Output {
        /// What is wrong, and what to do.
        reason: String,
    },
    /// There is no room for the quantized models and the answers.
    #[error("no room for quantized models and answers in {}", folder.display())]
    Scratch {
        /// The folder.
        folder: std::path::PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}
