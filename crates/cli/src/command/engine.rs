//! The engine that a model is made for, or run in.

use std::{error::Error as StdError, iter::successors, path::Path};

use clap::{Args, ValueEnum};
use slipway_api::Backend;
use slipway_optimizer::{calibrate::CaptureOptions, work};
use slipway_server::{EngineOptions, LoadError};

use crate::error::Error;

/// What helps where this program finds no ONNX Runtime.
const WITHOUT_ONNX_RUNTIME: &str = "or take the built-in engine with --engine rten";

/// In which engine a model runs here.
#[derive(Args, Clone, Copy)]
pub(crate) struct EngineArgs {
    /// Engine that runs the model, the one that is going to serve it. ONNX Runtime's library is looked for in
    /// `SLIPWAY_ONNXRUNTIME`, beside this program, in the cache of `make setup`, and in the active Python environment.
    #[arg(long, value_enum, default_value_t = Engine::Auto)]
    pub(crate) engine: Engine,
    /// Threads that one inference may use.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = threads)]
    pub(crate) threads: usize,
}

/// As many as `serving.runtime.slipway.threads` takes.
fn threads(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| (1..=256).contains(number));
    number.ok_or_else(|| "a whole number from 1 to 256".to_owned())
}

impl EngineArgs {
    /// How the engine is run.
    pub(crate) fn options(self) -> EngineOptions {
        EngineOptions { threads: self.threads, backend: work::choice(self.engine.backend()), library: None }
    }

    /// How a model is run for the values inside it.
    pub(crate) fn capture(self) -> CaptureOptions {
        CaptureOptions { engine: self.options(), ..CaptureOptions::default() }
    }
}

/// An engine, as `serving.runtime.slipway.backend` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Engine {
    /// ONNX Runtime where its library is found and loads the model, else the built-in one.
    Auto,
    /// ONNX Runtime.
    Onnxruntime,
    /// The built-in one, which runs operators in forms that were proven equal to ONNX.
    Rten,
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
    let lacks = |cause: &(dyn StdError + 'static)| match cause.downcast_ref::<LoadError>() {
        Some(LoadError::NoLibrary { passed_over }) => !passed_over.iter().any(LoadError::would_report),
        Some(error) => matches!(error, LoadError::NotBuiltIn),
        None => false,
    };
    match Error::file(model, error) {
        Error::Model(words) if causes.any(lacks) => Error::Model(format!("{words}; {WITHOUT_ONNX_RUNTIME}")),
        plain => plain,
    }
}
