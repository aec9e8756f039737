//! `slipway evaluate`.

use std::io::{Read, Write};

use crate::{
    npz::npz,
    program::{Room, example},
};

#[test]
fn a_model_is_measured_against_its_baseline() {
    let room = Room::new();
    let (model, data) = (example("model.onnx"), example("holdout.npz"));
    room.slipway(&["quantize", &model, "small.onnx"]).text();
    let call = ["evaluate", "small.onnx", "--baseline", &model, "--data", &data, "--output", "probabilities"];
    let status = room.slipway(&[&call[..], &["--labels", "labels", "--json"]].concat()).json();
    assert_eq!(status["samples"], 720);
    let names: Vec<_> =
        status["checks"].as_array().unwrap().iter().map(|check| check["name"].as_str().unwrap()).collect();
    let expected =
        ["accuracy.minimum", "accuracy.maxDrop", "agreement", "size", "latency.p95", "latency.maxRatio"];
    assert_eq!(names, expected);
    let accuracy: f64 = status["accuracy"].as_str().unwrap().parse().unwrap();
    assert!(accuracy > 0.95, "{accuracy}");

    let text = room.slipway(&call).text();
    let heads: Vec<_> = text.lines().nth(3).unwrap().split_whitespace().collect();
    assert!(text.starts_with("model in onnxruntime 1."), "{text}");
    assert!(text.lines().nth(1) == Some("720 samples"), "{text}");
    assert_eq!(heads, ["CHECK", "BASELINE", "MEASURED", "LOW", "HIGH", "SAMPLES"]);
    assert!(!text.contains("accuracy"), "no labels, so no accuracy: {text}");
}

#[test]
fn thresholds_are_judged_and_end_with_three_where_they_are_not_met() {
    let room = Room::new();
    let (model, data) = (example("model.onnx"), example("holdout.npz"));
    room.slipway(&["quantize", &model, "small.onnx"]).text();
    let call = ["evaluate", "small.onnx", "--baseline", &model, "--data", &data, "--output", "probabilities"];
    let evaluate = |more: &[&str]| room.slipway(&[&call[..], &["--labels", "labels"], more].concat());

    let verdicts = |status: &serde_json::Value| -> Vec<String> {
        let checks = status["checks"].as_array().unwrap();
        checks.iter().map(|check| check["verdict"].as_str().unwrap().to_owned()).collect()
    };
    let open = evaluate(&["--json"]).json();
    assert_eq!(open["verdict"], "Reported");
    assert_eq!(verdicts(&open), ["Reported"; 6]);
    assert!(open["checks"].as_array().unwrap().iter().all(|check| check["threshold"].is_null()), "{open}");

    let met = evaluate(&["--minimum", "0.93", "--max-ratio", "0.35", "--json"]).json();
    assert_eq!(met["verdict"], "Pass");
    assert_eq!(verdicts(&met), ["Pass", "Reported", "Reported", "Pass", "Reported", "Reported"]);

    let missed = evaluate(&["--minimum", "0.93", "--agreement", "0.9999"]);
    assert_eq!(missed.code, 3, "{missed:?}");
    assert!(missed.out.contains("WANTED") && missed.out.contains("0.9999"), "{missed:?}");
    assert!(missed.err.contains("agreement: top-1 agreement"), "{missed:?}");
    assert!(!missed.err.contains("accuracy"), "what was met is not in the error: {missed:?}");

    let few = evaluate(&["--minimum", "0.93", "--min-samples", "1000", "--json"]);
    assert_eq!(few.code, 3, "{few:?}");
    let error: serde_json::Value = serde_json::from_str(&few.err).unwrap();
    assert_eq!(error["error"]["reason"], "Inconclusive");
    assert_eq!(error["error"]["exitCode"], 3);

    for (option, value) in [
        ("--min-samples <N>", "0"),
        ("--threads <N>", "257"),
        ("--minimum <RATE>", "93"),
        ("--max-drop <RATE>", "2%"),
        ("--agreement <RATE>", "all"),
        ("--max-ratio <RATIO>", "half"),
        ("--p95 <DURATION>", "soon"),
        ("--max-latency-ratio <RATIO>", "-"),
    ] {
        let (name, _) = option.split_once(' ').unwrap();
        evaluate(&[name, value]).fails(2, &[&format!("invalid value '{value}' for '{option}'")]);
    }
    room.slipway(&["evaluate", &model, "--data", &data, "--output", "probabilities", "--agreement", "0.9"])
        .fails(2, &["--baseline"]);
}

