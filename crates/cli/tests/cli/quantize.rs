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
        text.contains(
            "TENSOR         SHAPE      STORED AS  SQNR dB  MAX ERROR\nlayer0.weight  [64, 160]  int8/7"
        ),
        "{text}"
    );
    let read = |file| std::fs::read(room.path(file)).unwrap();
    assert_ne!(read("small.onnx"), read("tensor.onnx"), "the granularity is heard");
}

#[test]
fn weights_alone_take_four_bits_sixteen_or_none() {
    let room = Room::new();
    let model = example("model.onnx");
    let size = |name: &str, more: &[&str]| {
        let arguments =
            [&["quantize", model.as_str(), name, "--scheme", "weight-only", "--json"], more].concat();
        let report = room.slipway(&arguments).json();
        (report["sizeAfter"].as_u64().unwrap(), report["tensors"][0]["scheme"].as_str().unwrap().to_owned())
    };
    let (eight, int8) = size("eight.onnx", &[]);
    let (four, int4) = size("four.onnx", &["--weights", "int4", "--block", "16"]);
    let (half, float16) = size("half.onnx", &["--weights", "float16"]);
    let (finer, in_blocks) = size("blocks.onnx", &["--weights", "int8", "--block", "16"]);
    assert!(four < eight && eight < finer && finer < half, "{four} {eight} {finer} {half}");
    assert_eq!([int8.as_str(), &int4, &float16, &in_blocks], ["int8/8", "uint4×16", "float16", "int8×16"]);
    size("nearest.onnx", &["--block", "16", "--fit", "nearest"]);
    let read = |file| std::fs::read(room.path(file)).unwrap();
    assert_ne!(read("nearest.onnx"), read("blocks.onnx"), "the fit is heard");

    let kept = room.slipway(&["quantize", &model, "kept.onnx", "--keep-float", "layer0.*"]).text();
    assert!(kept.contains("a rule keeps it"), "{kept}");
    room.slipway(&["quantize", &model, "wrong.onnx", "--keep-float", "layre0.*"])
        .fails(1, &["rule \"layre0.*\" matches no operator and no weight", "near it are \"layer0."]);
    room.slipway(&["quantize", &model, "wrong.onnx", "--weights", "int4"]).fails(2, &["weight-only"]);
    room.slipway(&[
        "quantize",
        &model,
        "wrong.onnx",
        "--scheme",
        "weight-only",
        "--weights",
        "int4",
        "--block",
        "48",
    ])
    .fails(1, &["power of two"]);
}

#[test]
fn the_engine_decides_the_forms() {
    let room = Room::new();
    let model = example("model.onnx");
    let quantize = |output: &str, more: &[&str]| {
        room.slipway(&[&["quantize", &model, output, "--scheme", "weight-only"], more].concat())
    };
    let four = ["--weights", "int4", "--block", "16", "--zero-points"];
    let ours = quantize("four.onnx", &[&four[..], &["--engine", "onnxruntime", "--json"]].concat()).json();
    let searched = [&four[..], &["--engine", "onnxruntime", "--fit", "half-quadratic", "--json"]].concat();
    assert_ne!(ours, quantize("searched.onnx", &searched).json(), "the fit is heard");
    let scheme = |report: &serde_json::Value| report["tensors"][0]["scheme"].clone();
    assert_eq!(scheme(&ours), "uint4×16");
    let file = std::fs::read(room.path("four.onnx")).unwrap();
    assert!(file.windows(12).any(|bytes| bytes == b"_zero_points"));
    let brain =
        quantize("brain.onnx", &["--weights", "bfloat16", "--engine", "onnxruntime", "--json"]).json();
    assert_eq!(scheme(&brain), "bfloat16");
    for engine in ["rten", "auto"] {
        let words = ["built-in engine", "ONNX Runtime"];
        quantize("no.onnx", &[&four[..], &["--engine", engine]].concat()).fails(1, &words);
        quantize("no.onnx", &["--weights", "bfloat16", "--engine", engine]).fails(1, &words);
    }
    quantize("no.onnx", &["--zero-points"]).fails(2, &["--weights int4"]);
    for (stray, words) in [
        (&["--fit", "nearest"][..], "int8 with --block"),
        (&["--block", "64", "--zero-points"], "--weights int4"),
        (&["--block", "64", "--fit", "gptq"], "--weights int4"),
        (&["--block", "64", "--granularity", "per-tensor"], "leave one of them out"),
        (&["--block", "64", "--weights", "float16"], "int4 or int8"),
    ] {
        quantize("no.onnx", stray).fails(2, &[words]);
    }
    for stray in [["--block", "64"], ["--fit", "nearest"]] {
        room.slipway(&["quantize", &model, "no.onnx", stray[0], stray[1]]).fails(2, &[stray[0]]);
    }
    quantize("no.onnx", &["--weights", "int4", "--fit", "half-quadratic"]).fails(2, &["--zero-points"]);
    assert!(!room.path("no.onnx").exists());
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
