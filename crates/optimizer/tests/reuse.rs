//! What a step believes of the artifact that lies under its tag, and when it does the work anew.
#![allow(clippy::unwrap_used, reason = "these are tests, helpers included")]

use std::path::Path;

use serde_json::{Value, json};
use slipway_api::{
    job::{FailureCategory, JobResult, JobSpec},
    names,
    status::{GateStatus, Verdict},
};
use slipway_artifacts::{
    Bundle, Digest, FetchOptions, Kind, Layout, Location, RegistryOptions, SigningKey, Statement, Store, Tag,
    silent,
};
use slipway_optimizer::work::{Context, run};
use tempfile::TempDir;

/// A store, and a data set to fetch.
struct Bench {
    folder: TempDir,
    context: Context,
}

/// What somebody put under a step's tag.
struct Found {
    kind: Kind,
    key: String,
    inputs: Vec<String>,
    result: JobResult,
}

impl Found {
    /// What the step itself would have recorded.
    fn of(spec: &JobSpec) -> Self {
        Self { kind: Kind::Dataset, key: spec.key.clone(), inputs: Vec::new(), result: JobResult::default() }
    }
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/digits");
        for file in ["model.onnx", "holdout.npz"] {
            std::fs::copy(example.join(file), folder.path().join(file)).unwrap();
        }
        let location = Location::Layout { path: folder.path().join("layout") };
        let context = Context {
            store: Store::open(&location, &RegistryOptions::default()).unwrap(),
            signing: None,
            fetch: FetchOptions { files: Some(folder.path().to_owned()), ..FetchOptions::default() },
            scratch: folder.path().to_owned(),
            progress: silent(),
            judges: None,
            fetch_anew: false,
        };
        Self { folder, context }
    }

    fn source(&self, file: &str) -> Value {
        json!({ "uri": format!("file://{}", self.folder.path().join(file).display()) })
    }

    fn set(&self) -> Value {
        json!({ "name": "usual", "source": self.source("holdout.npz"), "inputs": { "pixels": "pixels" } })
    }

    /// The step that fetches the data set.
    fn data(&self) -> JobSpec {
        spec(1, &json!({ "data": { "data": self.set() } }))
    }

    async fn run(&self, spec: &JobSpec) -> JobResult {
        run(spec, &self.context).await
    }

    /// Puts an artifact under the tag of a step.
    async fn put(&self, spec: &JobSpec, found: Found) -> Digest {
        let file = self.folder.path().join("theirs");
        std::fs::write(&file, "theirs").unwrap();
        let mut bundle = Bundle::from_files(found.kind, [("theirs".parse().unwrap(), file)]).unwrap();
        bundle.lineage.key = Some(found.key);
        bundle.lineage.inputs = found.inputs.iter().map(|digest| digest.parse().unwrap()).collect();
        bundle.facts = Some(json!(found.result));
        self.context.store.push(&bundle, &[tag(spec)], &silent()).await.unwrap()
    }

    /// Puts a signature of an artifact under the tag of a step's signature.
    async fn put_signature(&self, spec: &JobSpec, signature: &str) {
        let file = self.folder.path().join("signature.json");
        std::fs::write(&file, "{}").unwrap();
        let path = "signature.json".parse().unwrap();
        let mut bundle = Bundle::from_files(Kind::Signature, [(path, file)]).unwrap();
        bundle.facts = Some(json!({ "signature": signature }));
        let tag = names::signature_tag(&spec.key).parse().unwrap();
        self.context.store.push(&bundle, &[tag], &silent()).await.unwrap();
    }

    /// Asserts that a step is done anew, and that what it made is reused from then on.
    async fn is_done_anew(&self, spec: &JobSpec, theirs: Digest) {
        let made = self.run(spec).await;
        assert_eq!((made.reused, &made.failure), (false, &None));
        assert_ne!(made.output, Some(theirs.to_string()));
        let again = self.run(spec).await;
        assert_eq!((again.reused, again.output), (true, made.output), "its tag was taken back");
    }
}

/// A step whose key begins with a digit.
fn spec(key: u8, work: &Value) -> JobSpec {
    let registry = json!({ "host": "none", "repository": "vision/net" });
    let spec = json!({ "key": format!("{key:0<64}"), "step": "step", "registry": registry, "work": work });
    serde_json::from_value(spec).unwrap()
}

