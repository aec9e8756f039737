//! The two servers that a gate drives, in this process instead of the gate's pod.

use std::{path::Path, time::Duration};

use slipway_api::{Backend, Serving, job::GateWork};
use slipway_artifacts::Digest;
use slipway_optimizer::work::{self, Context, Judges};
use slipway_server::{BackendChoice, Batching, Config, Drain, Running, SelfCheck, ServeError};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::error::Error;

/// A running server and the means to end it.
pub(crate) struct Started {
    pub(crate) running: Running,
    pub(crate) shutdown: CancellationToken,
}

impl Started {
    /// Drains and ends it.
    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        self.running.ended().await;
    }
}

/// Two running servers and the copies of the artifacts that they serve.
pub(crate) struct Servers {
    candidate: Started,
    baseline: Started,
    _models: TempDir,
}

/// Starts the candidate's and the baseline's server with the settings of the serving pods: the candidate in their engine,
/// the baseline in ONNX Runtime wherever that loads it.
pub(crate) async fn start(
    gate: &GateWork,
    context: &Context,
    object: &str,
    serving: &Serving,
) -> Result<Servers, Error> {
    let models = TempDir::with_prefix_in("judges-", &context.scratch)
        .map_err(|source| Error::Write { path: context.scratch.clone(), source })?;
    let mut running = Vec::new();
    for (name, digest) in [("candidate", &gate.candidate), ("baseline", &gate.baseline)] {
        let folder = models.path().join(name);
        let digest: Digest = digest.parse()?;
        context.store.pull(&digest, &folder, &context.fetch.limits, &context.progress).await?;
        let config = driven(config(&folder, &gate.model_name, serving));
        let backend = if name == "baseline" { BackendChoice::Auto } else { config.backend };
        let started = started(Config { backend, ..config }).await;
        running
            .push(started.map_err(|error| of_copy(error, &folder, &format!("{object}: the gate's {name}")))?);
    }
    let [candidate, baseline] =
        <[Started; 2]>::try_from(running).map_err(|_| Error::Server("two servers are needed".into()))?;
    Ok(Servers { candidate, baseline, _models: models })
}

/// A server's settings as the serving pods have them.
pub(crate) fn config(model: &Path, name: &str, serving: &Serving) -> Config {
    let runtime = serving.runtime.as_ref().and_then(|runtime| runtime.slipway.as_ref());
    let threads =
        runtime.and_then(|runtime| runtime.threads).and_then(|threads| usize::try_from(threads).ok());
    let batching = serving.batching.as_ref().map_or(Batching::OFF, |batching| Batching {
        max_size: usize::try_from(batching.max_size).unwrap_or(1),
        allow_cross_request_effects: batching.allow_cross_request_effects,
        max_delay: batching.max_delay.as_ref().map_or(Duration::from_millis(2), slipway_api::Duration::value),
    });
    let backend = work::choice(serving.backend().unwrap_or(Backend::Auto));
    Config { threads: threads.unwrap_or(1), backend, batching, ..Config::local(model, name) }
}

/// The settings of a server that this process alone asks: real samples follow, so made-up ones that it refuses are told
/// alone, and it waits for no client when it ends.
pub(crate) fn driven(config: Config) -> Config {
    let drain = Drain { linger: Duration::ZERO, ..config.drain };
    Config { self_check: SelfCheck::Warn, drain, ..config }
}

/// A server that has loaded its model and is ready.
pub(crate) async fn started(config: Config) -> Result<Started, Error> {
    let (shutdown, model) = (CancellationToken::new(), config.model.clone());
    let serving = slipway_server::serve(config, shutdown.clone()).await;
    let mut running = serving.map_err(|error| match error {
        ServeError::Files(_) | ServeError::Load(_) | ServeError::Golden(_) => Error::file(&model, &error),
        ServeError::Listen { .. } | ServeError::Thread(_) => Error::server(&error),
    })?;
    running.ready().await.map_err(|error| Error::file(&model, &error))?;
    Ok(Started { running, shutdown })
}

/// An error of a copy that is gone when it is read, in the name of what it is a copy of.
pub(crate) fn of_copy(error: Error, folder: &Path, what: &str) -> Error {
    let Error::Model(words) = error else { return error };
    let folder = folder.display();
    let words = words.replace(&format!("{folder}: "), "").replace(&format!("{folder}/"), "");
    Error::Model(format!("{what}: {words}"))
}

impl Servers {
    /// Their addresses.
    pub(crate) fn judges(&self) -> Judges {
        Judges::at(self.candidate.running.addr, self.baseline.running.addr)
    }

    /// Ends both.
    pub(crate) async fn stop(self) {
        self.candidate.stop().await;
        self.baseline.stop().await;
    }
}
