//! Models that keep tensors in files beside their own, as PyTorch's exporter writes them.

use std::os::unix::fs::symlink;

use slipway_artifacts::{FetchOptions, Fetched, SourceSpec, digest_file, fetch};
use slipway_model::onnx::{OnnxModel, build::ModelBuilder, build::external_tensor};

use crate::program::{Done, Room, example};

/// The example's model with its weights in `pt/model.onnx.data`.
fn split(room: &Room) {
    std::fs::create_dir_all(room.path("pt")).unwrap();
    let whole = OnnxModel::open(example("model.onnx")).unwrap();
    let (mut data, mut proto) = (Vec::new(), whole.proto().clone());
    for tensor in &mut proto.graph.as_mut().unwrap().initializer {
        let payload = whole.payload(tensor).unwrap();
        let mut raw = vec![0; usize::try_from(payload.len()).unwrap()];
        payload.open().unwrap().read_at(&mut raw, 0).unwrap();
        let (offset, length) = (data.len().to_string(), raw.len().to_string());
        let entries = [("location", "model.onnx.data"), ("offset", &offset), ("length", &length)];
        let outside = external_tensor(tensor.name(), &tensor.dims, &entries);
        tensor.raw_data = None;
        tensor.float_data.clear();
        tensor.data_location = outside.data_location;
        tensor.external_data = outside.external_data;
        data.extend(raw);
    }
    std::fs::write(room.path("pt/model.onnx.data"), data).unwrap();
    ModelBuilder { proto }.write(&room.path("pt/model.onnx")).unwrap();
}

/// What a reference of a layout in the room holds.
fn fetched(room: &Room, reference: &str) -> Fetched {
    let spec = SourceSpec { uri: reference.parse().unwrap(), file: None, digest: None };
    let options = FetchOptions { files: Some(room.path(".")), ..FetchOptions::default() };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(fetch(&spec, &room.path("fetched"), &options)).unwrap()
}

/// A run of the example with another source of its model.
fn run(room: &Room, source: &str) -> Done {
    let folder = room.deployment("uri: configmap://digits-model\n      file: model.onnx", source);
    room.slipway(&["run", "-f", &folder, "--json"])
}

/// Asserts that a run ended with its report, and an error of these words.
fn refused(done: &Done, words: &[&str]) {
    let error = done.error();
    assert!(done.code == 1 && words.iter().all(|word| error.contains(word)), "{words:?}: {error}");
}

#[test]
fn weights_beside_a_model_are_fetched_with_it() {
    let room = Room::new();
    split(&room);
    let report = run(&room, "uri: file://pt/model.onnx").json();
    assert_eq!(report["gate"]["verdict"], "Pass");
    let source = &report["stages"][0];
    assert!(source["sizeBytes"].as_u64().unwrap() > 100_000, "with its weights: {source}");

    // The cache of a hub keeps both files elsewhere and links to them.
    std::fs::create_dir(room.path("hub")).unwrap();
    for file in ["model.onnx", "model.onnx.data"] {
        symlink(format!("../pt/{file}"), room.path(&format!("hub/{file}"))).unwrap();
    }
    let linked = run(&room, "uri: file://hub/model.onnx").json();
    assert_eq!(linked["stages"][0]["sizeBytes"], source["sizeBytes"]);

    std::fs::remove_file(room.path("pt/model.onnx.data")).unwrap();
    let words = "\"model.onnx.data\" (tensors of \"model.onnx\") in ";
    refused(&run(&room, "uri: file://pt/model.onnx"), &[words, "does not exist"]);
}

#[test]
fn a_digest_is_that_of_all_files() {
    let room = Room::new();
    split(&room);
    let digest = |command: &str| {
        let shell =
            std::process::Command::new("sh").args(["-c", command]).current_dir(room.path("pt")).output();
        let text = String::from_utf8(shell.unwrap().stdout).unwrap();
        format!("sha256:{}", text.split(' ').next().unwrap())
    };
    let pinned = |digest: &str| format!("uri: file://pt/model.onnx\n      digest: {digest}");
    let all = digest("LC_ALL=C sha256sum model.onnx model.onnx.data | sha256sum");
    run(&room, &pinned(&all)).json();
    let graph_alone = digest("sha256sum model.onnx");
    refused(&run(&room, &pinned(&graph_alone)), &[&graph_alone, &all, "the list of its files"]);
}

#[test]
fn weights_beside_a_model_are_pushed_with_it() {
    let room = Room::new();
    split(&room);
    let reference = format!("oci-layout://{}:1", room.argument("store"));
    room.slipway(&["push", "pt/model.onnx", &reference]).text();
    let fetched = fetched(&room, &reference);
    assert_eq!(fetched.entry.as_ref().unwrap().as_str(), "model.onnx");
    let named: Vec<_> = fetched.files.iter().map(|file| (file.path.as_str(), file.digest)).collect();
    let own = |file: &str| (file.to_owned(), digest_file(&room.path(&format!("pt/{file}"))).unwrap().0);
    let [model, data] = [own("model.onnx"), own("model.onnx.data")];
    assert_eq!(named, [(model.0.as_str(), model.1), (data.0.as_str(), data.1)]);

    std::fs::remove_file(room.path("pt/model.onnx.data")).unwrap();
    let words =
        "\"model.onnx.data\" (tensors of \"model.onnx\") in pt does not exist; it has to be pushed with it";
    for path in ["pt/model.onnx", "pt"] {
        room.slipway(&["push", path, &reference]).fails(1, &[words]);
    }
}

#[test]
fn a_folder_without_the_weights_says_what_is_missing() {
    let room = Room::new();
    split(&room);
    std::fs::remove_file(room.path("pt/model.onnx.data")).unwrap();
    let source = "uri: file://pt\n      file: model.onnx";
    refused(&run(&room, source), &["\"model.onnx.data\" cannot be read", "slipway push"]);
}
