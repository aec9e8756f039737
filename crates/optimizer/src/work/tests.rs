//! What each step says of a disk that fails it.

use std::path::Path;

use serde_json::{Value, json};
use slipway_api::{Backend, job::Failure};
use slipway_artifacts::{Bundle, FetchOptions, Kind, Location, RegistryOptions, silent};
use slipway_server::{Config, serve};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::*;

/// A store with the digits example, and an empty folder for temporary files.
struct Bench {
    context: Context,
    scratch: TempDir,
    model: String,
    data: String,
}

fn example(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/digits").join(file)
}

impl Bench {
    async fn new() -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let context = context(&scratch.path().join("layout"));
        let model = put(&context, Kind::Model, &example("model.onnx")).await;
        let data = put(&context, Kind::Dataset, &example("holdout.npz")).await;
        Self { context, scratch, model, data }
    }

    /// Puts a folder where a step writes a file, or a file where it makes a folder.
    fn occupied(&self, name: &str, is_folder: bool) -> PathBuf {
        let scratch = self.scratch.path().join("occupied").join(name);
        let scratch = scratch.parent().unwrap();
        std::fs::create_dir_all(scratch).unwrap();
        let path = scratch.join(name);
        if is_folder { std::fs::create_dir(path) } else { std::fs::write(path, "") }.unwrap();
        scratch.to_owned()
    }
}

/// How the example's data is bound to its model.
fn set() -> Value {
    let source = json!({ "uri": "file:///holdout.npz" });
    json!({ "name": "usual", "source": source, "inputs": { "pixels": "pixels" }, "labels": "labels" })
}

/// An empty store in a folder.
pub(super) fn context(layout: &Path) -> Context {
    let location = Location::Layout { path: layout.to_owned() };
    Context {
        store: Store::open(&location, &RegistryOptions::default()).unwrap(),
        signing: None,
        fetch: FetchOptions::default(),
        scratch: layout.to_owned(),
        progress: silent(),
        judges: None,
        fetch_anew: false,
    }
}

/// Puts a file into a store; the digest of its artifact.
pub(super) async fn put(context: &Context, kind: Kind, file: &Path) -> String {
    let name = file.file_name().unwrap().to_str().unwrap();
    let mut bundle = Bundle::from_files(kind, [(name.parse().unwrap(), file.to_owned())]).unwrap();
    bundle.entry = Some(name.parse().unwrap());
    context.store.push(&bundle, &[], &silent()).await.unwrap().to_string()
}

fn is_of_the_disk(step: &str, failure: Option<Failure>) {
    let failure = failure.expect(step);
    let said = (failure.category.reason(), failure.retryable);
    assert_eq!(said, ("DiskFailed", true), "{step}: {}", failure.message);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fails_a_step_is_named_and_the_step_may_be_tried_again() {
    let bench = Bench::new().await;
    let stage = serde_json::from_value(json!({ "name": "small", "quantize": { "dynamic": {} } })).unwrap();
    let artifacts = stage::Artifacts { input: &bench.model, calibration: None, data: None };
    let scratch = bench.occupied("output", false);
    let failed = stage::run(&stage, artifacts, Backend::Auto, &bench.context, &scratch).await.err();
    is_of_the_disk("stage", failed);

    let calibrate = serde_json::from_value(json!({
        "calibrate": { "data": "usual", "samples": 1 }, "input": bench.model, "data": set(),
        "dataDigest": bench.data,
    }));
    let scratch = bench.occupied("calibration.json", true);
    let failed = calibrate::run(&calibrate.unwrap(), &bench.context, &scratch).await.err();
    is_of_the_disk("calibrate", failed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gate_that_cannot_write_its_samples_blames_the_disk() {
    let mut bench = Bench::new().await;
    let shutdown = CancellationToken::new();
    let mut running = serve(Config::local(example("model.onnx"), "net"), shutdown.clone()).await.unwrap();
    running.ready().await.unwrap();
    bench.context.judges = Some(Judges::at(running.addr, running.addr));
    let gate = serde_json::from_value(json!({
        "gate": {
            "data": "usual", "task": { "classification": { "output": "probabilities" } },
            "checks": [{ "name": "same", "parity": { "top1Agreement": "0.9" } }],
        },
        "data": set(), "dataDigest": bench.data, "candidate": bench.model, "baseline": bench.model,
        "candidatePort": 8081, "baselinePort": 8082, "modelName": "net",
    }));
    let scratch = bench.occupied("samples.golden", true);
    is_of_the_disk("gate", gate::run(&gate.unwrap(), &bench.context, &scratch).await.err());
    shutdown.cancel();
    running.ended().await;
}

#[tokio::test]
async fn a_report_that_cannot_be_written_is_the_disks_fault() {
    let bench = Bench::new().await;
    let registry = json!({ "host": "none", "repository": "vision/net" });
    let work = json!({ "data": { "data": set() } });
    let spec = json!({ "key": "1".repeat(64), "step": "data", "registry": registry, "work": work });
    let made = publish::StepOutput {
        kind: Kind::Dataset,
        files: vec![("data.npz".into(), example("holdout.npz"))],
        entry: "data.npz".into(),
        format: "npz",
        result: JobResult::default(),
        report: Value::Null,
    };
    let scratch = bench.occupied("report.json", true);
    let spec = serde_json::from_value(spec).unwrap();
    is_of_the_disk("publish", publish::push(&spec, &bench.context, made, &scratch).await.err());
}
