//! How a server is to run.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::backend::{BackendChoice, EngineOptions};
use crate::queue::Batching;

/// What to do when the golden samples give other answers than the gate saw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SelfCheck {
    /// Do not replay them.
    Off,
    /// Never become ready.
    #[default]
    NotReady,
    /// Say so in the log and serve.
    Warn,
}

/// Everything that a server is told.
#[derive(Clone, Debug)]
pub struct Config {
    /// A model file, or a folder as [`ModelFiles::find`](crate::ModelFiles::find) takes it.
    pub model: PathBuf,
    /// Name in `/v2/models/{name}`.
    pub name: String,
    /// Revision that serves; also the model's version in the protocol. Absent: unversioned.
    pub revision: Option<String>,
    /// Accuracy that the gate measured, for the metric `model_accuracy`.
    pub accuracy: Option<f64>,
    /// Golden samples; by default those in the model's folder, if any.
    pub golden: Option<PathBuf>,
    /// What a failed replay of the golden samples means.
    pub self_check: SelfCheck,
    /// Where REST and gRPC listen; port 0 takes any free one.
    pub http: SocketAddr,
    /// Where `/metrics` listens; port 0 takes any free one.
    pub metrics: SocketAddr,
    /// Threads that compute one inference.
    pub threads: usize,
    /// Which engine computes.
    pub backend: BackendChoice,
    /// The ONNX Runtime library, as in [`EngineOptions::library`].
    pub onnxruntime_library: Option<PathBuf>,
    /// How requests share a run; ignored, with a warning, where the model's first axis is fixed.
    pub batching: Batching,
    /// Limits for what clients send.
    pub limits: Limits,
    /// How the server ends.
    pub drain: Drain,
}

impl Config {
    /// The defaults for one model on this machine: free loopback ports, one thread, no batching.
    pub fn local(model: impl Into<PathBuf>, name: impl Into<String>) -> Self {
        Self {
            model: model.into(),
            name: name.into(),
            revision: None,
            accuracy: None,
            golden: None,
            self_check: SelfCheck::default(),
            http: SocketAddr::from(([127, 0, 0, 1], 0)),
            metrics: SocketAddr::from(([127, 0, 0, 1], 0)),
            threads: 1,
            backend: BackendChoice::default(),
            onnxruntime_library: None,
            batching: Batching::OFF,
            limits: Limits::default(),
            drain: Drain::default(),
        }
    }

    pub(crate) fn engine(&self) -> EngineOptions {
        EngineOptions {
            threads: self.threads,
            backend: self.backend,
            library: self.onnxruntime_library.clone(),
        }
    }
}

/// What clients may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest request, in bytes.
    pub body_bytes: usize,
    /// Most requests that wait for the engine.
    pub queued_requests: usize,
    /// Most bytes of tensors that wait for the engine, and as many of requests that are still being read.
    pub queued_bytes: usize,
    /// Longest that a request's head or body may take to arrive.
    pub read_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 64 << 20,
            queued_requests: 256,
            queued_bytes: 256 << 20,
            read_timeout: Duration::from_mins(1),
        }
    }
}

/// How a server ends. It stops being ready at once, answers with `Connection: close`, and leaves when all is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drain {
    /// How long idle HTTP/1.1 connections may still bring a request before they are closed.
    pub linger: Duration,
    /// Longest that the whole drain may take; what runs then is cut off.
    pub timeout: Duration,
}

impl Default for Drain {
    fn default() -> Self {
        Self { linger: Duration::from_secs(3), timeout: Duration::from_secs(25) }
    }
}
