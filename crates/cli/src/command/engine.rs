//! The engine that a model is made for, or run in.

use clap::ValueEnum;
use slipway_api::Backend;

/// An engine, as `serving.runtime.slipway.backend` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Engine {
    /// The built-in one.
    Rten,
    /// The built-in one where it has every operator, else ONNX Runtime.
    Auto,
    /// ONNX Runtime.
    Onnxruntime,
}

impl Engine {
    /// The value of the field.
    pub(crate) fn backend(self) -> Backend {
        match self {
            Self::Rten => Backend::Rten,
            Self::Auto => Backend::Auto,
            Self::Onnxruntime => Backend::Onnxruntime,
        }
    }
}
