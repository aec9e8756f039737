//! What runs a model: one trait, one file an engine.

mod declared;
mod operators;
mod rten;

use std::path::Path;

pub use operators::unsupported_operators;

use crate::tensor::{DataType, Tensor};

/// An input or output as the model file declares it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorSpec {
    /// Its name in the model.
    pub name: String,
    /// Its element type as the model declares it, whatever the engine computes in.
    pub datatype: DataType,
    /// Its dimensions, `None` where one varies; nothing where the model does not declare even the rank.
    pub shape: Option<Vec<Option<usize>>>,
}

impl TensorSpec {
    /// Whether the first dimension exists and varies.
    pub fn has_dynamic_leading_axis(&self) -> bool {
        matches!(self.shape.as_deref(), Some([None, ..]))
    }

    /// Whether a shape fits the declared one.
    pub fn accepts(&self, shape: &[usize]) -> bool {
        let Some(declared) = &self.shape else { return true };
        declared.len() == shape.len()
            && declared.iter().zip(shape).all(|(want, got)| want.is_none_or(|want| want == *got))
    }

    /// The shape in the protocol's form: `-1` where a dimension varies.
    pub fn protocol_shape(&self) -> Vec<i64> {
        let Some(declared) = &self.shape else { return vec![-1] };
        declared.iter().map(|size| size.and_then(|size| i64::try_from(size).ok()).unwrap_or(-1)).collect()
    }
}

/// How an engine is to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EngineOptions {
    /// Threads that compute one inference, at least one.
    pub threads: usize,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self { threads: 1 }
    }
}

/// Why a model cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be read.
    #[error("cannot read the model {path}")]
    Read {
        /// The file.
        path: String,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// The file is no ONNX model, or breaks a limit that is set for hostile files.
    #[error("not a usable ONNX model: {0}")]
    Invalid(String),
    /// The engine lacks operators, each named with its domain, sorted.
    #[error("{engine} cannot run {}", operators.join(", "))]
    UnsupportedOperators {
        /// The engine's name.
        engine: &'static str,
        /// Operators, such as `ai.onnx.ml.TreeEnsembleClassifier`.
        operators: Vec<String>,
    },
    /// An input or output has a type that the engine cannot exchange.
    #[error("{engine} cannot exchange {tensor}: its type is {datatype}")]
    UnsupportedType {
        /// The engine's name.
        engine: &'static str,
        /// The tensor's name.
        tensor: String,
        /// The type as the model declares it.
        datatype: String,
    },
    /// The engine refused the model for another reason.
    #[error("{engine} cannot load the model: {message}")]
    Refused {
        /// The engine's name.
        engine: &'static str,
        /// What it said.
        message: String,
    },
}

impl LoadError {
    /// A stable word for the kind of failure, for reports and metrics.
    pub fn category(&self) -> &'static str {
        match self {
            Self::Read { .. } => "ModelUnreadable",
            Self::Invalid(_) => "ModelInvalid",
            Self::UnsupportedOperators { .. } => "UnsupportedOperators",
            Self::UnsupportedType { .. } => "UnsupportedType",
            Self::Refused { .. } => "ModelRefused",
        }
    }

    /// Whether the same model may load when tried again.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Read { .. })
    }
}

/// Why one inference gave no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    /// The input cannot be processed; another one may.
    #[error("{0}")]
    Input(String),
    /// The engine broke its own promise.
    #[error("the engine failed: {0}")]
    Engine(String),
    /// The engine panicked; its state may be damaged.
    #[error("the engine crashed on this request")]
    Panicked,
}

/// An engine with one model in it.
///
/// Calls of `run` may come from any thread; a caller that makes many of them makes them inside `on_worker`, where
/// they cost no hand-over between threads.
pub trait Backend: Send + Sync + 'static {
    /// Name of the engine, such as `rten`.
    fn name(&self) -> &'static str;

    /// The model's inputs, in its own order.
    fn inputs(&self) -> &[TensorSpec];

    /// The model's outputs, in its own order.
    fn outputs(&self) -> &[TensorSpec];

    /// Computes every output. The tensors are one for each input, in order, and fit their specs.
    ///
    /// # Errors
    /// Where the values cannot be processed, or the engine fails.
    fn run(&self, inputs: Vec<Tensor>) -> Result<Vec<Tensor>, RunError>;

    /// Runs a piece of work on a thread from which `run` is cheapest, and waits for it.
    fn on_worker(&self, work: &mut (dyn FnMut() + Send)) {
        work();
    }
}

/// Loads a model into the engine that can run it.
pub(crate) fn load(path: &Path, options: EngineOptions) -> Result<Box<dyn Backend>, LoadError> {
    Ok(Box::new(rten::Rten::load(path, options)?))
}
