//! Keys: the name of a piece of work, made of everything that its result depends on and of nothing else.
//!
//! Keys are SHA-256 over canonical JSON, 64 hexadecimal characters. Fields at their defaults are not in the text, so
//! a new field with a default moves no key; `tests/golden_keys.rs` holds keys that must never move.

use serde::Serialize;
use serde_json::{Value, json};
use slipway_api::{
    Backend, DataSet, Gate, ModelFormat, Serving, Source, Stage, StageKind, canonical_json,
    job::StageData,
    sha256_hex,
    stage::{BiasCorrection, Quantize, Smooth, Static, StoredType, WeightOnly},
};

/// Counts up when the meaning of a key's text changes, which recomputes everything.
const VERSION: u8 = 2;
/// The engine and processor family that steps work for.
const RTEN: &str = "rten-amd64";
/// The same for the other engine.
const ONNXRUNTIME: &str = "ort-amd64";

/// Whose operators a model may have.
fn operators(backend: Backend) -> &'static str {
    if backend.may_be_onnxruntime() { ONNXRUNTIME } else { RTEN }
}

/// Whose forms a stage writes.
fn forms(backend: Backend) -> &'static str {
    if backend.may_be_rten() { RTEN } else { ONNXRUNTIME }
}

/// What runs a model on data, and whose forms are written then.
fn on_data(backend: Backend) -> &'static str {
    match backend {
        Backend::Auto => "auto-amd64",
        Backend::Rten => RTEN,
        Backend::Onnxruntime => ONNXRUNTIME,
    }
}

fn key(kind: &str, inputs: &Value) -> String {
    sha256_hex(canonical_json(&json!({ "version": VERSION, "kind": kind, "inputs": inputs })))
}

/// What of a source decides which bytes it gives; credentials do not.
fn origin(source: &Source) -> Value {
    let Source { uri, file, digest, credentials_secret_ref: _ } = source;
    json!({ "uri": uri, "file": file, "digest": digest })
}

/// The key of fetching a model; one that ONNX Runtime may serve is not refused for its operators.
pub fn source(source: &Source, format: Option<ModelFormat>, backend: Backend) -> String {
    let preset = operators(backend);
    key("source", &json!({ "source": origin(source), "format": format, "preset": preset }))
}

/// The key of fetching a data set; how it is bound to a model is not part of it.
pub fn data(data: &DataSet) -> String {
    let DataSet { name: _, source, format, inputs: _, lengths: _, labels: _ } = data;
    key("data", &json!({ "source": origin(source), "format": format }))
}

/// The key of applying a stage to an artifact, with the calibration or the data where it needs one; the names of stage
/// and data set are not part of it, nor what the calibration says already. Of the engine's name those kinds ask whose
/// output it changes.
pub fn stage(
    stage: &Stage,
    input_digest: &str,
    calibration: Option<&str>,
    data: Option<&StageData>,
    backend: Backend,
) -> String {
    let (kind, preset) = match stage.kind() {
        Some(StageKind::Quantize(quantize)) => {
            let preset = if data.is_some() { on_data(backend) } else { forms(backend) };
            (json!({ "quantize": without_names(quantize) }), preset)
        }
        Some(StageKind::Smooth(smooth)) => {
            let alpha = smooth.alpha.clone().filter(|alpha| alpha.as_str() != Smooth::ALPHA);
            (
                json!({ "smooth": Smooth { data: String::new(), alpha, samples: smooth.samples } }),
                on_data(backend),
            )
        }
        Some(StageKind::Simplify(simplify)) => (json!({ "simplify": simplify }), RTEN),
        None => (Value::Null, RTEN),
    };
    let mut inputs =
        json!({ "stage": kind, "input": input_digest, "calibration": calibration, "preset": preset });
    if let Some(StageData { data, digest }) = data {
        inputs["data"] = json!({ "binding": binding(data), "digest": digest });
    }
    key("stage", &inputs)
}

