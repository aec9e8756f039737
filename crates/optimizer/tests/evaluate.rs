//! The digits example judged against itself, through two real servers.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests too")]

use std::path::{Path, PathBuf};

use serde_json::json;
use slipway_api::{DataSet, Gate, status::Verdict};
use slipway_model::npz::NpzFile;
use slipway_optimizer::evaluate::{
    HttpPredictor, Measured, PredictError, ReplayOptions, Samples, Sizes, judge, race, replay,
};
use slipway_server::{Config, Engine, EngineOptions, Running, golden::GoldenSamples, serve};
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
    let options = ReplayOptions { needs_labels: true };
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

    let golden = serde_json::to_vec(&evaluation.golden).unwrap();
    let golden = GoldenSamples::parse(&golden).unwrap();
    assert_eq!(golden.samples.len(), 8);
    let engine = Engine::load(&example("model.onnx"), &EngineOptions::default()).unwrap();
    golden.replay(&engine).unwrap();
    shutdown.cancel();
    server.ended().await;
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
