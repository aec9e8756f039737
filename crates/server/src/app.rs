//! What both protocols share: one model, and the way a request takes to its engine.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::oneshot;

use crate::backend::RunError;
use crate::config::Limits;
use crate::engine::Engine;
use crate::error::ApiError;
use crate::health::{Health, HealthCell};
use crate::metrics::Metrics;
use crate::net::Inflow;
use crate::queue::{Job, Queue};
use crate::rest::ModelName;
use crate::tensor::Tensor;

/// Name of the server in both protocols' metadata.
pub(crate) const SERVER_NAME: &str = "slipway";
/// Version of the server in both protocols' metadata.
pub(crate) const SERVER_VERSION: &str = env!("CARGO_PKG_VERSION");
/// Extensions of the protocol that both protocols' metadata name.
pub(crate) const EXTENSIONS: [&str; 1] = ["binary_tensor_data"];

/// The state of a running server.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) engine: Arc<Engine>,
    pub(crate) queue: Arc<Queue>,
    pub(crate) health: Arc<HealthCell>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) name: String,
    pub(crate) revision: Option<String>,
    pub(crate) limits: Limits,
    /// What request bodies hold before they are in the queue.
    pub(crate) inflow: Arc<Inflow>,
}

impl App {
    /// The model as its answers name it.
    pub(crate) fn model(&self) -> ModelName<'_> {
        ModelName { name: &self.name, version: self.revision.as_deref() }
    }

    /// Refuses any model but this one; an absent version means any.
    pub(crate) fn check_model(&self, name: &str, version: Option<&str>) -> Result<(), ApiError> {
        if name != self.name {
            return Err(ApiError::NotFound(format!("there is no model {name:?} here")));
        }
        match version {
            Some(version) if self.revision.as_deref() != Some(version) => {
                let has =
                    self.revision.as_ref().map_or_else(|| "none".to_owned(), |own| format!("{own:?} alone"));
                Err(ApiError::NotFound(format!(
                    "model {name:?} has no version {version:?}, it has {has}: leave the version out"
                )))
            }
            _ => Ok(()),
        }
    }

    /// Refuses while the model does not answer.
    pub(crate) fn check_answers(&self) -> Result<(), ApiError> {
        self.health.with(|health| {
            if health.answers() { Ok(()) } else { Err(ApiError::NotReady(health.reason().to_owned())) }
        })
    }

    /// Why the server is not ready, if it is not.
    pub(crate) fn not_ready(&self) -> Option<String> {
        self.health.with(|health| (!health.is_ready()).then(|| health.reason().to_owned()))
    }

    /// Runs one request. Dropping the future before the engine has begun cancels it.
    pub(crate) async fn infer(&self, inputs: Vec<Tensor>) -> Result<Vec<Tensor>, ApiError> {
        let (reply, answer) = oneshot::channel();
        self.queue.push(Job { inputs, arrived: Instant::now(), reply })?;
        Ok(answer.await.unwrap_or(Err(RunError::Panicked))?)
    }

    /// Stops being ready; requests are still answered.
    pub(crate) fn drain(&self) {
        self.health.set(Health::Draining);
    }
}
