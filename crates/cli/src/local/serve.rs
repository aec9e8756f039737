//! Serving what passed, on this machine, and asking it for real predictions.

use std::{net::SocketAddr, path::PathBuf};

use serde::Serialize;
use slipway_api::ModelDeployment;
use slipway_artifacts::{Digest, Limits, Pulled, silent};
use slipway_model::npz::NpzFile;
use slipway_optimizer::evaluate::{HttpPredictor, Predictor, Samples, Timings, spread};
use slipway_server::Config;
use tempfile::TempDir;

use super::{
    Road, Workspace,
    judges::{Started, config, of_copy, started},
};
use crate::error::Error;

/// How many predictions are asked for.
const PREDICTIONS: usize = 200;

/// A server with the model that passed.
pub(crate) struct Served {
    server: Started,
    name: String,
    _files: TempDir,
}

/// What predictions took.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Latency {
    pub(crate) requests: u64,
    pub(crate) p50_ms: f64,
    pub(crate) p95_ms: f64,
}

/// Serves what a road led to, as a pod of the revision would: golden samples replayed before it is ready.
///
/// The ports are those of the protocol and of the metrics.
pub(crate) async fn serve(
    road: &Road,
    workspace: &Workspace,
    [port, metrics]: [u16; 2],
) -> Result<Served, Error> {
    let revision = road.passed()?;
    let files = workspace.folder()?;
    let model = pull(road, &revision.artifact.digest, files.path().join("model")).await?;
    let golden = match &revision.golden_digest {
        Some(digest) => pull(road, digest, files.path().join("golden")).await?.entry_path(),
        None => None,
    };
    let name = model_name(&road.deployment);
    let accuracy =
        revision.gate.as_ref().and_then(|gate| gate.accuracy.as_ref()).and_then(|text| text.parse().ok());
    let config = Config {
        golden,
        accuracy,
        http: SocketAddr::from(([127, 0, 0, 1], port)),
        metrics: SocketAddr::from(([127, 0, 0, 1], metrics)),
        ..config(&model.root, &name, &road.deployment.spec.serving)
    };
    let what = format!("{}: the model to serve", road.name);
    let server = started(config).await.map_err(|error| of_copy(error, &model.root, &what))?;
    Ok(Served { server, name, _files: files })
}

/// A verified copy of an artifact, made for one run: no earlier run's files are trusted.
async fn pull(road: &Road, digest: &str, into: PathBuf) -> Result<Pulled, Error> {
    Ok(road.store.pull(&digest.parse::<Digest>()?, &into, &Limits::default(), &silent()).await?)
}

fn model_name(deployment: &ModelDeployment) -> String {
    let name = deployment.spec.serving.model_name.clone().or_else(|| deployment.metadata.name.clone());
    name.unwrap_or_else(|| "model".into())
}

impl Served {
    /// Where the model answers.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/v2/models/{}", self.server.running.addr, self.name)
    }

    /// The engine that computes, with its version.
    pub(crate) fn engine(&self) -> &str {
        &self.server.running.engine
    }

    /// Where its metrics are.
    pub(crate) fn metrics_url(&self) -> String {
        format!("http://{}/metrics", self.server.running.metrics_addr)
    }

    /// Asks for predictions on the gate's data set; nothing where there is no gate and so no data.
    pub(crate) async fn predict(&self, road: &Road, workspace: &Workspace) -> Result<Option<Latency>, Error> {
        let spec = &road.deployment.spec;
        let Some(gate) = &spec.gate else { return Ok(None) };
        let (Some(data), Some(task)) =
            (spec.data.iter().find(|data| data.name == gate.data), &gate.task.classification)
        else {
            return Ok(None);
        };
        let name = format!("data-{}", data.name);
        let step = road.status.stages.iter().find(|stage| stage.kind == "data" && stage.name == name);
        let Some(digest) = step.and_then(|step| step.output_digest.as_deref()) else { return Ok(None) };
        let scratch = workspace.folder()?;
        let pulled = pull(road, digest, scratch.path().join("data")).await?;
        let Some(entry) = pulled.entry_path() else { return Ok(None) };
        let base = format!("http://{}", self.server.running.addr);
        let connected = HttpPredictor::connect(&base, &self.name, "server", &task.output).await;
        let mut predictor = connected.map_err(|error| Error::server(&error))?;
        let mut file = NpzFile::open(&entry).map_err(|error| Error::server(&error))?;
        let samples =
            Samples::bind(&mut file, data, predictor.inputs()).map_err(|error| Error::server(&error))?;
        let mut timings = Timings::default();
        for place in 0..PREDICTIONS {
            let sample = spread(place, samples.count());
            let (_, request) = samples.request(sample).map_err(|error| Error::server(&error))?;
            let began = std::time::Instant::now();
            predictor.predict(&request).await.map_err(|error| Error::server(&error))?;
            timings.record(began.elapsed());
        }
        let summary = timings.summary();
        Ok(summary.map(|summary| Latency {
            requests: summary.requests,
            p50_ms: summary.p50_ms,
            p95_ms: summary.p95_ms,
        }))
    }

    /// Drains and ends it.
    pub(crate) async fn stop(self) {
        self.server.stop().await;
    }
}
