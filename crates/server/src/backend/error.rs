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
    /// The program is linked statically, so that it cannot load ONNX Runtime.
    #[error(
        "this program cannot load ONNX Runtime: the images slipway-server-onnxruntime and slipway-job-onnxruntime have it"
    )]
    NotBuiltIn,
    /// No ONNX Runtime library is named, and none is usable in the usual places.
    #[error("{}", no_library(passed_over))]
    NoLibrary {
        /// Why each library that was found cannot be used.
        passed_over: Vec<LoadError>,
    },
    /// An ONNX Runtime library that is not told to send nothing to its makers.
    #[error(
        "found ONNX Runtime {version} in {path}; run with ORT_DISABLE_TELEMETRY=1, since this version reports to its \
         makers otherwise"
    )]
    WouldReport {
        /// The file.
        path: String,
        /// What its name says of its version.
        version: String,
    },
    /// The ONNX Runtime library that is named is missing, too old or of another machine.
    #[error(
        "cannot use the ONNX Runtime library {path}: {message}; name version 1.17 or newer, for this kind of machine, \
         with SLIPWAY_ONNXRUNTIME"
    )]
    Library {
        /// The file or folder.
        path: String,
        /// What is wrong with it.
        message: String,
    },
    /// Neither engine can run the model.
    #[error("{rten}; {onnxruntime}")]
    NoEngine {
        /// Why ONNX Runtime cannot.
        onnxruntime: Box<LoadError>,
        /// Why the built-in engine cannot.
        rten: Box<LoadError>,
    },
}

/// What to do where no library is usable: what a library that is there lacks comes before another library.
fn no_library(passed_over: &[LoadError]) -> String {
    if let Some(reporting) = passed_over.iter().find(|error| error.would_report()) {
        return reporting.to_string();
    }
    let reasons: Vec<_> = passed_over.iter().map(ToString::to_string).collect();
    let also = if reasons.is_empty() { String::new() } else { format!(" ({})", reasons.join("; ")) };
    format!(
        "there is no ONNX Runtime library here{also}: install the Python package onnxruntime, or name a library with \
         SLIPWAY_ONNXRUNTIME"
    )
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
            Self::NotBuiltIn | Self::NoLibrary { .. } | Self::WouldReport { .. } | Self::Library { .. } => {
                "EngineMissing"
            }
            Self::NoEngine { rten, .. } => rten.category(),
        }
    }

    /// Whether a library is there, and lacks no more than a word in the environment that keeps it silent.
    pub fn would_report(&self) -> bool {
        matches!(self, Self::WouldReport { .. })
    }

    /// Whether the same model may load when tried again.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Read { .. })
    }

    /// Whether the other engine may be asked for the model: a library that a user names has to work.
    pub(super) fn leaves_the_model_to_another_engine(&self) -> bool {
        match self {
            Self::UnsupportedOperators { .. }
            | Self::UnsupportedType { .. }
            | Self::Refused { .. }
            | Self::NotBuiltIn
            | Self::NoLibrary { .. } => true,
            Self::Read { .. }
            | Self::Invalid(_)
            | Self::WouldReport { .. }
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
    /// The model knows no such value: encoders of categories refuse those that they were not trained with.
    #[error("{0}")]
    UnknownValue(String),
    /// The engine broke its own promise.
    #[error("the engine failed: {0}")]
    Engine(String),
    /// The engine panicked; its state may be damaged.
    #[error("the engine crashed on this request")]
    Panicked,
}
