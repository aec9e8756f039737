//! What is judged, and what cannot be: `slipway evaluate` and the gate of `slipway run` alike.

use std::time::{Duration, Instant};

use serde_json::json;
use slipway_model::onnx::build::ModelBuilder;

use crate::{
    npz::{floats, integers, npz, unlabelled},
    program::{Done, Room, example},
};

/// A model whose output `y` has so many columns, each the sum of an image's pixels times its weight.
fn columns(weights: &[f32]) -> ModelBuilder {
    let columns = i64::try_from(weights.len()).unwrap();
    let matrix: Vec<f32> = (0..4).flat_map(|_| weights.to_vec()).collect();
    ModelBuilder::new()
        .input("x", &[-1, 4])
        .output("y", &[-1, columns])
        .floats("w", &[4, columns], &matrix)
        .node("MatMul", &["x", "w"], &["y"])
}

/// An object for `model.onnx` and `data.npz` with this gate.
fn object(room: &Room, data: &serde_json::Value, output: &str) -> String {
    let object = json!({
        "apiVersion": "slipway.dev/v1alpha1", "kind": "ModelDeployment", "metadata": { "name": "net" },
        "spec": {
            "model": { "source": { "uri": "file://model.onnx" } },
            "data": [data],
            "gate": {
                "data": "holdout", "task": { "classification": { "output": output } },
                "checks": [{ "name": "same", "parity": { "top1Agreement": "0.9" } }],
            },
        },
    });
    room.write("object.yaml", object.to_string())
}

fn holdout() -> serde_json::Value {
    json!({ "name": "holdout", "source": { "uri": "file://data.npz" } })
}

fn samples() -> Vec<u8> {
    let ripple = |place: usize| f32::from(u8::try_from(place * 37 % 101).unwrap());
    npz(&[floats("x", &[200, 4], ripple), integers("labels", 200, |_| 0), integers("classes", 200, |_| 3)])
}

/// It failed with one, nothing of a gate was printed, and these are among its words.
fn is_no_verdict(done: &Done, words: &[&str]) {
    assert_eq!(done.code, 1, "{done:?}");
    let said = done.error();
    assert!(!said.contains("the gate did not pass"), "{said}");
    for word in words {
        assert!(said.contains(word), "{word}: {said}");
    }
}

#[test]
fn an_output_of_one_score_is_refused_since_every_model_agrees_on_it() {
    let room = Room::new();
    columns(&[1.0]).write(&room.path("model.onnx")).unwrap();
    columns(&[-500.0]).write(&room.path("garbage.onnx")).unwrap();
    let data = room.write("data.npz", samples());
    let call = [
        "evaluate",
        "garbage.onnx",
        "--baseline",
        "model.onnx",
        "--data",
        &data,
        "--output",
        "y",
        "--agreement",
        "0.98",
    ];
    let words = ["has one score a sample", "[1 - p, p]", "a regression cannot be judged yet"];
    is_no_verdict(&room.slipway(&call), &words);
    is_no_verdict(&room.slipway(&["run", "-f", &object(&room, &holdout(), "y")]), &words);
    room.slipway(&["evaluate", "garbage.onnx", "--baseline", "model.onnx", "--data", &data]).text();
}

#[test]
fn a_wrong_output_is_found_before_any_stage_runs() {
    let room = Room::new();
    let folder = room.deployment("output: probabilities", "output: probs");
    let text = std::fs::read_to_string(room.path("modeldeployment.yaml")).unwrap();
    // This stage would fail: it has nothing to do.
    let text = text.replace(
        "      quantize:\n        dynamic:\n          granularity: perChannel",
        "      quantize: { dynamic: {}, rules: [{ match: \"*\", keepFloat: true }] }",
    );
    assert!(text.contains("keepFloat"), "{text}");
    room.write("modeldeployment.yaml", text);
    let done = room.slipway(&["run", "-f", &folder]);
    is_no_verdict(&done, &["GateError: the source has no output \"probs\"; it gives probabilities"]);
}

#[test]
fn data_or_labels_that_cannot_be_used_are_no_verdict_of_the_gate() {
    let room = Room::new();
    columns(&[1.0, 2.0]).write(&room.path("model.onnx")).unwrap();
    room.write("data.npz", samples());
    let run = |data: serde_json::Value| room.slipway(&["run", "-f", &object(&room, &data, "y")]);
    assert_eq!(run(holdout()).code, 0);
    let with = |field: &str, value: serde_json::Value| {
        let mut data = holdout();
        data[field] = value;
        data
    };
    is_no_verdict(&run(with("labels", json!("truth"))), &["no array \"truth\""]);
    is_no_verdict(&run(with("labels", json!("classes"))), &["label 3 of sample 0", "classes count from 0"]);
    is_no_verdict(&run(with("labels", json!("x"))), &["labels \"x\" are float32"]);
    is_no_verdict(&run(with("source", json!({ "uri": "file://absent.npz" }))), &["absent.npz"]);
}

#[test]
fn predictions_are_asked_for_on_the_data_of_the_gate() {
    let room = Room::new();
    let dynamic = "        dynamic:\n          granularity: perChannel";
    room.deployment_with_usual(dynamic, "        static: { data: usual }");
    let report = room.slipway(&["run", "-f", &room.argument("."), "--json"]).json();
    assert_eq!(report["predictions"]["requests"], 200);
}

#[test]
fn data_that_a_stage_has_seen_is_refused_whatever_it_is_called() {
    let room = Room::new();
    let dynamic = "        dynamic:\n          granularity: perChannel";
    let folder = room.deployment(dynamic, "        static: { data: holdout }");
    let words = "quantize.static.data is holdout, and gate.data is holdout: a gate judges on data that no stage has seen";
    room.slipway(&["plan", "-f", &folder]).fails(2, &[words, "a data set of its own"]);

    room.deployment_with_usual(dynamic, "        static: { data: usual }");
    std::fs::copy(example("holdout.npz"), room.path("usual.npz")).unwrap();
    let done = room.slipway(&["run", "-f", &folder]);
    is_no_verdict(
        &done,
        &["InvalidData: data sets usual and holdout are the same file", "a data set of its own"],
    );
}

#[test]
fn data_that_a_model_was_made_with_is_told() {
    let room = Room::new();
    let (model, data) = (example("model.onnx"), example("holdout.npz"));
    let usual = room.write("usual.npz", unlabelled(&data));
    let call =
        ["quantize", &model, "small.onnx", "--scheme", "weight-only", "--correct-bias", "--data", &data];
    room.slipway(&call).text();
    let evaluate = |more: &[&str]| room.slipway(&[&["evaluate", "small.onnx", "--data"], more].concat());
    let told = evaluate(&[&data]);
    let words = format!(
        "warning: small.onnx was made with {data} (quantize), so what is measured on it looks better"
    );
    assert!(told.code == 0 && told.err.starts_with(&words), "{told:?}");
    let warning = evaluate(&[&data, "--json"]).json()["warning"].clone();
    assert!(warning.as_str().unwrap().contains("give data that no stage has seen"), "{warning}");
    assert_eq!(evaluate(&[&usual, "--json"]).json()["warning"], serde_json::Value::Null);
}

#[test]
fn servers_that_nobody_else_asks_end_at_once() {
    let room = Room::new();
    let (model, data) = (example("model.onnx"), example("holdout.npz"));
    let began = Instant::now();
    room.slipway(&["evaluate", &model, "--data", &data]).text();
    assert!(
        began.elapsed() < Duration::from_secs(4),
        "two servers waited for their only client: {:?}",
        began.elapsed()
    );
}
