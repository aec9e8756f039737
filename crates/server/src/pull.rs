//! Fetching a model, and its golden samples, for a server that starts after it.
//!
//! What lands in the folder is verified by digest, and the built-in engine has been asked whether it has every operator
//! and type: a model that it cannot serve, and no other engine is here for, fails before any server starts.

use std::path::{Path, PathBuf};

use serde::Serialize;
use slipway_artifacts::{
    Category, Error as ArtifactError, Limits, Pulled, Reference, RegistryOptions, Store, silent,
};

use crate::backend::{self, EngineOptions, LoadError};
use crate::files::{INDEX, Index};

/// Most bytes of a failure's message that are written for the kubelet: all containers of a pod share 12 KiB.
const MESSAGE_BYTES: usize = 700;

/// What to fetch, and where to.
#[derive(Clone, Debug, Default)]
pub struct PullOptions {
    /// The model's artifact; it must name a digest.
    pub reference: String,
    /// The golden samples' artifact; it must name a digest.
    pub golden_reference: Option<String>,
    /// Folder to fill; it is made where it is missing.
    pub into: PathBuf,
    /// Registry hosts to reach without TLS.
    pub plain_http: Vec<String>,
    /// Most bytes to fetch for each artifact.
    pub size_limit: Option<u64>,
    /// The engine that will serve.
    pub engine: EngineOptions,
}

/// Why a model was not fetched.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// The reference, the registry or the artifact is at fault.
    #[error("cannot fetch {reference}")]
    Artifact {
        /// What was asked for.
        reference: String,
        /// What went wrong.
        #[source]
        source: ArtifactError,
    },
    /// A reference without a digest: what it means could change between two pods.
    #[error("{0} names no digest")]
    NoDigest(String),
    /// The artifact does not say which of its files is the model.
    #[error("{0} has several files and does not say which one to use")]
    NoEntry(String),
    /// The engine cannot run the model.
    #[error(transparent)]
    Model(#[from] LoadError),
    /// The pod was asked to end first.
    #[error("the pod was asked to end before {0} was fetched")]
    Interrupted(String),
    /// The folder cannot be written.
    #[error("cannot write {path}")]
    Write {
        /// The file or folder.
        path: String,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
}

/// The failure inside a job's answer (`slipway_api::job::JobResult`), so that the operator reads one form.
#[derive(Serialize)]
struct Answer {
    failure: Failure,
}

#[derive(Serialize)]
struct Failure {
    category: &'static str,
    retryable: bool,
    message: String,
}

impl PullError {
    /// A stable word for the kind of failure, one of the operator's failure categories.
    pub fn category(&self) -> &'static str {
        match self {
            Self::Artifact { source, .. } => match source.category() {
                Category::InvalidInput | Category::NotAllowed | Category::NotFound => "ArtifactMissing",
                Category::DigestMismatch => "DigestMismatch",
                Category::TooLarge => "TooLarge",
                Category::Unauthorized => "Unauthorized",
                Category::Unreachable | Category::Protocol | Category::Storage => "Storage",
            },
            Self::NoDigest(_) | Self::NoEntry(_) => "ArtifactMissing",
            Self::Model(error) if error.category() == "UnsupportedOperators" => "UnsupportedOperator",
            Self::Model(_) => "InvalidModel",
            Self::Interrupted(_) | Self::Write { .. } => "Storage",
        }
    }

    /// Whether the same pull may succeed when tried again.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Artifact { source, .. } => source.is_retryable(),
            Self::NoDigest(_) | Self::NoEntry(_) => false,
            Self::Model(error) => error.is_retryable(),
            Self::Interrupted(_) | Self::Write { .. } => true,
        }
    }

    /// One line of JSON: a job's answer with its failure (category, retryable, message).
    pub fn to_json(&self) -> String {
        let mut message = slipway_artifacts::chain(self);
        message.truncate(message.floor_char_boundary(MESSAGE_BYTES));
        let failure = Failure { category: self.category(), retryable: self.is_retryable(), message };
        serde_json::to_string(&Answer { failure }).unwrap_or_default()
    }

    /// Writes the line where the kubelet looks for it, if that file exists.
    pub fn write_to(&self, termination_log: &Path) {
        if termination_log.exists()
            && let Err(error) = std::fs::write(termination_log, self.to_json())
        {
            tracing::warn!(%error, "cannot write the termination message");
        }
    }
}

/// Fetches, verifies and checks; then writes the index that [`ModelFiles`](crate::ModelFiles) reads, last of all.
///
/// # Errors
/// See [`PullError`]; the folder may hold files then, but no index.
pub async fn pull(options: &PullOptions) -> Result<Index, PullError> {
    let (pulled, digest) = fetch(options, &options.reference, "model").await?;
    let model = entry(&options.reference, &pulled)?;
    check_engine(&model, &options.engine).await?;
    let golden = match &options.golden_reference {
        Some(reference) => Some(entry(reference, &fetch(options, reference, "golden").await?.0)?),
        None => None,
    };
    let relative = |path: PathBuf| path.strip_prefix(&options.into).map(Path::to_path_buf).unwrap_or(path);
    let index = Index { model: relative(model), digest, golden: golden.map(relative) };
    write_index(&options.into, &index)?;
    tracing::info!(digest = index.digest, model = %index.model.display(), "fetched");
    Ok(index)
}

async fn fetch(options: &PullOptions, reference: &str, part: &str) -> Result<(Pulled, String), PullError> {
    let failed = |source| PullError::Artifact { reference: reference.to_owned(), source };
    let parsed: Reference = reference.parse().map_err(failed)?;
    let digest = parsed.digest.ok_or_else(|| PullError::NoDigest(reference.to_owned()))?;
    let registry = RegistryOptions { plain_http: options.plain_http.clone(), ..RegistryOptions::default() };
    let store = Store::open(&parsed.location, &registry).map_err(failed)?;
    let mut limits = Limits::default();
    if let Some(bytes) = options.size_limit {
        limits.max_bytes = bytes;
    }
    let into = options.into.join(part);
    std::fs::create_dir_all(&into)
        .map_err(|source| PullError::Write { path: into.display().to_string(), source })?;
    let pulled = store.pull(&digest, &into, &limits, &silent()).await.map_err(failed)?;
    Ok((pulled, digest.to_string()))
}

fn entry(reference: &str, pulled: &Pulled) -> Result<PathBuf, PullError> {
    pulled.entry_path().ok_or_else(|| PullError::NoEntry(reference.to_owned()))
}

async fn check_engine(model: &Path, options: &EngineOptions) -> Result<(), PullError> {
    let (path, options) = (model.to_path_buf(), options.clone());
    let asked = tokio::task::spawn_blocking(move || backend::check(&path, &options)).await;
    let panicked = |panic| Err(LoadError::Refused { engine: "the engine", message: format!("{panic}") });
    Ok(asked.unwrap_or_else(panicked)?)
}

fn write_index(folder: &Path, index: &Index) -> Result<(), PullError> {
    let path = folder.join(INDEX);
    let text = serde_json::to_string(index).unwrap_or_default();
    std::fs::write(&path, text)
        .map_err(|source| PullError::Write { path: path.display().to_string(), source })
}
