//! `slipway sensitivity`, and what is made of its stages.

use serde_json::Value;

use crate::program::{Done, Room, example};

fn ask(room: &Room, more: &[&str]) -> Done {
    let [model, data] = [example("model.onnx"), example("holdout.npz")];
    room.slipway(&[&["sensitivity", &model, &data, "--asked-samples", "200"], more].concat())
}

const ERROR: [&str; 3] = ["--measure", "relative-error", "--json"];

/// A budget that the model with all quantized misses by half.
fn half(room: &Room) -> String {
    let report = ask(room, &[&ERROR[..], &["--budget", "1"]].concat()).json();
    assert_eq!(report["kept"]["rules"], serde_json::json!([]));
    assert_eq!(report["operators"].as_array().unwrap().len(), 3);
    (report["whole"].as_f64().unwrap() / 2.0).to_string()
}

#[test]
fn the_stages_that_are_printed_keep_the_budget_wherever_they_are_used() {
    let room = Room::new();
    let budget = half(&room);
    let found = ask(&room, &[&ERROR[..], &["--budget", &budget, "--write", "stages.yaml"]].concat()).json();
    let rules = found["kept"]["rules"].as_array().unwrap();
    assert!(!rules.is_empty() && rules.len() < 3, "{found}");
    let measured = found["kept"]["measured"].as_f64().unwrap();
    assert!(measured <= budget.parse().unwrap());

    // The file alone gives the same model, with as many operators in floats and the same measure.
    let again = ask(&room, &[&ERROR[..], &["--stages", "stages.yaml", "--budget", &budget]].concat()).json();
    assert_eq!(again["whole"], found["kept"]["measured"]);
    let report = room.slipway(&[
        "quantize",
        &example("model.onnx"),
        "small.onnx",
        "--stages",
        "stages.yaml",
        "--json",
    ]);
    let report = report.json();
    assert_eq!(report["tensors"].as_array().unwrap().len(), 3 - rules.len());
    assert_eq!(report["sizeAfter"], found["kept"]["size"]);

    // The same text in a deployment.
    let stages = std::fs::read_to_string(room.path("stages.yaml")).unwrap();
    let indented = stages.lines().map(|line| format!("  {line}\n")).collect::<Vec<_>>().concat();
    let original =
        "  stages:\n    - name: int8\n      quantize:\n        dynamic:\n          granularity: perChannel\n";
    let folder = room.deployment(original, &indented);
    let deployment = std::fs::read_to_string(room.path("modeldeployment.yaml")).unwrap();
    room.write("modeldeployment.yaml", deployment.replace("maxRatio: \"0.35\"", "maxRatio: \"1\""));
    let run = room.slipway(&["run", "-f", &folder, "--json"]).json();
    let stage = run["stages"].as_array().unwrap().iter().find(|stage| stage["name"] == "int8").unwrap();
    let facts = format!("{} tensors quantized, {} left", 3 - rules.len(), rules.len());
    assert_eq!(stage["facts"], facts, "{run}");
}

#[test]
fn the_text_ranks_and_ends_with_the_stages() {
    let room = Room::new();
    let budget = half(&room);
    let text = ask(&room, &["--measure", "relative-error", "--budget", &budget]).text();
    assert!(text.starts_with("OPERATOR"), "{text}");
    assert!(text.contains("relative error, output probabilities on 200 samples, onnxruntime "), "{text}");
    let (_, stages) = text.split_once("\n\nstages:\n").unwrap();
    room.write("printed.yaml", format!("stages:\n{stages}"));
    let quantize = ["quantize", &example("model.onnx"), "small.onnx", "--stages", "printed.yaml", "--json"];
    let kept = text.lines().filter(|line| line.ends_with("  float")).count();
    assert!(kept > 0, "{text}");
    assert_eq!(room.slipway(&quantize).json()["tensors"].as_array().unwrap().len(), 3 - kept);
    let decided = ask(&room, &["--budget", "1"]).text();
    assert!(decided.contains("disagreement of 200 decisions"), "{decided}");
}

#[test]
fn a_budget_that_no_set_keeps_ends_with_three_and_the_ranking() {
    let room = Room::new();
    let done = ask(&room, &[&ERROR[..], &["--budget", "0", "--write", "stages.yaml"]].concat());
    assert_eq!(done.code, 3, "{done:?}");
    assert!(done.error().contains("raise the budget") && done.err.contains("BudgetNotMet"), "{done:?}");
    let report: Value = serde_json::from_str(&done.out).unwrap();
    assert_eq!((report["operators"].as_array().unwrap().len(), &report["stages"]), (3, &Value::Null));
    assert!(!room.path("stages.yaml").exists());
}

#[test]
fn a_wrong_call_says_what_is_missing() {
    let room = Room::new();
    ask(&room, &[]).fails(2, &["--budget"]);
    ask(&room, &["--budget", "-1"]).fails(2, &["--budget"]);
    ask(&room, &["--budget", "1", "--output", "scores"]).fails(1, &["no output \"scores\"", "probabilities"]);
    room.write("none.yaml", "stages: [{ name: clean, simplify: {} }]");
    ask(&room, &["--budget", "1", "--stages", "none.yaml"]).fails(2, &["none.yaml", "another kind"]);
    room.write(
        "two.yaml",
        "spec: { stages: [{ name: a, quantize: { dynamic: {} } }, { name: b, quantize: { dynamic: {} } }] }",
    );
    ask(&room, &["--budget", "1", "--stages", "two.yaml"]).fails(2, &["several"]);
    room.write("other.yaml", "steps: []");
    ask(&room, &["--budget", "1", "--stages", "other.yaml"]).fails(2, &["no stages"]);
    ask(&room, &["--budget", "1", "--stages", "two.yaml", "--block", "64"]).fails(2, &["--stages"]);
}

#[test]
fn its_own_data_serves_the_correction_of_biases() {
    let room = Room::new();
    let method = ["--scheme", "weight-only", "--correct-bias", "--budget", "1", "--samples", "16"];
    let found = ask(&room, &[&method[..], &["--json"]].concat()).json();
    assert_eq!(found["stages"][0]["quantize"]["biasCorrection"]["samples"], 16, "{found}");
    ask(&room, &["--budget", "1", "--samples", "16"]).fails(2, &["--samples is for --scheme static"]);
    ask(&room, &["--budget", "1", "--input", "pixels=pixels", "--json"]).json();
}

#[test]
fn what_would_mean_nothing_is_refused() {
    let room = Room::new();
    let [model, data] = [example("model.onnx"), example("holdout.npz")];
    room.slipway(&["sensitivity", &model, &data, "--budget", "1", "--asked-samples", "0"])
        .fails(2, &["from 1 up"]);
    let smooth =
        "stages:\n- { name: even, smooth: { data: d } }\n- { name: int8, quantize: { dynamic: {} } }\n";
    let file = room.write("two.yaml", smooth);
    room.slipway(&["quantize", &model, "no.onnx", "--stages", &file]).fails(2, &["\"even\"", "another kind"]);
}
