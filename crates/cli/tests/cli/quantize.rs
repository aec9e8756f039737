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
    .fails(2, &["power of two from 16 to 256"]);
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
        let words = ["built-in engine", "ONNX Runtime with --engine onnxruntime"];
        quantize("no.onnx", &[&four[..], &["--engine", engine]].concat()).fails(2, &words);
        quantize("no.onnx", &["--weights", "bfloat16", "--engine", engine]).fails(2, &words);
    }
    quantize("no.onnx", &["--zero-points"]).fails(2, &["--weights int4"]);
    for (stray, words) in [
        (&["--fit", "nearest"][..], "int8 with --block"),
        (&["--block", "64", "--zero-points"], "--weights int4"),
        (&["--block", "64", "--fit", "gptq"], "--weights int4"),
        (&["--block", "64", "--granularity", "per-tensor"], "leave one of them out"),
        (&["--block", "64", "--weights", "float16"], "int4 or int8"),
        (&["--granularity", "per-tensor", "--weights", "int4"], "--granularity per-tensor is for int8"),
        (
            &["--weights", "int4", "--fit", "gptq", "--correct-bias", "--data", "d.npz"],
            "--fit gptq sees its data already: leave --correct-bias out",
        ),
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

#[test]
fn options_of_data_are_refused_where_no_data_is_run() {
    let room = Room::new();
    let [model, data] = [example("model.onnx"), example("holdout.npz")];
    room.slipway(&["calibrate", &model, &data, "c.json"]).text();
    let methods: [&[&str]; 4] = [
        &[],
        &["--scheme", "weight-only"],
        &["--scheme", "weight-only", "--weights", "int4"],
        &["--scheme", "static", "--calibration", "c.json"],
    ];
    for method in methods {
        let with = |more: &[&str], words: &str| {
            let call = [&["quantize", &model, "no.onnx"][..], method, more].concat();
            room.slipway(&call).fails(2, &[words, "for --scheme static without --calibration"]);
        };
        with(&["--range", "mse"], "--range and --percentile are");
        with(&["--range", "percentile", "--percentile", "99"], "--range and --percentile are");
        with(&["--samples", "128"], "--samples is");
        with(&["--input", "pixels=pixels"], "--input and --length are");
        with(&["--length", "pixels=labels"], "--input and --length are");
    }
    let corrected = ["quantize", &model, "no.onnx", "--correct-bias", "--data", &data];
    room.slipway(&[&corrected[..], &["--range", "mse"]].concat()).fails(2, &["--range and --percentile are"]);
    assert!(!room.path("no.onnx").exists());
}

#[test]
fn the_text_says_what_data_decided_and_what_blocks_do_not_divide() {
    let room = Room::new();
    let [model, data] = [example("model.onnx"), example("holdout.npz")];
    let four = |more: &[&str]| {
        let call = ["quantize", &model, "four.onnx", "--scheme", "weight-only", "--weights", "int4"];
        room.slipway(&[&call[..], more].concat()).text()
    };
    let undivided =
        "\n2 tensors of two dimensions stored as int8: int4 needs a depth that the block of 64 divides\n";
    let text = four(&["--block", "64"]);
    assert!(text.contains(undivided) && !text.contains("by data"), "{text}");
    let text = four(&["--block", "16", "--fit", "gptq", "--data", &data]);
    let chosen = "\nintegers of 3 tensors were chosen by data: judge the answers, not the SQNR\n";
    assert!(text.contains(chosen) && !text.contains("dimensions stored"), "{text}");
    let corrected = ["quantize", &model, "corrected.onnx", "--correct-bias", "--data", &data];
    let text = room.slipway(&corrected).text();
    assert!(text.contains("\nbiases of the products of 3 tensors are corrected\n"), "{text}");
}