fn tag(spec: &JobSpec) -> Tag {
    names::work_tag(&spec.key).parse().unwrap()
}

fn digest(what: &str) -> String {
    Digest::of(what.as_bytes()).to_string()
}

#[tokio::test]
async fn what_answers_another_key_of_the_same_tag_is_not_reused() {
    let bench = Bench::new();
    let spec = bench.data();
    let mut key = spec.key.clone();
    key.replace_range(63.., "f");
    assert_eq!(names::work_tag(&key), names::work_tag(&spec.key), "the tag holds a part of the key");
    let theirs = bench.put(&spec, Found { key, ..Found::of(&spec) }).await;
    bench.is_done_anew(&spec, theirs).await;
}

#[tokio::test]
async fn what_was_made_of_other_inputs_is_not_reused() {
    let bench = Bench::new();
    let spec = bench.data();
    let theirs = bench.put(&spec, Found { inputs: vec![digest("foreign")], ..Found::of(&spec) }).await;
    bench.is_done_anew(&spec, theirs).await;
}

#[tokio::test]
async fn what_is_no_artifact_of_ours_is_not_reused_and_no_hindrance() {
    let bench = Bench::new();
    let layout = Layout::open(bench.folder.path().join("layout")).unwrap();
    for (key, manifest) in [(1, "{}"), (2, "no manifest")] {
        let spec = JobSpec { key: format!("{key:0<64}"), ..bench.data() };
        let writer = layout.writer().unwrap();
        let theirs = writer.put_bytes(manifest.as_bytes()).unwrap();
        writer.list(&theirs, &[tag(&spec)]).unwrap();
        bench.is_done_anew(&spec, theirs).await;
    }
}

/// A gate of artifacts that nobody has.
fn gate() -> JobSpec {
    let gate = json!({
        "gate": {
            "data": "usual", "task": { "classification": { "output": "scores" } },
            "checks": [{ "name": "good", "accuracy": { "minimum": "0.9" } }],
        },
        "data": { "name": "usual", "source": { "uri": "file:///none" }, "inputs": { "pixels": "pixels" } },
        "dataDigest": digest("data"), "candidate": digest("candidate"), "baseline": digest("baseline"),
        "candidatePort": 8081, "baselinePort": 8082, "modelName": "net",
    });
    spec(3, &json!({ "gate": gate }))
}

/// What the gate of these artifacts would have recorded, had it passed or failed.
fn judged(spec: &JobSpec, inputs: [&str; 3], verdict: Verdict) -> Found {
    let gate = GateStatus { verdict, ..GateStatus::default() };
    Found {
        kind: Kind::Samples,
        inputs: inputs.map(digest).into(),
        result: JobResult { gate: Some(gate), ..JobResult::default() },
        ..Found::of(spec)
    }
}

const JUDGED: [&str; 3] = ["candidate", "baseline", "data"];

/// Asserts that a gate does not believe what it found: it sets out to judge, and has no servers.
async fn is_judged_anew(bench: &Bench, spec: &JobSpec, what: &str) {
    let result = bench.run(spec).await;
    let failure = result.failure.expect(what);
    assert_eq!((failure.category, result.gate), (FailureCategory::Internal, None), "{what}");
}

#[tokio::test]
async fn a_verdict_on_other_artifacts_is_none_on_these() {
    let (bench, spec) = (Bench::new(), gate());
    for foreign in [
        ["another", "baseline", "data"],
        ["candidate", "another", "data"],
        ["candidate", "baseline", "another"],
        ["baseline", "candidate", "data"],
    ] {
        bench.put(&spec, judged(&spec, foreign, Verdict::Pass)).await;
        is_judged_anew(&bench, &spec, &foreign.join(", ")).await;
    }
    let same = bench.put(&spec, judged(&spec, JUDGED, Verdict::Pass)).await;
    let result = bench.run(&spec).await;
    assert_eq!((result.reused, result.golden), (true, Some(same.to_string())));
}

fn key(byte: u8) -> SigningKey {
    SigningKey::new(&[byte; 32]).unwrap()
}

