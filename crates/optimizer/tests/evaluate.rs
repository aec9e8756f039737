//! The digits example judged against itself, through two real servers.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests too")]

#[path = "common/npz.rs"]
mod npz;

use std::path::{Path, PathBuf};
use std::time::Duration;

use npz::npz;
use serde_json::json;
use slipway_api::{DataSet, Gate, status::Verdict};
use slipway_model::npz::NpzFile;
use slipway_optimizer::evaluate::{
    self, HttpPredictor, Measured, PredictError, ReplayOptions, Samples, Sizes, judge, race, replay,
};
use slipway_server::{
    Backend, Config, DataType, Engine, EngineOptions, RunError, Running, Tensor, TensorData, TensorSpec,
    golden::GoldenSamples, serve, serve_engine,
};
use tokio_util::sync::CancellationToken;

fn example(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/digits").join(file)
}

fn data() -> DataSet {
    let source = json!({ "uri": "file:///holdout.npz" });
    let inputs = json!({ "pixels": "pixels" });
    serde_json::from_value(
        json!({ "name": "holdout", "source": source, "inputs": inputs, "labels": "labels" }),
    )
    .unwrap()
}

fn gate() -> Gate {
    serde_json::from_value(json!({
        "data": "holdout",
        "task": { "classification": { "output": "probabilities" } },
        "minSamples": 700,
        "checks": [
            { "name": "acc", "accuracy": { "minimum": "0.93", "maxDrop": "0.02" } },
            { "name": "same", "parity": { "top1Agreement": "0.97" } },
            { "name": "small", "size": { "maxRatio": "0.35" } },
            { "name": "fast", "latency": { "p95": "1m" } },
        ],
    }))
    .unwrap()
}

async fn started() -> (Running, CancellationToken) {
    let shutdown = CancellationToken::new();
    let mut running = serve(Config::local(example("model.onnx"), "digits"), shutdown.clone()).await.unwrap();
    running.ready().await.unwrap();
    (running, shutdown)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_digits_network_measures_what_its_training_printed() {
    let (server, shutdown) = started().await;
    let base = format!("http://{}", server.addr);
    let mut candidate = HttpPredictor::connect(&base, "digits", "candidate", "probabilities").await.unwrap();
    let mut baseline = candidate.clone();
    let mut file = NpzFile::open(example("holdout.npz")).unwrap();
    let samples = Samples::bind(&mut file, &data(), candidate.inputs()).unwrap();
    let options = ReplayOptions { output: "probabilities", needs_labels: true };
    let evaluation = replay(&samples, &mut candidate, &mut baseline, options, |_| {}).await.unwrap();

    let measured = Measured {
        tally: evaluation.tally,
        sizes: Sizes { candidate: 100, baseline: 100 },
        race: Some(race(&samples, &mut candidate, &mut baseline, 100, |_| {}).await.unwrap()),
    };
    let status = judge(&gate(), &measured);
    let verdicts: Vec<_> = status.checks.iter().map(|check| check.verdict).collect();
    let [pass, fail] = [Verdict::Pass, Verdict::Fail];
    assert_eq!(verdicts, [pass, pass, pass, fail, pass], "{status:?}");
    assert_eq!(status.checks[4].n, 100, "each was asked a hundred times");
    assert_eq!((status.samples, status.accuracy.as_deref()), (720, Some("0.9833")));
    assert_eq!(evaluation.tally.agreed, 720, "a model agrees with itself");

    let golden = GoldenSamples::parse(&evaluation.recorded.golden.to_bytes().unwrap()).unwrap();
    assert_eq!(golden.samples.len(), 8);
    let engine = Engine::load(&example("model.onnx"), &EngineOptions::default()).unwrap();
    golden.replay(&engine).unwrap();
    shutdown.cancel();
    server.ended().await;
}

/// An engine that takes a while, whatever it is given.
struct Slow(Duration, [TensorSpec; 2]);

impl Backend for Slow {
    fn name(&self) -> &'static str {
        "slow"
    }
    fn version(&self) -> &'static str {
        "1"
    }
    fn inputs(&self) -> &[TensorSpec] {
        &self.1[..1]
    }
    fn outputs(&self) -> &[TensorSpec] {
        &self.1[1..]
    }
    fn run(&self, _: Vec<Tensor>) -> Result<Vec<Tensor>, RunError> {
        std::thread::sleep(self.0);
        Ok(vec![Tensor::new(vec![1, 1], TensorData::Fp32(vec![1.0])).unwrap()])
    }
}

/// How many numbers a sample has for [`Slow`].
const MANY: usize = 250_000;

async fn slow(time: Duration, shutdown: &CancellationToken) -> (Running, HttpPredictor) {
    let spec = |name: &str, size| TensorSpec {
        name: name.to_owned(),
        datatype: DataType::Fp32,
        shape: Some(vec![None, Some(size)]),
    };
    let backend = Slow(time, [spec("x", MANY), spec("y", 1)]);
    let engine = Engine::from_backend(Box::new(backend));
    let mut running = serve_engine(Config::local("", "slow"), engine, None, shutdown.clone()).await.unwrap();
    running.ready().await.unwrap();
    let url = format!("http://{}", running.addr);
    let predictor = HttpPredictor::connect_to_all(&url, "slow", "server").await.unwrap();
    (running, predictor)
}

/// One sample for [`Slow`].
fn many() -> Samples {
    let values = 0.123_456_79_f32.to_le_bytes().repeat(MANY);
    let mut file = npz(&[("x", "<f4", &format!("(1, {MANY})"), values)]);
    let data =
        serde_json::from_value(json!({ "name": "many", "source": { "uri": "file:///x.npz" } })).unwrap();
    let shape = vec![-1, i64::try_from(MANY).unwrap()];
    let spec = evaluate::TensorSpec { name: "x".to_owned(), datatype: DataType::Fp32, shape };
    Samples::bind(&mut file, &data, &[spec]).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_timed_is_the_model_and_not_the_writing_of_a_large_request() {
    let shutdown = CancellationToken::new();
    let (first, mut candidate) = slow(Duration::from_millis(20), &shutdown).await;
    let (second, mut baseline) = slow(Duration::from_millis(10), &shutdown).await;
    let race = race(&many(), &mut candidate, &mut baseline, 30, |_| {}).await.unwrap();
    let [ours, theirs] = [race.candidate, race.baseline].map(|times| times.summary().unwrap().p50_ms);
    assert!(ours / theirs > 1.5, "twice as slow, and measured {ours} against {theirs} ms");
    shutdown.cancel();
    drop((candidate, baseline));
    first.ended().await;
    second.ended().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_server_does_not_have_is_named() {
    let (server, shutdown) = started().await;
    let base = format!("http://{}", server.addr);
    let error = HttpPredictor::connect(&base, "digits", "candidate", "logits").await.unwrap_err();
    assert_eq!(error.to_string(), "the candidate has no output \"logits\"; it gives probabilities");
    let error = HttpPredictor::connect(&base, "letters", "baseline", "probabilities").await.unwrap_err();
    assert!(matches!(error, PredictError::Refused { role: "baseline", status: 404, .. }), "{error}");
    shutdown.cancel();
    server.ended().await;
    let error = HttpPredictor::connect(&base, "digits", "candidate", "probabilities").await.unwrap_err();
    assert!(matches!(error, PredictError::Unreachable { role: "candidate", .. }), "{error}");
}
