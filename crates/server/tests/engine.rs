//! The built-in engine: types at its edge, and what it lacks.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper that cannot work fails its test")]

mod common;

use common::{doubling, write};
use slipway_model::onnx::build::{ModelBuilder, int, node};
use slipway_model::onnx::proto::{AttributeProto, GraphProto, OperatorSetIdProto, type_proto};
use slipway_server::{
    DataType, Engine, EngineOptions, LoadError, RunError, Tensor, TensorData, unsupported_operators,
};

fn set_type(model: &mut ModelBuilder, code: i32) {
    let graph = model.graph();
    for value in graph.input.iter_mut().chain(&mut graph.output) {
        let Some(type_proto::Value::TensorType(tensor)) = value.r#type.as_mut().unwrap().value.as_mut()
        else {
            panic!("no tensor");
        };
        tensor.elem_type = Some(code);
    }
}

fn load(model: &ModelBuilder) -> Result<Engine, LoadError> {
    let (_folder, path) = write(model, "model.onnx");
    Engine::load(&path, EngineOptions::default())
}

fn tensor(shape: &[usize], data: TensorData) -> Tensor {
    Tensor::new(shape.to_vec(), data).unwrap()
}

#[test]
fn declared_types_are_kept_at_the_edge() {
    const INT64: i32 = 7;
    const DOUBLE: i32 = 11;
    for (code, datatype, input, output) in [
        (INT64, DataType::Int64, TensorData::Int64(vec![3, -4]), TensorData::Int64(vec![6, -8])),
        (DOUBLE, DataType::Fp64, TensorData::Fp64(vec![0.5, -4.0]), TensorData::Fp64(vec![1.0, -8.0])),
    ] {
        let mut model = doubling();
        set_type(&mut model, code);
        let engine = load(&model).unwrap();
        assert_eq!(engine.inputs()[0].datatype, datatype);
        assert_eq!(engine.run(vec![tensor(&[1, 2], input)]), Ok(vec![tensor(&[1, 2], output)]));
    }
}

#[test]
fn value_that_the_engine_cannot_hold_is_refused() {
    let mut model = doubling();
    set_type(&mut model, 7);
    let engine = load(&model).unwrap();
    let error = engine.run(vec![tensor(&[1, 2], TensorData::Int64(vec![1, 1 << 40]))]).unwrap_err();
    assert!(
        matches!(&error, RunError::Input(message) if message.contains("1099511627776 is out of range")),
        "{error}"
    );
}

#[test]
fn inputs_that_do_not_fit_are_refused() {
    let engine = load(&doubling()).unwrap();
    assert!(engine.can_batch());
    for inputs in [
        vec![],
        vec![tensor(&[1, 3], TensorData::zeros(DataType::Fp32, 3))],
        vec![tensor(&[1, 2], TensorData::zeros(DataType::Int32, 2))],
    ] {
        assert!(matches!(engine.run(inputs), Err(RunError::Input(_))));
    }
}

#[test]
fn every_missing_operator_is_named_with_its_domain() {
    let mut model = doubling().node("NoSuchOperator", &["x"], &["a"]);
    let mut tree = node("TreeEnsembleClassifier", &["x"], &["b", "c"], vec![]);
    tree.domain = Some("ai.onnx.ml".to_owned());
    model.graph().node.push(tree);
    let version = Some(3);
    model.proto.opset_import.push(OperatorSetIdProto { domain: Some("ai.onnx.ml".to_owned()), version });
    let (_folder, path) = write(&model, "model.onnx");
    let missing = ["ai.onnx.NoSuchOperator", "ai.onnx.ml.TreeEnsembleClassifier"];
    assert_eq!(unsupported_operators(&path).unwrap(), missing);
    let error = Engine::load(&path, EngineOptions::default()).unwrap_err();
    assert_eq!(error.category(), "UnsupportedOperators");
    assert_eq!(
        error.to_string(),
        "rten cannot run ai.onnx.NoSuchOperator, ai.onnx.ml.TreeEnsembleClassifier"
    );
}

#[test]
fn operators_inside_subgraphs_are_found() {
    let inner = GraphProto { node: vec![node("Mystery", &["x"], &["i"], vec![])], ..GraphProto::default() };
    let branch = |name: &str| AttributeProto { g: Some(inner.clone()), ..graph_attribute(name) };
    let model =
        doubling().node_with("If", &["x"], &["z"], vec![branch("then_branch"), branch("else_branch")]);
    let (_folder, path) = write(&model, "model.onnx");
    assert_eq!(unsupported_operators(&path).unwrap(), ["ai.onnx.Mystery"]);
}

fn graph_attribute(name: &str) -> AttributeProto {
    const GRAPH: i32 = 5;
    AttributeProto { r#type: Some(GRAPH), name: Some(name.to_owned()), ..int(name, 0) }
}

#[test]
fn supported_models_miss_nothing() {
    let (_folder, path) = write(&doubling(), "model.onnx");
    assert_eq!(unsupported_operators(&path).unwrap(), Vec::<String>::new());
    let digits = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/digits/model.onnx");
    assert_eq!(unsupported_operators(digits.as_ref()).unwrap(), Vec::<String>::new());
}

#[test]
fn file_without_the_usual_ending_loads() {
    let (_folder, path) = write(&doubling(), "model");
    let engine = Engine::load(&path, EngineOptions { threads: 2 }).unwrap();
    let mut answer = None;
    engine.on_worker(&mut || {
        answer = Some(engine.run(vec![tensor(&[1, 2], TensorData::Fp32(vec![1.0, 2.0]))]));
    });
    assert_eq!(answer, Some(Ok(vec![tensor(&[1, 2], TensorData::Fp32(vec![2.0, 4.0]))])));
}

#[test]
fn files_that_are_no_model_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    assert!(matches!(Engine::load(&path, EngineOptions::default()), Err(LoadError::Read { .. })));
    for bytes in [b"".as_slice(), b"\xff\xff\xff", b"<html>"] {
        std::fs::write(&path, bytes).unwrap();
        let error = Engine::load(&path, EngineOptions::default()).unwrap_err();
        assert!(matches!(error, LoadError::Invalid(_)) && !error.is_retryable(), "{error}");
    }
}

#[test]
fn types_that_the_engine_lacks_are_named() {
    const STRING: i32 = 8;
    let mut model = doubling();
    set_type(&mut model, STRING);
    let error = load(&model).unwrap_err();
    assert_eq!(error.to_string(), "rten cannot exchange x: its type is string");
}
