//! `slipway quantize`.

use crate::program::{Room, example};

#[test]
fn weights_become_int8_and_the_input_stays() {
    let room = Room::new();
    let model = example("model.onnx");
    let before = std::fs::read(&model).unwrap();
    let report = room.slipway(&["quantize", &model, "small.onnx", "--json"]).json();
    assert_eq!(report["tensors"].as_array().unwrap().len(), 3);
    let size = std::fs::metadata(room.path("small.onnx")).unwrap().len();
    assert_eq!(report["sizeAfter"], size);
    assert!(size * 3 < before.len() as u64, "{size}");
    assert_eq!(std::fs::read(&model).unwrap(), before);

    let text = room.slipway(&["quantize", &model, "tensor.onnx", "--granularity", "per-tensor"]).text();
    assert!(
        text.contains("TENSOR         SHAPE      SQNR dB  MAX ERROR\nlayer0.weight  [64, 160]"),
        "{text}"
    );
    let read = |file| std::fs::read(room.path(file)).unwrap();
    assert_ne!(read("small.onnx"), read("tensor.onnx"), "the granularity is heard");
}

#[test]
fn a_failure_leaves_no_output() {
    let room = Room::new();
    room.slipway(&["quantize", "absent.onnx", "small.onnx"])
        .fails(1, &["cannot read absent.onnx", "No such file"]);
    let whole = std::fs::read(example("model.onnx")).unwrap();
    room.write("short.onnx", &whole[..whole.len() / 2]);
    room.slipway(&["quantize", "short.onnx", "small.onnx"]).fails(1, &["short.onnx: ", "cut short"]);
    room.slipway(&["quantize", &example("model.onnx"), "no/folder/small.onnx"]).fails(1, &["no/folder"]);
    let left: Vec<_> =
        std::fs::read_dir(room.path(".")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["short.onnx"]);
}
