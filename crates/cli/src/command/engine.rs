//! The engine that a model is made for, or run in.

use std::{error::Error as StdError, iter::successors, path::Path};

use clap::ValueEnum;
use slipway_api::Backend;
use slipway_server::LoadError;

use crate::error::Error;

/// How data is run where this program has no ONNX Runtime.
const WITHOUT_ONNX_RUNTIME: &str = "run data with the built-in engine: leave --engine out, or for --scheme static run \
    `slipway calibrate` without it, then `slipway quantize --scheme static --calibration FILE --engine onnxruntime`";

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

/// Why a model could not be run or made, with a way out where this program lacks the engine that was asked for.
pub(crate) fn failed(model: &Path, error: &(dyn StdError + 'static)) -> Error {
    let mut causes = successors(Some(error), |error: &&(dyn StdError + 'static)| (*error).source());
    let lacks = |cause: &(dyn StdError + 'static)| {
        matches!(cause.downcast_ref::<LoadError>(), Some(LoadError::NotBuiltIn))
    };
    match Error::file(model, error) {
        Error::Model(words) if causes.any(lacks) => Error::Model(format!("{words}; {WITHOUT_ONNX_RUNTIME}")),
        plain => plain,
    }
}
