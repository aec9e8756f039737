//! Servers on free ports, small models, and a client over one connection.
#![allow(dead_code, reason = "each test file uses its own part")]
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, unreachable_pub, reason = "shared code of tests")]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use slipway_model::onnx::build::ModelBuilder;
use slipway_server::golden::{GoldenOutput, GoldenSample, GoldenSamples};
use slipway_server::{
    Backend, BackendChoice, Config, DataType, Drain, Engine, EngineOptions, NamedTensor, RunError, Running,
    Tensor, TensorData, TensorSpec, serve, serve_engine,
};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Makes each named function a test of its own for every engine that is built in.
#[macro_export]
macro_rules! for_each_engine {
    ($($test:ident),+ $(,)?) => {
        mod rten {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test(slipway_server::BackendChoice::Rten).await;
            })+
        }
        #[cfg(not(target_feature = "crt-static"))]
        mod onnxruntime {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test(slipway_server::BackendChoice::OnnxRuntime).await;
            })+
        }
    };
}

/// An engine with one thread, and where its library is.
pub fn engine(backend: BackendChoice) -> EngineOptions {
    let library = cfg!(not(target_feature = "crt-static")).then(library);
    EngineOptions { backend, library, ..EngineOptions::default() }
}

/// The folder of caches that the scripts fill.
pub fn cache() -> PathBuf {
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache/slipway");
    std::env::var_os("SLIPWAY_CACHE").map_or_else(home, PathBuf::from)
}

/// The ONNX Runtime library that `SLIPWAY_ONNXRUNTIME` names, else the one that the scripts fetch.
pub fn library() -> PathBuf {
    let fetched = || cache().join("onnxruntime");
    let path = std::env::var_os("SLIPWAY_ONNXRUNTIME").map_or_else(fetched, PathBuf::from);
    assert!(path.exists(), "there is no {}: run scripts/onnxruntime.sh", path.display());
    path
}

/// The engine's name in metrics and metadata.
pub fn name(backend: BackendChoice) -> &'static str {
    match backend {
        BackendChoice::Auto => panic!("a test names its engine"),
        BackendChoice::Rten => "rten",
        BackendChoice::OnnxRuntime => "onnxruntime",
    }
}

/// A running server and what stops it.
pub struct Server {
    pub running: Running,
    pub stop: CancellationToken,
    files: Option<TempDir>,
}

impl Server {
    pub async fn ended(self) {
        self.stop.cancel();
        self.running.ended().await;
    }
}

/// y = x + x, with a first axis that varies.
pub fn doubling() -> ModelBuilder {
    ModelBuilder::new().input("x", &[-1, 2]).output("y", &[-1, 2]).node("Add", &["x", "x"], &["y"])
}

pub fn write(model: &ModelBuilder, name: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    model.write(&path).unwrap();
    (folder, path)
}

pub fn config(path: impl Into<PathBuf>) -> Config {
    Config {
        drain: Drain { linger: Duration::from_millis(300), timeout: Duration::from_secs(10) },
        ..Config::local(path, "doubler")
    }
}

/// Serves a model from its file, once it is ready.
pub async fn start(backend: BackendChoice, model: &ModelBuilder, adjust: impl FnOnce(&mut Config)) -> Server {
    let (files, path) = write(model, "model.onnx");
    let mut server = serve_file(backend, path, adjust).await;
    server.files = Some(files);
    server
}

/// Serves a model file, once it is ready.
pub async fn serve_file(
    backend: BackendChoice,
    path: impl Into<PathBuf>,
    adjust: impl FnOnce(&mut Config),
) -> Server {
    let EngineOptions { backend, library, .. } = engine(backend);
    let mut config = Config { backend, onnxruntime_library: library, ..config(path) };
    adjust(&mut config);
    let stop = CancellationToken::new();
    let mut running = serve(config, stop.clone()).await.unwrap();
    running.ready().await.unwrap();
    Server { running, stop, files: None }
}

/// Serves any engine, once it has warmed up.
pub async fn start_engine(
    backend: impl Backend,
    golden: Option<GoldenSamples>,
    adjust: impl FnOnce(&mut Config),
) -> Server {
    let mut config = config("");
    adjust(&mut config);
    let stop = CancellationToken::new();
    let engine = Engine::from_backend(Box::new(backend));
    let mut running = serve_engine(config, engine, golden, stop.clone()).await.unwrap();
    // Settled: ready, or never to be; the tests look themselves.
    drop(running.ready().await);
    Server { running, stop, files: None }
}

/// Inputs of `rows` rows that differ in every element and are the same in every run.
pub fn pseudo_inputs(engine: &Engine, rows: usize) -> Vec<Tensor> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        u8::try_from(state >> 24).unwrap()
    };
    let tensor = |spec: &TensorSpec| {
        let shape: Vec<usize> = spec.shape.iter().flatten().map(|size| size.unwrap_or(rows)).collect();
        let values = (0..shape.iter().product()).map(|_| next());
        let data = match spec.datatype {
            DataType::Fp32 => TensorData::Fp32(values.map(|value| f32::from(value) / 255.0).collect()),
            DataType::Int32 => TensorData::Int32(values.map(i32::from).collect()),
            DataType::Int64 => TensorData::Int64(values.map(i64::from).collect()),
            other => panic!("no inputs of {other} yet"),
        };
        Tensor::new(shape, data).unwrap()
    };
    engine.inputs().iter().map(tensor).collect()
}

