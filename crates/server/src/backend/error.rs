//! Why a model does not load, or one inference gives no answer.

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
    /// The program was built without ONNX Runtime.
    #[error(
        "this program has no ONNX Runtime: the images slipway-server-onnxruntime and slipway-job-onnxruntime have it"
    )]
    NotBuiltIn,
    /// The ONNX Runtime library is missing, too old or of another machine.
    #[error(
        "cannot use the ONNX Runtime library {path}: {message}; name version 1.17 or newer, for this kind of machine, \
         with --onnxruntime-library"
    )]
    Library {
        /// The file or folder.
        path: String,
        /// What is wrong with it.
        message: String,
    },
    /// Neither engine can run the model.
    #[error("{built_in}; {other}")]
    NoEngine {
        /// Why the built-in engine cannot.
        built_in: Box<LoadError>,
        /// Why ONNX Runtime cannot.
        other: Box<LoadError>,
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
            Self::NotBuiltIn | Self::Library { .. } => "EngineMissing",
            Self::NoEngine { built_in, .. } => built_in.category(),
        }
    }

    /// Whether the same model may load when tried again.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Read { .. })
    }

    /// Whether another engine may load the same model.
    pub(super) fn is_of_the_engine(&self) -> bool {
        match self {
            Self::UnsupportedOperators { .. } | Self::UnsupportedType { .. } | Self::Refused { .. } => true,
            Self::Read { .. }
            | Self::Invalid(_)
            | Self::NotBuiltIn
            | Self::Library { .. }
            | Self::NoEngine { .. } => false,
        }
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
