//! `slipway simplify`.

use std::path::Path;

use crate::program::{Room, example};

/// A classifier with an `Identity` in it.
fn iris() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../server/tests/models/iris.onnx");
    path.canonicalize().unwrap().to_str().unwrap().to_owned()
}

#[test]
fn what_need_not_be_there_goes_and_the_input_stays() {
    let room = Room::new();
    let model = iris();
    let before = std::fs::read(&model).unwrap();
    let report = room.slipway(&["simplify", &model, "clean.onnx", "--json"]).json();
    assert_eq!(report["changes"], serde_json::json!({ "nodeBypassed": 1 }));
    assert_eq!((&report["nodesBefore"], &report["nodesAfter"]), (&3.into(), &2.into()));
    assert_eq!(report["sizeAfter"], std::fs::metadata(room.path("clean.onnx")).unwrap().len());
    assert_eq!(std::fs::read(&model).unwrap(), before);
    let text = room.slipway(&["simplify", &model, "again.onnx"]).text();
    assert!(
        text.contains("\nnode that changes nothing removed  ") && text.contains("\n3 nodes -> 2, "),
        "{text}"
    );
}

#[test]
fn nothing_to_do_is_a_failure_unless_it_is_allowed() {
    let room = Room::new();
    let model = example("model.onnx");
    room.slipway(&["simplify", &model, "clean.onnx"]).fails(1, &["nothing changed", "--allow-unchanged"]);
    assert!(!room.path("clean.onnx").exists());
    let report = room.slipway(&["simplify", &model, "clean.onnx", "--allow-unchanged", "--json"]).json();
    assert_eq!(report["changes"], serde_json::json!({}));
    assert!(room.path("clean.onnx").exists());
}

#[test]
fn open_dimensions_get_the_sizes_that_are_asked_for() {
    let room = Room::new();
    let model = example("model.onnx");
    let simplify = |dims: &[&str]| {
        let named = dims.iter().flat_map(|dim| ["--dim", dim]);
        let arguments: Vec<&str> =
            ["simplify", &model, "out.onnx", "--json"].into_iter().chain(named).collect();
        room.slipway(&arguments)
    };
    simplify(&["rows=3"]).fails(1, &["no input has a dimension named rows; open dimensions: batch"]);
    simplify(&["batch=0"]).fails(2, &["NAME=SIZE"]);
    simplify(&["batch=1", "batch=2"]).fails(2, &["twice"]);
    let report = simplify(&["batch=3"]).json();
    assert!(report["changes"]["dimFixed"].as_u64().unwrap() >= 2, "{report}");
    let facts = room.slipway(&["inspect", "out.onnx", "--json"]).json().to_string();
    assert!(facts.contains("[3,64]"), "{facts}");
}
