//! `slipway calibrate`, and what is made of it.

use crate::program::{Room, example};

fn model_and_data() -> [String; 2] {
    [example("model.onnx"), example("holdout.npz")]
}

#[test]
fn ranges_become_the_same_model_whether_they_are_kept_or_not() {
    let room = Room::new();
    let [model, data] = model_and_data();
    let printed = room.slipway(&["calibrate", &model, &data, "ranges.json", "--json"]).json();
    assert_eq!(printed["samples"], 128);
    let text = std::fs::read_to_string(room.path("ranges.json")).unwrap();
    assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), printed);
    let table = room.slipway(&["calibrate", &model, &data, "again.json"]).text();
    assert!(table.contains("ACTIVATION") && table.contains("128 samples"), "{table}");
    assert_eq!(std::fs::read_to_string(room.path("again.json")).unwrap(), text, "the same bytes");

    let fixed = |output: &str, more: &[&str]| {
        let report =
            room.slipway(&[&["quantize", &model, output, "--scheme", "static", "--json"], more].concat());
        (report.json(), std::fs::read(room.path(output)).unwrap())
    };
    let (report, kept) = fixed("kept.onnx", &["--calibration", "ranges.json"]);
    let (_, measured) = fixed("measured.onnx", &["--data", &data]);
    assert!(kept == measured);
    assert_eq!(report["tensors"][0]["form"], "qdq");
    assert!(report["notes"][0].as_str().unwrap().contains("rten"), "{report}");
    let (_, cut) = fixed("cut.onnx", &["--data", &data, "--range", "percentile", "--percentile", "90"]);
    let (_, few) = fixed("few.onnx", &["--data", &data, "--samples", "1"]);
    assert!(cut != kept && few != kept, "the options are heard");

    let call = [
        "evaluate",
        "kept.onnx",
        "--baseline",
        &model,
        "--data",
        &data,
        "--output",
        "probabilities",
        "--json",
    ];
    let status = room.slipway(&call).json();
    let agreement =
        status["checks"].as_array().unwrap().iter().find(|check| check["name"] == "agreement").unwrap();
    let measured: f64 = agreement["measured"].as_str().unwrap().parse().unwrap();
    assert!(measured > 0.98, "{status}");
}

#[test]
fn lengths_are_heard() {
    let room = Room::new();
    let [model, data] = model_and_data();
    let calibrate = |length| room.slipway(&["calibrate", &model, &data, "no.json", "--length", length]);
    let words = "the model's input \"pixels\" leaves no axis but the batch open: leave its `lengths` out";
    calibrate("pixels=labels").fails(1, &[words]);
    calibrate("pixel=labels").fails(1, &["the model has no input \"pixel\"; it takes pixels"]);
    calibrate("pixels").fails(2, &["write INPUT=ARRAY"]);
}

#[test]
fn a_wrong_call_says_what_is_missing() {
    let room = Room::new();
    let [model, data] = model_and_data();
    let quantize = |more: &[&str]| room.slipway(&[&["quantize", &model, "out.onnx"], more].concat());
    quantize(&["--scheme", "static"]).fails(2, &["--data", "slipway calibrate"]);
    quantize(&["--data", &data]).fails(2, &["--scheme static"]);
    quantize(&["--scheme", "static", "--data", &data, "--weights", "int4"]).fails(2, &["weight-only"]);
    quantize(&["--scheme", "static", "--data", "absent.npz"]).fails(1, &["absent.npz"]);
    room.write("no.json", "{}");
    quantize(&["--scheme", "static", "--calibration", "no.json"]).fails(1, &["no.json is no calibration"]);
    let calibrate = |more: &[&str]| room.slipway(&[&["calibrate", &model, &data, "c.json"], more].concat());
    calibrate(&["--percentile", "99"]).fails(2, &["--range percentile"]);
    for percent in ["0", "0.5", "100.1", "1e1"] {
        calibrate(&["--range", "percentile", "--percentile", percent])
            .fails(2, &["--percentile", "from 1 to 100"]);
    }
    let words = ["model.onnx: ", "there is no ONNX Runtime library here"];
    let engine = ["--engine", "onnxruntime"];
    for call in [
        &["calibrate", &model, &data, "c.json"][..],
        &["quantize", &model, "out.onnx", "--scheme", "static", "--data", &data],
        &["sensitivity", &model, &data, "--budget", "1"],
        &["evaluate", &model, "--data", &data, "--output", "probabilities"],
    ] {
        room.slipway_without_library(&[call, &engine].concat()).fails(1, &words);
    }
    calibrate(&["--input", "pixels=images"]).fails(1, &["images"]);
    let left: Vec<_> =
        std::fs::read_dir(room.path(".")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["no.json"]);
}
