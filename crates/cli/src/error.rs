//! What a command can fail with, and the exit code that scripts see.

use std::{
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
};

use slipway_artifacts::chain;

use crate::admission::Refused;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's words.
        source: std::io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's words.
        source: std::io::Error,
    },
    /// A file is no YAML.
    #[error("{}: {source}", path.display())]
    Yaml {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: slipway_api::yaml::YamlError,
    },
    /// The command cannot be done as it was asked.
    #[error("{0}")]
    Usage(String),
    /// The CRD refuses an object.
    #[error("{}: ModelDeployment {name} is refused, as a cluster would refuse it:\n{refused}", file.display())]
    Refused {
        /// The file.
        file: PathBuf,
        /// The object's name.
        name: String,
        /// Every problem.
        refused: Refused,
    },
    /// The plan refuses a spec.
    #[error("ModelDeployment {name} is refused, as a cluster would refuse it ({reason}): {message}")]
    Spec {
        /// The object's name.
        name: String,
        /// A documented reason.
        reason: String,
        /// What is wrong, and what to do.
        message: String,
    },
    /// A step of the pipeline failed.
    #[error("{reason}: {message}")]
    Pipeline {
        /// A documented reason.
        reason: String,
        /// In words.
        message: String,
    },
    /// The gate let the artifact not pass.
    #[error("the gate did not pass ({reason}): {message}")]
    Gate {
        /// A documented reason.
        reason: String,
        /// In words.
        message: String,
    },
    /// No set of operators keeps a budget.
    #[error(
        "no set of operators that stay float keeps the budget of {budget} and gains anything; with all quantized it is {whole}: raise the budget, or take another method"
    )]
    Budget {
        /// The budget.
        budget: f64,
        /// The measure with all quantized, or why there is none.
        whole: String,
    },
    /// A model cannot be used.
    #[error("{0}")]
    Model(String),
    /// An artifact store or registry failed.
    #[error(transparent)]
    Artifacts(#[from] slipway_artifacts::Error),
    /// The folder of an object's artifacts cannot be read any more.
    #[error("{source}: the artifact folder is damaged: remove {} and run again", folder.display())]
    Damaged {
        /// The folder.
        folder: PathBuf,
        /// What of it is damaged.
        source: slipway_artifacts::Error,
    },
    /// The server did not start or stopped.
    #[error("{0}")]
    Server(String),
}

/// The reason of a call that cannot be understood.
pub(crate) const WRONG_CALL: &str = "WrongCall";

impl Error {
    /// A model, or data for one, that cannot be used.
    pub(crate) fn model(error: &dyn std::error::Error) -> Self {
        Self::Model(chain(error))
    }

    /// A file that cannot be used; it is named where the error does not name it.
    pub(crate) fn file(path: &Path, error: &dyn std::error::Error) -> Self {
        let (path, text) = (path.display().to_string(), chain(error));
        Self::Model(if text.contains(&path) { text } else { format!("{path}: {text}") })
    }

    /// A server that did not start or did not answer.
    pub(crate) fn server(error: &dyn std::error::Error) -> Self {
        Self::Server(chain(error))
    }

    /// A port that is taken, with the option that takes another.
    pub(crate) fn with_free_ports(self, host: IpAddr, ports: [(u16, &str); 2]) -> Self {
        let Self::Server(words) = self else { return self };
        let mut taken =
            ports.into_iter().filter(|(port, _)| words.contains(&SocketAddr::new(host, *port).to_string()));
        match taken.next() {
            Some((_, option)) => Self::Server(format!("{words}; {option} 0 takes any free one")),
            None => Self::Server(words),
        }
    }

    /// One word for scripts: a documented reason of a condition, else the kind of failure.
    pub(crate) fn reason(&self) -> &str {
        match self {
            Self::Read { .. } => "CannotRead",
            Self::Write { .. } => "CannotWrite",
            Self::Yaml { .. } | Self::Refused { .. } => "InvalidSpec",
            Self::Usage(_) => WRONG_CALL,
            Self::Spec { reason, .. } | Self::Pipeline { reason, .. } | Self::Gate { reason, .. } => reason,
            Self::Budget { .. } => "BudgetNotMet",
            Self::Model(_) => "InvalidInput",
            Self::Artifacts(_) | Self::Damaged { .. } => "ArtifactsFailed",
            Self::Server(_) => "ServerFailed",
        }
    }

    /// The exit code: 2 for a wrong call or a refused spec, 3 for a gate that did not pass or a budget that is not met, 1 for
    /// everything else.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) | Self::Refused { .. } | Self::Spec { .. } | Self::Yaml { .. } => 2,
            Self::Gate { .. } | Self::Budget { .. } => 3,
            Self::Read { .. }
            | Self::Write { .. }
            | Self::Pipeline { .. }
            | Self::Model(_)
            | Self::Artifacts(_)
            | Self::Damaged { .. }
            | Self::Server(_) => 1,
        }
    }
}