/// One sample of the doubling model, whose answer may differ by so much.
pub fn golden(output: [f32; 2], tolerance: f64) -> GoldenSamples {
    let tensor = |values: [f32; 2]| Tensor::new(vec![1, 2], TensorData::Fp32(values.to_vec())).unwrap();
    let input = NamedTensor { name: "x".to_owned(), tensor: tensor([1.0, 2.0]) };
    let output = GoldenOutput { name: "y".to_owned(), tensor: tensor(output), tolerance, class: None };
    GoldenSamples { samples: vec![GoldenSample { inputs: vec![input], outputs: vec![output] }] }
}

/// One keep-alive connection.
pub struct Client(SendRequest<Full<Bytes>>);

pub type Answer = (StatusCode, HeaderMap, Bytes);

impl Client {
    pub async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Self(sender)
    }

    pub async fn try_send(&mut self, request: Request<Full<Bytes>>) -> Result<Answer, hyper::Error> {
        self.0.ready().await?;
        let (parts, body) = self.0.send_request(request).await?.into_parts();
        Ok((parts.status, parts.headers, body.collect().await?.to_bytes()))
    }

    pub async fn get(&mut self, path: &str) -> (StatusCode, Value) {
        let request = Request::get(path).header("host", "test").body(Full::default()).unwrap();
        let (status, _, body) = self.try_send(request).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap())
    }

    pub async fn text(&mut self, path: &str) -> String {
        let request = Request::get(path).header("host", "test").body(Full::default()).unwrap();
        let (_, _, body) = self.try_send(request).await.unwrap();
        String::from_utf8(body.to_vec()).unwrap()
    }

    pub async fn post(&mut self, path: &str, body: impl Into<Bytes>) -> (StatusCode, Value) {
        let (status, _, body) = self.try_send(post(path, &[], body)).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap())
    }

    pub async fn infer(&mut self, body: impl Into<Bytes>) -> (StatusCode, Value) {
        self.post("/v2/models/doubler/infer", body).await
    }
}

pub fn post(path: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    let mut request = Request::post(path).header("host", "test");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Full::new(body.into())).unwrap()
}

/// A request for the doubling model.
pub fn row(a: f32, b: f32) -> String {
    format!(r#"{{"inputs":[{{"name":"x","datatype":"FP32","shape":[1,2],"data":[{a},{b}]}}]}}"#)
}

/// Holds runs while it is closed, and tells how many have come.
#[derive(Clone)]
pub struct Turnstile {
    came: watch::Sender<usize>,
    open: Arc<(Mutex<bool>, Condvar)>,
}

impl Default for Turnstile {
    fn default() -> Self {
        Self { came: watch::Sender::new(0), open: Arc::new((Mutex::new(true), Condvar::new())) }
    }
}

impl Turnstile {
    pub fn close(&self) {
        *self.open.0.lock().unwrap() = false;
    }

    pub fn open(&self) {
        *self.open.0.lock().unwrap() = true;
        self.open.1.notify_all();
    }

    /// Waits until so many runs have begun, the warm-up included.
    pub async fn came(&self, runs: usize) {
        self.came.subscribe().wait_for(|came| *came >= runs).await.unwrap();
    }

    /// How many runs have begun, the warm-up included.
    pub fn runs(&self) -> usize {
        *self.came.borrow()
    }

    fn pass(&self) {
        self.came.send_modify(|came| *came += 1);
        let open = self.open.0.lock().unwrap();
        drop(self.open.1.wait_while(open, |open| !*open).unwrap());
    }
}

/// An engine for tests: doubles, remembers how many rows each run had, and does as it is told by values.
#[derive(Default)]
pub struct Puppet {
    pub turnstile: Turnstile,
    pub runs: Arc<Mutex<Vec<usize>>>,
    pub broken: Arc<AtomicBool>,
    pub specs: Specs,
}

pub struct Specs([TensorSpec; 1], [TensorSpec; 1]);

impl Default for Specs {
    fn default() -> Self {
        let spec = |name: &str| {
            let shape = Some(vec![None, Some(2)]);
            [TensorSpec { name: name.to_owned(), datatype: DataType::Fp32, shape }]
        };
        Self(spec("x"), spec("y"))
    }
}

/// A value that makes the puppet panic.
pub const PANIC: f32 = 666.0;
/// A value that the puppet refuses.
pub const REFUSED: f32 = 13.0;
/// A value that makes the puppet fail.
pub const FAILS: f32 = 500.0;

impl Backend for Puppet {
    fn name(&self) -> &'static str {
        "puppet"
    }

    fn version(&self) -> &'static str {
        "1"
    }

    fn inputs(&self) -> &[TensorSpec] {
        &self.specs.0
    }

    fn outputs(&self) -> &[TensorSpec] {
        &self.specs.1
    }

    fn run(&self, inputs: Vec<Tensor>) -> Result<Vec<Tensor>, RunError> {
        let (shape, data) = inputs.into_iter().next().unwrap().into_parts();
        let TensorData::Fp32(values) = data else { panic!("wrong type") };
        self.runs.lock().unwrap_or_else(PoisonError::into_inner).push(shape[0]);
        let crash = values.contains(&PANIC) || self.broken.load(Ordering::SeqCst);
        assert!(!crash, "as told");
        if values.contains(&REFUSED) {
            return Err(RunError::Input("unlucky".to_owned()));
        }
        if values.contains(&FAILS) {
            return Err(RunError::Engine("secret detail".to_owned()));
        }
        self.turnstile.pass();
        let doubled = values.iter().map(|value| value * 2.0).collect();
        Ok(vec![Tensor::new(shape, TensorData::Fp32(doubled)).unwrap()])
    }
}