/// Which arrays go to which inputs of a model, and how much of them.
fn binding(data: &DataSet) -> Value {
    let DataSet { name: _, source: _, format: _, inputs, lengths, labels: _ } = data;
    let mut binding = json!({ "inputs": inputs });
    if !lengths.is_empty() {
        binding["lengths"] = json!(lengths);
    }
    binding
}

/// A quantization without what decides its calibration, without the name of its data and without the block that it has
/// anyway.
fn without_names(quantize: &Quantize) -> Quantize {
    let fixed = quantize.r#static.as_ref().map(|fixed| {
        let Static { data: _, range: _, percentile: _, samples: _, granularity } = fixed;
        Static { granularity: *granularity, ..Static::on("") }
    });
    let weight_only = quantize.weight_only.clone().map(|spec| {
        let data = spec.data.as_ref().map(|_| String::new());
        let usual = spec.weights == StoredType::Int4 && spec.block == Some(WeightOnly::BLOCK);
        let block = spec.block.filter(|_| !usual);
        WeightOnly { data, block, ..spec }
    });
    let bias_correction = quantize
        .bias_correction
        .as_ref()
        .map(|BiasCorrection { data: _, samples }| BiasCorrection { data: String::new(), samples: *samples });
    Quantize { r#static: fixed, weight_only, bias_correction, ..quantize.clone() }
}

/// The key of running an artifact on data for the ranges of its activations.
pub fn calibration(
    spec: &Static,
    data: &DataSet,
    input_digest: &str,
    data_digest: &str,
    backend: Backend,
) -> String {
    let Static { data: _, range, percentile, samples, granularity: _ } = spec;
    let ranges = json!({ "range": range, "percentile": percentile, "samples": samples });
    let binding = binding(data);
    let artifacts = json!({ "input": input_digest, "data": data_digest });
    let preset = on_data(backend);
    key(
        "calibration",
        &json!({ "ranges": ranges, "binding": binding, "artifacts": artifacts, "preset": preset }),
    )
}

/// The artifacts that a gate looks at, by digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GateInputs<'a> {
    /// The artifact that is judged.
    pub candidate: &'a str,
    /// The artifact that it is compared with.
    pub baseline: &'a str,
    /// The data set.
    pub data: &'a str,
}

/// The key of judging an artifact: artifacts, checks, the data's binding, and the engine that will serve; for a check of
/// latency also what else decides it.
pub fn gate(gate: &Gate, data: &DataSet, serving: &Serving, inputs: GateInputs<'_>) -> String {
    let Gate { data: _, baseline: _, task, confidence, on_inconclusive: _, min_samples, checks } = gate;
    let judged = json!({
        "task": task,
        "confidence": confidence,
        "minSamples": min_samples,
        "checks": checks,
    });
    let mut binding = binding(data);
    binding["labels"] = json!(data.labels);
    let mut key_of =
        json!({ "gate": judged, "binding": binding, "artifacts": inputs, "runtime": serving.runtime });
    if checks.iter().any(|check| check.latency.is_some()) {
        key_of["speed"] = json!({ "resources": serving.resources, "batching": serving.batching });
    }
    key("gate", &key_of)
}

/// The hash of what a revision is made of: the artifact and everything that decides how it is served.
///
/// Replica counts, the Service, monitoring, images and chart settings are not part of it.
pub fn revision(name: &str, artifact_digest: &str, serving: &Serving) -> String {
    let Serving { runtime, model_name, service: _, replicas: _, batching, resources, startup_deadline, pod } =
        serving;
    let identity = json!({
        "version": VERSION,
        "name": name,
        "artifact": artifact_digest,
        "runtime": runtime,
        "modelName": model_name,
        "batching": batching,
        "resources": resources,
        "startupDeadline": startup_deadline,
        "pod": pod,
    });
    slipway_api::names::revision_hash(&canonical_json(&identity))
}
