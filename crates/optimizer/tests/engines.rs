//! What steps do for the engine that is going to serve, on a model that only one of the two can run.
#![allow(clippy::unwrap_used, reason = "these are tests, helpers included")]

#[cfg(not(target_feature = "crt-static"))]
#[path = "../../artifacts/tests/common/distribution.rs"]
mod distribution;

use std::path::Path;

use prost::Message;
use serde_json::{Value, json};
use slipway_api::job::{FailureCategory, JobResult, JobSpec};
use slipway_artifacts::{FetchOptions, Location, RegistryOptions, Store, silent};
use slipway_model::onnx::OnnxModel;
use slipway_optimizer::work::{Context, run};
use tempfile::TempDir;

/// The files of the digits example, of whose model rten lacks an operator.
fn files() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/digits");
    std::fs::copy(example.join("holdout.npz"), folder.path().join("holdout.npz")).unwrap();
    let mut model = OnnxModel::open(example.join("model.onnx")).unwrap().proto().clone();
    let nodes = &mut model.graph.as_mut().unwrap().node;
    for node in nodes.iter_mut().filter(|node| node.op_type() == "Relu") {
        node.op_type = Some("Celu".to_owned());
    }
    std::fs::write(folder.path().join("model.onnx"), model.encode_to_vec()).unwrap();
    folder
}

/// A laptop's pipeline: files, a store and scratch space.
struct Pipeline {
    files: TempDir,
    registry: Value,
    context: Context,
}

impl Pipeline {
    fn new(location: impl FnOnce(&Path) -> Location, registry: Value) -> Self {
        let files = files();
        let host = registry["host"].as_str().unwrap_or_default().to_owned();
        let options = RegistryOptions { plain_http: vec![host], ..RegistryOptions::default() };
        let store = Store::open(&location(files.path()), &options).unwrap();
        let fetch = FetchOptions { files: Some(files.path().to_owned()), ..FetchOptions::default() };
        let scratch = files.path().to_owned();
        let context = Context {
            store,
            signing: None,
            fetch,
            scratch,
            progress: silent(),
            judges: None,
            fetch_anew: true,
        };
        Self { files, registry, context }
    }

    fn local() -> Self {
        let layout = |folder: &Path| Location::Layout { path: folder.join("layout") };
        Self::new(layout, json!({ "host": "none", "repository": "none" }))
    }

    /// A step whose key is a digit.
    fn spec(&self, key: u8, work: &Value) -> JobSpec {
        let key = format!("{key:0<64}");
        serde_json::from_value(json!({ "key": key, "step": "step", "registry": self.registry, "work": work }))
            .unwrap()
    }

    async fn step(&self, key: u8, work: Value) -> JobResult {
        run(&self.spec(key, &work), &self.context).await
    }

    /// The digest of the fetched model.
    async fn model(&self, key: u8, backend: &str) -> JobResult {
        let source = json!({ "uri": format!("file://{}", self.files.path().join("model.onnx").display()) });
        self.step(key, json!({ "source": { "source": source, "backend": backend } })).await
    }
}

