//! Starting a server, and its end.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::backend::LoadError;
use crate::config::{Config, SelfCheck};
use crate::engine::Engine;
use crate::files::{FilesError, ModelFiles};
use crate::golden::{GoldenError, GoldenSamples};
use crate::health::{Health, HealthCell};
use crate::metrics::{Metrics, ModelFacts};
use crate::net::{self, Inflow};
use crate::queue::{Batching, Capacity, Queue};
use crate::worker::Worker;

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// No model file was found.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// The model cannot be served.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The golden samples cannot be used.
    #[error(transparent)]
    Golden(#[from] GoldenError),
    /// A port is not free.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// The operating system refused a thread.
    #[error("cannot start the engine's thread")]
    Thread(#[source] std::io::Error),
}

/// A running server. Dropping it does not stop it: cancel the token that it was started with.
#[derive(Debug)]
pub struct Running {
    /// Where REST and gRPC listen.
    pub addr: SocketAddr,
    /// Where `/metrics` listens.
    pub metrics_addr: SocketAddr,
    /// The engine that computes, with its version, such as `onnxruntime 1.28.0`.
    pub engine: String,
    health: watch::Receiver<Health>,
    task: JoinHandle<()>,
}

/// The server will not become ready; the reason in words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotReady(pub String);

impl Running {
    /// What the server is doing now.
    pub fn health(&self) -> Health {
        self.health.borrow().clone()
    }

    /// Waits until requests are answered.
    ///
    /// # Errors
    /// Where that will not happen without a restart: a failed self-check, a broken engine, a shutdown.
    pub async fn ready(&mut self) -> Result<(), NotReady> {
        let settled = self.health.wait_for(|health| *health != Health::WarmingUp).await;
        match settled.as_deref() {
            Ok(Health::Ready) => Ok(()),
            Ok(other) => Err(NotReady(other.reason().to_owned())),
            Err(_) => Err(NotReady("the server has ended".to_owned())),
        }
    }

    /// Waits until the server's state is one of those wanted, or it has ended.
    pub async fn wait_for(&mut self, wanted: impl FnMut(&Health) -> bool) {
        // An error says that the server has ended: its last state stays readable.
        drop(self.health.wait_for(wanted).await);
    }

    /// Waits until the server has drained and ended.
    pub async fn ended(self) {
        // The task neither panics nor is it aborted: it only ends.
        drop(self.task.await);
    }
}

/// Loads the model, listens, and serves until `shutdown` is cancelled; then drains.
///
/// It returns as soon as it listens: warm-up and self-check follow, see [`Running::ready`].
///
/// # Errors
/// See [`ServeError`].
pub async fn serve(config: Config, shutdown: CancellationToken) -> Result<Running, ServeError> {
    let sockets = Sockets::open(&config).await?;
    // A model may be large: neither reading nor optimising it belongs on a thread that serves sockets.
    let loaded = tokio::task::spawn_blocking(move || load(&config).map(|loaded| (config, loaded))).await;
    let (config, loaded) = loaded.unwrap_or_else(|panic| {
        Err(LoadError::Refused { engine: "the engine", message: panic.to_string() }.into())
    })?;
    start(&config, loaded, sockets, shutdown)
}

/// As [`serve`], with an engine that is already loaded; the configuration's paths are not used.
///
/// # Errors
/// See [`ServeError`].
pub async fn serve_engine(
    config: Config,
    engine: Engine,
    golden: Option<GoldenSamples>,
    shutdown: CancellationToken,
) -> Result<Running, ServeError> {
    let sockets = Sockets::open(&config).await?;
    start(&config, Loaded { engine, golden, digest: None }, sockets, shutdown)
}

/// Both ports, bound.
struct Sockets {
    http: TcpListener,
    addr: SocketAddr,
    metrics: TcpListener,
    metrics_addr: SocketAddr,
}

impl Sockets {
    async fn open(config: &Config) -> Result<Self, ServeError> {
        let (http, addr) = listen(config.http).await?;
        let (metrics, metrics_addr) = listen(config.metrics).await?;
        Ok(Self { http, addr, metrics, metrics_addr })
    }
}

async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), ServeError> {
    let failed = |source| ServeError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

/// What is served.
struct Loaded {
    engine: Engine,
    golden: Option<GoldenSamples>,
    digest: Option<String>,
}

fn load(config: &Config) -> Result<Loaded, ServeError> {
    let files = ModelFiles::find(&config.model)?;
    let golden = match (&config.golden, config.self_check) {
        (_, SelfCheck::Off) => None,
        (Some(path), _) => Some(GoldenSamples::read(path)?),
        (None, _) => files.golden.as_deref().map(GoldenSamples::read).transpose()?,
    };
    // The gate says so where not even one sample fits.
    let golden = golden.filter(|golden| !golden.samples.is_empty());
    let engine = Engine::load(&files.model, &config.engine())?;
    Ok(Loaded { engine, golden, digest: files.digest })
}

fn start(
    config: &Config,
    loaded: Loaded,
    sockets: Sockets,
    shutdown: CancellationToken,
) -> Result<Running, ServeError> {
    let (app, worker) = assemble(config, loaded);
    let health = app.health.subscribe();
    worker.spawn().map_err(ServeError::Thread)?;
    let Sockets { http, addr, metrics, metrics_addr } = sockets;
    let (engine, version) = (app.engine.name(), app.engine.version());
    tracing::info!(%addr, %metrics_addr, model = app.name, engine, version, "listening");
    let drain = config.drain;
    let engine = format!("{engine} {version}");
    let task = tokio::spawn(async move {
        let scrapes = tokio::spawn(net::serve_metrics(metrics, Arc::clone(&app.metrics)));
        net::serve(http, Arc::clone(&app), drain, shutdown).await;
        app.queue.close();
        scrapes.abort();
    });
    Ok(Running { addr, metrics_addr, engine, health, task })
}

fn assemble(config: &Config, loaded: Loaded) -> (Arc<App>, Worker) {
    let Loaded { engine, golden, digest } = loaded;
    let limits = config.limits;
    let queue = Arc::new(Queue::new(Capacity { jobs: limits.queued_requests, bytes: limits.queued_bytes }));
    let facts = ModelFacts {
        name: &config.name,
        revision: config.revision.as_deref().unwrap_or_default(),
        digest: digest.as_deref().unwrap_or_default(),
        backend: engine.name(),
        backend_version: engine.version(),
        accuracy: config.accuracy,
    };
    let metrics = Arc::new(Metrics::new(&facts, Arc::clone(&queue)));
    let engine = Arc::new(engine);
    let health = Arc::new(HealthCell::new());
    let worker = Worker {
        batching: batching(config.batching, &engine),
        engine: Arc::clone(&engine),
        queue: Arc::clone(&queue),
        health: Arc::clone(&health),
        metrics: Arc::clone(&metrics),
        golden,
        self_check: config.self_check,
    };
    let (name, revision) = (config.name.clone(), config.revision.clone());
    let inflow = Arc::new(Inflow::new(limits.queued_bytes));
    (Arc::new(App { engine, queue, health, metrics, name, revision, limits, inflow }), worker)
}

fn batching(wanted: Batching, engine: &Engine) -> Batching {
    if wanted.max_size > 1 && !engine.can_batch() {
        tracing::warn!("batching is off: the first axis of the model's inputs and outputs does not vary");
        return Batching::OFF;
    }
    wanted
}
