//! `slipway inspect`.

use slipway_model::onnx::build::ModelBuilder;

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
    assert_eq!(facts["runs"], true);
    let text = room.slipway(&["inspect", &model]).text();
    for line in [
        "engine    ONNX Runtime 1.",
        "engine    rten 0.27.0 runs it",
        "input   pixels         float  [batch, 64]",
        "Gemm          3",
    ] {
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

#[test]
fn operators_have_one_spelling() {
    let room = Room::new();
    let mut model = ModelBuilder::new()
        .input("x", &[-1, 2])
        .output("z", &[-1, 2])
        .node("Scaler", &["x"], &["y"])
        .node("NoSuchOperator", &["y"], &["z"]);
    model.graph().node[0].domain = Some("ai.onnx.ml".to_owned());
    model.write(&room.path("m.onnx")).unwrap();
    let facts = room.slipway(&["inspect", "m.onnx", "--json"]).json();
    assert_eq!(facts["runs"], false);
    let unsupported = serde_json::from_value::<Vec<String>>(facts["unsupportedOperators"].clone()).unwrap();
    assert_eq!(unsupported, ["NoSuchOperator", "ai.onnx.ml.Scaler"]);
    for operator in &unsupported {
        assert_eq!(facts["facts"]["operators"][operator], 1, "{facts}");
    }
}

#[test]
fn what_is_in_the_place_of_a_model_is_named_with_what_to_do() {
    let room = Room::new();
    for (content, words) in [
        (&b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n"[..], "run git lfs pull"),
        (b"<!DOCTYPE html><html></html>", "a web page"),
        (b"\x89HDF\r\n\x1a\n", "an HDF5 file, not an ONNX model: export"),
        (b"GGUF\x03\0\0\0", "a GGUF file"),
    ] {
        room.write("m.onnx", content);
        room.slipway(&["inspect", "m.onnx"]).fails(1, &["m.onnx: it is ", words]);
        let reference = format!("oci-layout://{}:1", room.argument("store"));
        room.slipway(&["push", "m.onnx", &reference]).fails(2, &["m.onnx is ", words]);
    }
}

#[test]
fn what_is_in_the_place_of_data_is_named_with_what_to_do() {
    let room = Room::new();
    let model = example("model.onnx");
    for (content, words) in [
        (
            &b"\x93NUMPY\x01\0v\0{}"[..],
            "a .npy file holds one array without a name: save it with numpy.savez",
        ),
        (b"a,b\n1,2\n", "it is no npz file: save arrays with numpy.savez"),
        (&std::fs::read(&model).unwrap(), "it is an ONNX model, not an npz file"),
    ] {
        room.write("d.npz", content);
        let done = room.slipway(&["calibrate", &model, "d.npz", "c.json"]);
        done.fails(1, &["d.npz: ", words]);
        assert!(!done.error().to_lowercase().contains("zip archive"), "{done:?}");
    }
}