/// A stage for an engine.
fn stage(input: &str, quantize: &Value, backend: &str) -> Value {
    json!({ "stage": {
        "stage": { "name": "small", "quantize": quantize }, "input": input, "backend": backend,
    } })
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_that_rten_lacks_is_refused_only_for_rten() {
    let pipeline = Pipeline::local();
    let refused = pipeline.model(0, "rten").await.failure.unwrap();
    assert_eq!(refused.category, FailureCategory::UnsupportedOperator);
    assert!(refused.message.contains("ai.onnx.Celu"), "{}", refused.message);
    let model = pipeline.model(1, "auto").await.output.unwrap();
    let dynamic = json!({ "dynamic": {} });
    let refused = pipeline.step(2, stage(&model, &dynamic, "rten")).await.failure.unwrap();
    assert_eq!(refused.category, FailureCategory::UnsupportedOperator);
    for (key, backend) in [(3, "auto"), (4, "onnxruntime")] {
        let made = pipeline.step(key, stage(&model, &dynamic, backend)).await;
        assert!(made.output.is_some(), "{backend}: {:?}", made.failure);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_have_the_form_of_the_engine() {
    let pipeline = Pipeline::local();
    let model = pipeline.model(1, "auto").await.output.unwrap();
    let four = json!({ "weightOnly": { "weights": "int4", "block": 128 } });
    let zero_points = json!({ "weightOnly": { "weights": "int4", "zeroPoints": true } });
    let made = |key, quantize: Value, backend| {
        let work = stage(&model, &quantize, backend);
        let pipeline = &pipeline;
        async move { pipeline.step(key, work).await }
    };
    let auto = made(2, four.clone(), "auto").await.size_bytes.unwrap();
    let named = made(3, four, "onnxruntime").await.size_bytes.unwrap();
    assert!(named < auto, "a block of 128 divides no depth of 64 or 160: {named} {auto}");
    assert!(made(4, zero_points.clone(), "onnxruntime").await.output.is_some());
    let refused = made(5, zero_points, "auto").await.failure.unwrap();
    assert!(refused.message.contains("zero points"), "{}", refused.message);
}

#[cfg(not(target_feature = "crt-static"))]
mod calibration {
    use std::{ffi::OsStr, path::PathBuf, process::Command};

    use slipway_optimizer::calibrate::Calibration;

    use super::*;

    /// The ONNX Runtime library that `SLIPWAY_ONNXRUNTIME` names, else the one that the scripts fetch.
    fn library() -> PathBuf {
        let home = || PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache/slipway");
        let cache = || std::env::var_os("SLIPWAY_CACHE").map_or_else(home, PathBuf::from);
        let named = std::env::var_os("SLIPWAY_ONNXRUNTIME").map(PathBuf::from);
        let folder = named.unwrap_or_else(|| cache().join("onnxruntime"));
        let mut files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        files.find(|file| file.to_string_lossy().contains("libonnxruntime.so")).unwrap()
    }

    /// The job's program with the library beside it, as in its image.
    fn program(folder: &Path) -> PathBuf {
        let (program, library) = (folder.join("slipway-job"), library());
        std::fs::copy(env!("CARGO_BIN_EXE_slipway-job"), &program).unwrap();
        std::os::unix::fs::symlink(&library, folder.join(library.file_name().unwrap())).unwrap();
        program
    }

    /// Runs a step as a pod does.
    fn job(program: &Path, spec: &JobSpec) -> JobResult {
        let folder = tempfile::tempdir().unwrap();
        let answer = folder.path().join("answer");
        let text = serde_json::to_string(spec).unwrap();
        // As the kubelet mounts it.
        let signing = folder.path().join("signing");
        std::fs::create_dir(&signing).unwrap();
        std::fs::write(signing.join(slipway_api::names::SIGNING_FIELD), [7; 32]).unwrap();
        let scratch = folder.path().as_os_str();
        let options = [
            OsStr::new("--signing"),
            signing.as_os_str(),
            OsStr::new("--scratch"),
            scratch,
            OsStr::new("--answer"),
        ];
        let ended = Command::new(program).args(["run", "--spec", &text]).args(options).arg(&answer).output();
        let words = String::from_utf8_lossy(&ended.unwrap().stderr).into_owned();
        serde_json::from_slice(&std::fs::read(&answer).expect(&words)).unwrap()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_job_calibrates_in_the_engine_that_it_is_told() {
        let Some(registry) = distribution::start() else { return };
        let repository = "default/net".to_owned();
        let location = |_: &Path| Location::Registry { host: registry.host.clone(), repository };
        let told = json!({ "host": registry.host, "repository": "default/net", "plainHttp": true });
        let pipeline = Pipeline::new(location, told);
        let folder = pipeline.files.path();
        let program = program(registry.dir.path());
        let model = pipeline.model(1, "auto").await.output.unwrap();
        let data = json!({
            "name": "usual", "source": { "uri": format!("file://{}", folder.join("holdout.npz").display()) },
        });
        let data_digest = pipeline.step(2, json!({ "data": { "data": data } })).await.output.unwrap();
        let work = |backend| {
            json!({ "calibrate": {
                "calibrate": { "data": "usual", "samples": 16 }, "input": model, "backend": backend,
                "data": data, "dataDigest": data_digest,
            } })
        };
        let refused = job(&program, &pipeline.spec(3, &work("rten"))).failure.unwrap();
        assert!(refused.message.contains("rten cannot run ai.onnx.Celu"), "{}", refused.message);
        for (key, backend) in [(4, "auto"), (5, "onnxruntime")] {
            let made = job(&program, &pipeline.spec(key, &work(backend)));
            let digest = made.output.unwrap_or_else(|| panic!("{backend}: {:?}", made.failure));
            let into = folder.join(backend);
            let limits = &pipeline.context.fetch.limits;
            let pulled =
                pipeline.context.store.pull(&digest.parse().unwrap(), &into, limits, &silent()).await;
            let calibration = Calibration::read(&pulled.unwrap().entry_path().unwrap()).unwrap();
            assert!(calibration.engine.starts_with("onnxruntime 1."), "{}", calibration.engine);
            assert_eq!(calibration.samples, 16);
            assert!(calibration.span("pixels").unwrap().high > 0.0);
            let fixed = json!({ "stage": {
                "stage": { "name": "small", "quantize": { "static": { "data": "usual" } } },
                "input": model, "calibration": digest, "backend": "onnxruntime",
            } });
            let made = pipeline.step(key + 2, fixed).await;
            assert!(made.output.is_some(), "{:?}", made.failure);
        }
    }
}

#[cfg(target_feature = "crt-static")]
#[tokio::test(flavor = "multi_thread")]
async fn a_program_without_onnx_runtime_says_which_image_has_it() {
    let pipeline = Pipeline::local();
    let model = pipeline.model(1, "auto").await.output.unwrap();
    let uri = format!("file://{}", pipeline.files.path().join("holdout.npz").display());
    let data = json!({ "name": "usual", "source": { "uri": uri } });
    let data_digest = pipeline.step(2, json!({ "data": { "data": data } })).await.output.unwrap();
    let work = json!({ "calibrate": {
        "calibrate": { "data": "usual" }, "input": model, "backend": "onnxruntime",
        "data": data, "dataDigest": data_digest,
    } });
    let refused = pipeline.step(3, work).await.failure.unwrap();
    assert!(refused.message.contains("slipway-job-onnxruntime"), "{}", refused.message);
}
