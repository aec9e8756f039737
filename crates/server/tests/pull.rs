//! Fetching a model and its golden samples, and serving what was fetched.
#![allow(clippy::unwrap_used, reason = "a helper that cannot work fails its test")]

mod common;

use std::path::{Path, PathBuf};

use common::{Client, doubling, golden, row};
use slipway_artifacts::{Bundle, Kind, Limits, Location, RegistryOptions, Store, silent};
use slipway_model::onnx::build::ModelBuilder;
use slipway_server::pull::{PullOptions, pull};
use slipway_server::{BackendChoice, Config, EngineOptions, ModelFiles, serve};
use tokio_util::sync::CancellationToken;

struct Shelf {
    folder: tempfile::TempDir,
}

impl Shelf {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Stores a file as an artifact; its reference by digest.
    async fn store(&self, kind: Kind, name: &str, bytes: &[u8]) -> String {
        let file = self.path(name);
        std::fs::write(&file, bytes).unwrap();
        let layout = self.path("layout");
        let location = Location::Layout { path: layout.clone() };
        let store = Store::open(&location, &RegistryOptions::default()).unwrap();
        let bundle = Bundle::from_path(kind, &file, &Limits::default()).unwrap();
        let digest = store.push(&bundle, &[], &silent()).await.unwrap();
        format!("oci-layout://{}@{digest}", layout.display())
    }

    fn options(&self, reference: String, golden_reference: Option<String>) -> PullOptions {
        PullOptions { reference, golden_reference, into: self.path("into"), ..PullOptions::default() }
    }
}

async fn failure(options: &PullOptions) -> (String, bool, String) {
    let log = tempfile::NamedTempFile::new().unwrap();
    pull(options).await.unwrap_err().write_to(log.path());
    let text = std::fs::read_to_string(log.path()).unwrap();
    assert_eq!(text.lines().count(), 1);
    let line: serde_json::Value = serde_json::from_str(&text).unwrap();
    let failure = &line["failure"];
    let word = |key: &str| failure[key].as_str().unwrap().to_owned();
    (word("category"), failure["retryable"].as_bool().unwrap(), word("message"))
}

#[tokio::test]
async fn fetched_model_is_served_after_its_self_check() {
    let shelf = Shelf::new();
    let model = shelf.store(Kind::Model, "model.onnx", &doubling().bytes()).await;
    let samples =
        shelf.store(Kind::Samples, "samples.golden", &golden([2.0, 4.0], 0.0).to_bytes().unwrap()).await;
    let index = pull(&shelf.options(model.clone(), Some(samples))).await.unwrap();
    assert!(model.ends_with(&index.digest));
    let files = ModelFiles::find(&shelf.path("into")).unwrap();
    assert_eq!(files.model, shelf.path("into").join("model/model.onnx"));
    assert_eq!(files.golden, Some(shelf.path("into").join("golden/samples.golden")));

    let stop = CancellationToken::new();
    let mut running = serve(Config::local(shelf.path("into"), "doubler"), stop.clone()).await.unwrap();
    running.ready().await.unwrap();
    assert_eq!(Client::connect(running.addr).await.infer(row(1.0, 2.0)).await.0, http::StatusCode::OK);
    let metrics = Client::connect(running.metrics_addr).await.text("/metrics").await;
    assert!(metrics.contains(&format!("digest=\"{}\"", index.digest)), "{metrics}");
    assert!(metrics.contains("slipway_self_check_passed{model=\"doubler\",revision=\"\"} 1"), "{metrics}");
    stop.cancel();
    running.ended().await;
}

#[tokio::test]
async fn model_that_no_engine_runs_fails_before_it_is_served() {
    let shelf = Shelf::new();
    let model = ModelBuilder::new().input("x", &[-1, 2]).output("y", &[-1, 2]).node("Nope", &["x"], &["y"]);
    let reference = shelf.store(Kind::Model, "model.onnx", &model.bytes()).await;
    let engine = EngineOptions { backend: BackendChoice::Rten, ..EngineOptions::default() };
    let options = PullOptions { engine, ..shelf.options(reference, None) };
    let (category, retryable, message) = failure(&options).await;
    assert_eq!((category.as_str(), retryable), ("UnsupportedOperator", false));
    assert!(message.starts_with("rten cannot run ai.onnx.Nope"), "{message}");
    assert!(!shelf.path("into").join(slipway_server::INDEX).exists());
}

#[tokio::test]
async fn references_are_checked_and_digests_verified() {
    let shelf = Shelf::new();
    let reference = shelf.store(Kind::Model, "model.onnx", &doubling().bytes()).await;
    let (without_digest, _) = reference.split_once('@').unwrap();
    let (category, retryable, _) = failure(&shelf.options(without_digest.to_owned(), None)).await;
    assert_eq!((category.as_str(), retryable), ("ArtifactMissing", false));

    let absent = format!("{without_digest}@sha256:{}", "0".repeat(64));
    assert_eq!(failure(&shelf.options(absent, None)).await.0, "ArtifactMissing");

    let too_small = PullOptions { size_limit: Some(10), ..shelf.options(reference.clone(), None) };
    assert_eq!(failure(&too_small).await.0, "TooLarge");

    damage_model(&shelf.path("layout"), &doubling().bytes());
    let (category, _, message) = failure(&shelf.options(reference, None)).await;
    assert_eq!(category, "DigestMismatch", "{message}");
}

#[test]
fn a_pull_that_is_asked_to_end_says_that_it_may_be_tried_again() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let (into, log) = (tempfile::tempdir().unwrap(), tempfile::NamedTempFile::new().unwrap());
    let reference = format!("oci://{host}/vision/net@sha256:{}", "0".repeat(64));
    let mut pull = std::process::Command::new(env!("CARGO_BIN_EXE_slipway-server"))
        .args(["pull", "--reference", &reference, "--plain-http", &host])
        .args(["--into", into.path().to_str().unwrap(), "--termination-log", log.path().to_str().unwrap()])
        .spawn()
        .unwrap();
    // It has asked, and nobody answers.
    let _asked = listener.accept().unwrap();
    let pid = pull.id().to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    assert_eq!(pull.wait().unwrap().code(), Some(1));
    let line: serde_json::Value = serde_json::from_slice(&std::fs::read(log.path()).unwrap()).unwrap();
    assert_eq!(line["failure"]["retryable"], true, "{line}");
    assert!(line["failure"]["message"].as_str().unwrap().contains("asked to end"), "{line}");
}

/// Changes the stored blob that holds the model.
fn damage_model(layout: &Path, model: &[u8]) {
    for entry in std::fs::read_dir(layout.join("blobs/sha256")).unwrap().flatten() {
        if std::fs::read(entry.path()).unwrap() == model {
            let mut damaged = model.to_vec();
            damaged[0] ^= 1;
            std::fs::remove_file(entry.path()).unwrap();
            std::fs::write(entry.path(), damaged).unwrap();
        }
    }
}
