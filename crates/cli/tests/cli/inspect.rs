//! `slipway inspect`.

use crate::program::{Room, example};

#[test]
fn a_model_is_described() {
    let room = Room::new();
    let model = example("model.onnx");
    let facts = room.slipway(&["inspect", &model, "--json"]).json();
    assert_eq!(facts["format"], "onnx");
    assert_eq!(facts["facts"]["operators"]["Gemm"], 3);
    assert_eq!(facts["facts"]["inputs"][0]["name"], "pixels");
    assert_eq!(facts["unsupportedOperators"].as_array().unwrap().len(), 0);
    let text = room.slipway(&["inspect", &model]).text();
    for line in ["engine    rten runs", "input   pixels         float  [batch, 64]", "Gemm          3"] {
        assert!(text.contains(line), "{line}: {text}");
    }
}

#[test]
fn what_is_no_model_is_said_to_be_none() {
    let room = Room::new();
    room.slipway(&["inspect", "absent.onnx"]).fails(1, &["cannot read absent.onnx", "No such file"]);
    room.write("notes.txt", "hello");
    room.slipway(&["inspect", "notes.txt"]).fails(1, &["notes.txt: not an ONNX file"]);
    let whole = std::fs::read(example("model.onnx")).unwrap();
    room.write("short.onnx", &whole[..whole.len() / 2]);
    room.slipway(&["inspect", "short.onnx"]).fails(1, &["short.onnx: ", "cut short"]);
}

#[test]
fn another_format_is_named_by_every_command_that_opens_a_model() {
    let room = Room::new();
    let other = example("holdout.npz");
    for call in [
        &["inspect", &other][..],
        &["simplify", &other, "out.onnx"],
        &["quantize", &other, "out.onnx"],
        &["calibrate", &other, &other, "out.json"],
        &["serve", &other],
        &["evaluate", &other, "--data", &other, "--output", "x"],
    ] {
        room.slipway(call).fails(1, &["holdout.npz: ", "a NumPy archive (npz)", "export the model as ONNX"]);
    }
}