#[test]
fn what_is_slower_than_wanted_is_rejected_without_a_look_at_answers() {
    let room = Room::new();
    let (model, data) = (example("model.onnx"), example("holdout.npz"));
    let evaluate = |more: &[&str]| {
        room.slipway(&[&["evaluate", &model, "--baseline", &model, "--data", &data], more].concat())
    };
    let met = evaluate(&["--max-latency-ratio", "100", "--p95", "1m", "--json"]).json();
    assert_eq!(met["verdict"], "Pass");
    let names: Vec<_> = met["checks"].as_array().unwrap().iter().map(|check| &check["name"]).collect();
    assert_eq!(names, ["size", "latency.p95", "latency.maxRatio"]);
    assert_eq!(met["checks"][1]["samples"], 1000);

    let missed = evaluate(&["--max-latency-ratio", "0.01"]);
    assert_eq!(missed.code, 3, "{missed:?}");
    assert!(
        missed.err.contains("latency.maxRatio: p95 ") && missed.err.contains("lower bound"),
        "{missed:?}"
    );
    assert!(
        missed.out.lines().nth(1).is_some_and(|line| line.starts_with("CHECK")),
        "nothing was counted: {missed:?}"
    );
    evaluate(&["--p95", "soon"]).fails(2, &["soon"]);
    evaluate(&["--agreement", "0.9"]).fails(2, &["--output"]);
}

#[test]
fn data_that_cannot_be_used_is_named() {
    let room = Room::new();
    let (model, data) = (example("model.onnx"), example("holdout.npz"));
    let evaluate =
        |more: &[&str]| room.slipway(&[&["evaluate", &model, "--output", "probabilities"], more].concat());
    evaluate(&["--data", "absent.npz"]).fails(1, &["absent.npz"]);
    evaluate(&["--data", &data, "--labels", "truth"]).fails(1, &[&data, "truth"]);
    evaluate(&["--data", &data, "--input", "pixels"]).fails(2, &["INPUT=ARRAY"]);
    evaluate(&["--data", &data, "--input", "pixels=images"]).fails(1, &[&data, "images"]);
    let nothing = room.write("nothing.npz", npz(&[]));
    evaluate(&["--data", &nothing])
        .fails(1, &["nothing.npz: an npz file without arrays: save some with numpy.savez"]);
    evaluate(&["--data", &data, "--threads", "256"]).text();
    let nan = room.write("nan.npz", with_nan(&data));
    evaluate(&["--data", &nan]).fails(1, &["nan.npz: ", "pixels", "NaN", "[0, 0]"]);
    room.slipway(&["evaluate", &model, "--data", &data, "--output", "scores"])
        .fails(1, &["no output \"scores\"", "it gives probabilities"]);
}

#[test]
fn nothing_but_the_error_is_on_standard_error_where_json_is_asked_for() {
    let room = Room::new();
    let data = example("holdout.npz");
    room.write("turned.onnx", turned());
    let call = ["evaluate", "turned.onnx", "--data", &data, "--output", "probabilities"];
    let failed = room.slipway(&[&call[..], &["--json"]].concat());
    let error: serde_json::Value = serde_json::from_str(&failed.err).unwrap();
    assert_eq!(error["error"]["exitCode"], 1, "{failed:?}");
    let told = room.slipway(&call);
    assert!(told.err.contains("WARN") && !told.err.contains('\u{1b}'), "no colours in a file: {told:?}");
}

/// The example's model with the first weight's two dimensions the other way round: it loads, and no input fits.
fn turned() -> Vec<u8> {
    let mut model = std::fs::read(example("model.onnx")).unwrap();
    let [dims, other] = [[8, 64, 8, 160, 1], [8, 160, 1, 8, 64]];
    let place = model.windows(5).position(|bytes| bytes == dims).unwrap();
    model[place..place + 5].copy_from_slice(&other);
    model
}

/// The data set with its first number replaced.
fn with_nan(data: &str) -> Vec<u8> {
    let mut from = zip::ZipArchive::new(std::fs::File::open(data).unwrap()).unwrap();
    let mut to = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for index in 0..from.len() {
        let mut entry = from.by_index(index).unwrap();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        if entry.name() == "pixels.npy" {
            let first = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
            bytes[first..first + 4].copy_from_slice(&f32::NAN.to_le_bytes());
        }
        to.start_file(entry.name(), zip::write::SimpleFileOptions::default()).unwrap();
        to.write_all(&bytes).unwrap();
    }
    to.finish().unwrap().into_inner()
}
