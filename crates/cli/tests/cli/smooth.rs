//! `slipway smooth`, and the stages that look at data, on the whole road.

use crate::program::{Room, example};

#[test]
fn ranges_move_and_the_answers_stay() {
    let room = Room::new();
    let [model, data] = [example("model.onnx"), example("holdout.npz")];
    let report = room.slipway(&["smooth", &model, &data, "smooth.onnx", "--json"]).json();
    assert_eq!(report["samples"], 128);
    assert!(!report["smoothed"].as_array().unwrap().is_empty(), "{report}");
    let text =
        room.slipway(&["smooth", &model, &data, "more.onnx", "--alpha", "0.8", "--samples", "9"]).text();
    assert!(text.starts_with("ACTIVATION") && text.contains("9 samples"), "{text}");
    let read = |file| std::fs::read(room.path(file)).unwrap();
    assert!(read("smooth.onnx") != read("more.onnx"), "alpha is heard");
    let status = room
        .slipway(&[
            "evaluate",
            "smooth.onnx",
            "--baseline",
            &model,
            "--data",
            &data,
            "--output",
            "probabilities",
            "--json",
        ])
        .json();
    let checks = status["checks"].as_array().unwrap();
    let agreement = checks.iter().find(|check| check["name"] == "agreement").unwrap();
    assert_eq!(agreement["measured"], "1.0000", "{status}");
    room.slipway(&["smooth", &model, &data, "no.onnx", "--alpha", "2"]).fails(2, &["--alpha"]);
    room.slipway(&["smooth", &model, "absent.npz", "no.onnx"]).fails(1, &["absent.npz"]);
}

#[test]
fn four_bits_are_chosen_by_data() {
    let room = Room::new();
    let [model, data] = [example("model.onnx"), example("holdout.npz")];
    let four = |output: &str, more: &[&str]| {
        let call = ["quantize", &model, output, "--scheme", "weight-only", "--weights", "int4", "--json"];
        (room.slipway(&[&call[..], more].concat()), room.path(output))
    };
    let (report, plain) = four("plain.onnx", &[]);
    assert_eq!(report.json()["tensors"][0]["onData"], serde_json::Value::Null);
    let (report, fitted) = four("fitted.onnx", &["--fit", "gptq", "--data", &data]);
    assert_eq!(report.json()["tensors"][0]["onData"], true);
    assert!(std::fs::read(plain).unwrap() != std::fs::read(fitted).unwrap());
    four("no.onnx", &["--fit", "gptq"]).0.fails(2, &["--data"]);
    four("no.onnx", &["--data", &data]).0.fails(2, &["--fit gptq"]);
    room.slipway(&[
        "quantize",
        &model,
        "no.onnx",
        "--scheme",
        "weight-only",
        "--fit",
        "gptq",
        "--data",
        &data,
    ])
    .fails(2, &["--weights int4"]);
}

#[test]
fn stages_that_look_at_data_go_the_whole_way_and_are_done_once() {
    let room = Room::new();
    let original = "    - name: int8\n      quantize:\n        dynamic:\n          granularity: perChannel\n";
    let stages = "    - name: even\n      smooth: { data: usual, samples: 64 }\n    - name: four\n      quantize:\n        \
                  weightOnly: { weights: int4, fit: Gptq, data: usual, samples: 64 }\n";
    let folder = room.deployment_with_usual(original, stages);
    let report = room.slipway(&["run", "-f", &folder, "--json"]).json();
    let stage = |name: &str| {
        let stages = report["stages"].as_array().unwrap();
        stages
            .iter()
            .find(|stage| stage["name"] == name)
            .unwrap_or_else(|| panic!("{name}: {report}"))
            .clone()
    };
    assert_eq!(report["gate"]["verdict"], "Pass", "{report}");
    assert_eq!(stage("even")["facts"], "3 activations smoothed, 0 products left");
    assert_eq!(stage("four")["facts"], "3 tensors quantized, 0 left");
    assert_eq!(stage("four")["inputDigest"], stage("even")["outputDigest"]);
    let again = room.slipway(&["run", "-f", &folder, "--json"]).json();
    for stage in again["stages"].as_array().unwrap() {
        let is_stage = ["even", "four"].contains(&stage["name"].as_str().unwrap());
        assert!(!is_stage || stage["reused"] == true, "{stage}");
    }
    // Another number of samples is another piece of work.
    let text = std::fs::read_to_string(room.path("modeldeployment.yaml")).unwrap();
    room.write(
        "modeldeployment.yaml",
        text.replace("data: usual, samples: 64 }\n    - name", "data: usual, samples: 3 }\n    - name"),
    );
    let other = room.slipway(&["run", "-f", &folder, "--json"]).json();
    let other =
        other["stages"].as_array().unwrap().iter().find(|stage| stage["name"] == "even").unwrap().clone();
    assert_ne!(other["outputDigest"], stage("even")["outputDigest"]);
}

#[test]
fn biases_are_corrected_on_data_by_the_command_and_by_a_stage() {
    let room = Room::new();
    let (model, data) = (example("model.onnx"), example("holdout.npz"));
    let call = ["quantize", &model, "small.onnx", "--scheme", "weight-only", "--correct-bias"];
    let report = room.slipway(&[&call[..], &["--data", &data, "--samples", "64", "--json"]].concat()).json();
    let tensors = report["tensors"].as_array().unwrap();
    assert!(tensors.len() == 3 && tensors.iter().all(|tensor| tensor["biasCorrected"] == true), "{report}");
    room.slipway(&call).fails(2, &["--data"]);
    room.slipway(&[&call[..], &["--weights", "float16", "--data", &data]].concat())
        .fails(1, &["bias correction"]);

    let original = "    - name: int8\n      quantize:\n        dynamic:\n          granularity: perChannel\n";
    let stages = "    - name: int8\n      quantize:\n        weightOnly: {}\n        biasCorrection: { data: usual, samples: 64 }\n";
    let folder = room.deployment_with_usual(original, stages);
    let report = room.slipway(&["run", "-f", &folder, "--json"]).json();
    assert_eq!(report["gate"]["verdict"], "Pass", "{report}");
    let bytes = std::fs::metadata(room.path("small.onnx")).unwrap().len();
    let stage = report["stages"].as_array().unwrap().iter().find(|stage| stage["name"] == "int8").unwrap();
    assert_eq!(stage["sizeBytes"], bytes, "the command and the stage write the same");
}