#[tokio::test]
async fn a_verdict_is_believed_only_with_the_signature_of_this_key_in_this_repository() {
    let (mut bench, spec) = (Bench::new(), gate());
    bench.context.signing = Some(key(7));
    let failed = bench.put(&spec, judged(&spec, JUDGED, Verdict::Fail)).await;
    let repository = spec.registry.repository.as_str();
    let of_failed = key(7).sign(Statement { repository, key: &spec.key, artifact: &failed });
    bench.put_signature(&spec, &of_failed).await;
    assert_eq!(bench.run(&spec).await.gate.unwrap().verdict, Verdict::Fail);

    let passed = bench.put(&spec, judged(&spec, JUDGED, Verdict::Pass)).await;
    is_judged_anew(&bench, &spec, "the signature is of another verdict").await;
    let statement = Statement { repository, key: &spec.key, artifact: &passed };
    let elsewhere = Statement { repository: "vision/other", ..statement };
    let other_work = digest("other work");
    let other_work = Statement { key: &other_work, ..statement };
    for (signature, what) in [
        (key(8).sign(statement), "it was signed with another key"),
        (key(7).sign(elsewhere), "it was signed for another object"),
        (key(7).sign(other_work), "it was signed for other work"),
        (String::new(), "it was not signed"),
    ] {
        bench.put_signature(&spec, &signature).await;
        is_judged_anew(&bench, &spec, what).await;
    }
    bench.put_signature(&spec, &key(7).sign(statement)).await;
    assert_eq!(bench.run(&spec).await.gate.unwrap().verdict, Verdict::Pass);
}

#[tokio::test]
async fn what_was_not_signed_with_this_key_is_made_anew_once_and_is_the_same() {
    let mut bench = Bench::new();
    let spec = bench.data();
    let before = bench.run(&spec).await.output;
    for byte in [7, 8, 7] {
        bench.context.signing = Some(key(byte));
        let (made, again) = (bench.run(&spec).await, bench.run(&spec).await);
        assert_eq!((made.reused, &made.output), (false, &before), "no digest depends on a key");
        assert_eq!((again.reused, &again.output), (true, &before));
    }
}

#[tokio::test]
async fn a_signature_that_is_no_artifact_of_ours_is_none_and_no_hindrance() {
    let mut bench = Bench::new();
    let spec = bench.data();
    bench.context.signing = Some(key(7));
    let made = bench.run(&spec).await;
    let layout = Layout::open(bench.folder.path().join("layout")).unwrap();
    let writer = layout.writer().unwrap();
    let theirs = writer.put_bytes(b"{}").unwrap();
    writer.list(&theirs, &[names::signature_tag(&spec.key).parse().unwrap()]).unwrap();
    drop(writer);
    let (anew, again) = (bench.run(&spec).await, bench.run(&spec).await);
    assert_eq!((anew.reused, anew.failure, &anew.output), (false, None, &made.output));
    assert!(again.reused);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_work_is_done_once() {
    let bench = Bench::new();
    let source = spec(4, &json!({ "source": { "source": bench.source("model.onnx") } }));
    let model = bench.run(&source).await.output.unwrap();
    let data = bench.run(&bench.data()).await.output.unwrap();
    let calibrate = json!({
        "calibrate": { "data": "usual" }, "input": model, "data": bench.set(), "dataDigest": data,
    });
    let calibrate = spec(5, &json!({ "calibrate": calibrate }));
    let calibration = bench.run(&calibrate).await.output.unwrap();
    let fixed = json!({ "name": "small", "quantize": { "static": { "data": "usual" } } });
    let stage = json!({ "stage": fixed, "input": model, "calibration": calibration });
    let stage = spec(6, &json!({ "stage": stage }));
    let looks =
        json!({ "name": "four", "quantize": { "weightOnly": { "weights": "int4", "data": "usual" } } });
    let seen = json!({ "data": bench.set(), "digest": data });
    let looking = json!({ "stage": looks, "input": model, "data": seen });
    let looking = spec(7, &json!({ "stage": looking }));
    for spec in [source, bench.data(), calibrate, stage, looking] {
        let (first, again) = (bench.run(&spec).await, bench.run(&spec).await);
        assert_eq!(first.failure, None, "{}", spec.key);
        assert_eq!((again.reused, again.output), (true, first.output), "{}", spec.key);
    }
}
