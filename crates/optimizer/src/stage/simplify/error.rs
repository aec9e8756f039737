//! Why a model was not simplified.

use slipway_model::onnx::OnnxError;

use crate::file::FileError;

/// Why [`simplify`](super::simplify) wrote nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SimplifyError {
    /// The input is no model, or a broken one.
    #[error(transparent)]
    Model(#[from] OnnxError),
    /// The output could not be made.
    #[error(transparent)]
    File(#[from] FileError),
    /// The options do not fit the model.
    #[error("{reason}")]
    Options {
        /// What is wrong, and what to do.
        reason: String,
    },
    /// The graph is none: its values cannot be computed one after the other.
    #[error("not a graph that can be run: {reason}")]
    Graph {
        /// What is wrong with it.
        reason: String,
    },
    /// There was nothing to simplify.
    #[error(
        "nothing changed: the model is as simple as this stage can make it; leave the stage out, or set \
         allowUnchanged (--allow-unchanged)"
    )]
    NothingChanged,
}

impl SimplifyError {
    /// Whether the same input may succeed another time.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Model(error) => error.is_retryable(),
            Self::File(error) => error.is_retryable(),
            Self::Options { .. } | Self::Graph { .. } | Self::NothingChanged => false,
        }
    }
}
