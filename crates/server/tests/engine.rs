//! The engines in a process of their own: types at their edge, and what the built-in one lacks.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper that cannot work fails its test")]

mod common;

use common::{doubling, write};
use slipway_model::onnx::build::{ModelBuilder, external_tensor, int, ints, node};
use slipway_model::onnx::proto::{AttributeProto, GraphProto, OperatorSetIdProto, type_proto};
use slipway_server::{
    BackendChoice, DataType, Engine, EngineOptions, LoadError, RunError, Tensor, TensorData,
    unsupported_operators,
};

for_each_engine!(
    declared_types_are_kept_at_the_edge,
    tensors_without_elements_go_through,
    value_that_an_operator_cannot_take_is_the_requests_fault,
    inputs_that_do_not_fit_are_refused,
    file_without_the_usual_ending_loads,
    weights_in_another_file_are_found,
    files_that_are_no_model_are_refused,
    threads_do_not_change_the_answer,
    outputs_that_nobody_wants_are_left_out,
);

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

fn load(backend: BackendChoice, model: &ModelBuilder) -> Result<Engine, LoadError> {
    let (_folder, path) = write(model, "model.onnx");
    Engine::load(&path, &common::engine(backend))
}

fn built_in() -> EngineOptions {
    EngineOptions { backend: BackendChoice::Rten, ..EngineOptions::default() }
}

fn tensor(shape: &[usize], data: TensorData) -> Tensor {
    Tensor::new(shape.to_vec(), data).unwrap()
}

/// A model that gives what it gets.
fn passing() -> ModelBuilder {
    ModelBuilder::new().input("x", &[-1, 2]).output("y", &[-1, 2]).node("Identity", &["x"], &["y"])
}

async fn declared_types_are_kept_at_the_edge(backend: BackendChoice) {
    for (code, data) in [
        (7, TensorData::Int64(vec![3, -4])),
        (9, TensorData::Bool(vec![true, false])),
        (10, TensorData::Fp16(vec![half::f16::ONE, half::f16::MAX])),
    ] {
        let mut model = passing();
        set_type(&mut model, code);
        let engine = load(backend, &model).unwrap();
        let given = tensor(&[1, 2], data);
        assert_eq!(engine.inputs()[0].datatype, given.datatype());
        assert_eq!(engine.run(vec![given.clone()]), Ok(vec![given]));
    }
}

#[cfg(not(target_feature = "crt-static"))]
#[test]
fn onnx_runtime_converts_no_type() {
    for (code, data) in [
        (1, TensorData::Fp32(vec![0.1, f32::MAX])),
        (2, TensorData::UInt8(vec![0, 255])),
        (3, TensorData::Int8(vec![-128, 127])),
        (6, TensorData::Int32(vec![i32::MIN, i32::MAX])),
        (7, TensorData::Int64(vec![i64::MIN, i64::MAX])),
        (8, TensorData::Bytes(vec!["\u{e9}".into(), "".into()])),
        (9, TensorData::Bool(vec![true, false])),
        (10, TensorData::Fp16(vec![half::f16::MAX, half::f16::MIN_POSITIVE])),
        (11, TensorData::Fp64(vec![0.1, f64::MAX])),
    ] {
        let (x, y) = (["x"], ["y"]);
        let mut model = ModelBuilder::new().input("x", &[-1]).output("y", &[-1]).node("Identity", &x, &y);
        set_type(&mut model, code);
        let engine = load(BackendChoice::OnnxRuntime, &model).unwrap();
        let tensor = tensor(&[2], data);
        assert_eq!(engine.run(vec![tensor.clone()]), Ok(vec![tensor]));
    }
}

async fn outputs_that_nobody_wants_are_left_out(backend: BackendChoice) {
    let model = ModelBuilder::new()
        .input("x", &[-1])
        .output("doubled", &[-1])
        .output("raised", &[-1])
        .floats("one", &[1], &[1.0])
        .node("Add", &["x", "x"], &["doubled"])
        .node("Add", &["x", "one"], &["raised"]);
    let engine = load(backend, &model).unwrap();
    let floats = |values: [f32; 2]| tensor(&[2], TensorData::Fp32(values.to_vec()));
    let x = || vec![floats([1.0, -3.0])];
    assert_eq!(engine.run_some(x(), &[1]), Ok(vec![floats([2.0, -2.0])]));
    assert_eq!(engine.run_some(x(), &[1, 0]), Ok(vec![floats([2.0, -2.0]), floats([2.0, -6.0])]));
    assert_eq!(engine.run_some(x(), &[2]).unwrap_err(), RunError::Engine("the model has no output 2".into()));
    assert!(matches!(engine.run_some(vec![], &[0]), Err(RunError::Input(_))));
}

async fn tensors_without_elements_go_through(backend: BackendChoice) {
    let engine = load(backend, &doubling()).unwrap();
    let empty = tensor(&[0, 2], TensorData::Fp32(vec![]));
    assert_eq!(engine.run(vec![empty.clone()]), Ok(vec![empty]));
}

async fn value_that_an_operator_cannot_take_is_the_requests_fault(backend: BackendChoice) {
    let mut model = ModelBuilder::new()
        .floats("table", &[3], &[0.0, 1.0, 2.0])
        .input("x", &[-1])
        .output("y", &[-1])
        .node("Gather", &["table", "x"], &["y"]);
    let Some(type_proto::Value::TensorType(index)) =
        model.graph().input[0].r#type.as_mut().unwrap().value.as_mut()
    else {
        panic!("no tensor");
    };
    index.elem_type = Some(7);
    let engine = load(backend, &model).unwrap();
    let run = |index| engine.run(vec![tensor(&[1], TensorData::Int64(vec![index]))]);
    assert_eq!(run(2), Ok(vec![tensor(&[1], TensorData::Fp32(vec![2.0]))]));
    let Err(RunError::Input(message)) = run(9) else { panic!("not refused: {:?}", run(9)) };
    assert!(message.contains("cannot compute this input") && !message.contains(".cc"), "{message}");
}

async fn weights_in_another_file_are_found(backend: BackendChoice) {
    let folder = tempfile::tempdir().unwrap();
    let weights: Vec<u8> = [3.0_f32, 4.0].iter().flat_map(|value| value.to_le_bytes()).collect();
    std::fs::write(folder.path().join("weights.bin"), weights).unwrap();
    let model = ModelBuilder::new()
        .initializer(external_tensor("w", &[2], &[("location", "weights.bin")]))
        .input("x", &[-1, 2])
        .output("y", &[-1, 2])
        .node("Mul", &["x", "w"], &["y"]);
    let path = folder.path().join("model.onnx");
    model.write(&path).unwrap();
    let engine = Engine::load(&path, &common::engine(backend)).unwrap();
    let answer = engine.run(vec![tensor(&[1, 2], TensorData::Fp32(vec![1.0, 2.0]))]);
    assert_eq!(answer, Ok(vec![tensor(&[1, 2], TensorData::Fp32(vec![3.0, 8.0]))]));
}

async fn threads_do_not_change_the_answer(backend: BackendChoice) {
    let digits = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/digits/model.onnx");
    let answer = |threads| {
        let engine =
            Engine::load(digits.as_ref(), &EngineOptions { threads, ..common::engine(backend) }).unwrap();
        engine.run(common::pseudo_inputs(&engine, 16)).unwrap()
    };
    assert_eq!(answer(1), answer(4));
}

#[test]
fn value_that_the_engine_cannot_hold_is_refused() {
    let mut model = passing();
    set_type(&mut model, 7);
    let engine = load(BackendChoice::Rten, &model).unwrap();
    let error = engine.run(vec![tensor(&[1, 2], TensorData::Int64(vec![1, 1 << 40]))]).unwrap_err();
    assert!(
        matches!(&error, RunError::Input(message) if message.contains("1099511627776 is out of range")),
        "{error}"
    );
}

async fn inputs_that_do_not_fit_are_refused(backend: BackendChoice) {
    let engine = load(backend, &doubling()).unwrap();
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
    let error = Engine::load(&path, &built_in()).unwrap_err();
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

/// rten 0.27 pads integers with 0 where ONNX says the zero point, and forgets the zero points of a batch.
#[test]
fn convolutions_in_integers_that_come_out_wrong_are_refused() {
    let mut model = ModelBuilder::new().input("x", &[-1, 2, 4, 4]).output("y", &[-1, 2, 4, 4]);
    model = model.node("DynamicQuantizeLinear", &["x"], &["q", "s", "z"]).node_with(
        "ConvInteger",
        &["q", "q", "z"],
        &["c"],
        vec![ints("kernel_shape", &[3, 3]), ints("pads", &[1, 1, 1, 1])],
    );
    model = model.node_with("Cast", &["c"], &["y"], vec![int("to", 1)]);
    let (_folder, path) = write(&model, "model.onnx");
    let refused = unsupported_operators(&path).unwrap();
    assert!(refused.iter().any(|told| told.starts_with("ai.onnx.ConvInteger with ")), "{refused:?}");
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

async fn file_without_the_usual_ending_loads(backend: BackendChoice) {
    let (_folder, path) = write(&doubling(), "model");
    let engine = Engine::load(&path, &EngineOptions { threads: 2, ..common::engine(backend) }).unwrap();
    let mut answer = None;
    engine.on_worker(&mut || {
        answer = Some(engine.run(vec![tensor(&[1, 2], TensorData::Fp32(vec![1.0, 2.0]))]));
    });
    assert_eq!(answer, Some(Ok(vec![tensor(&[1, 2], TensorData::Fp32(vec![2.0, 4.0]))])));
}

async fn files_that_are_no_model_are_refused(backend: BackendChoice) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    assert!(matches!(Engine::load(&path, &common::engine(backend)), Err(LoadError::Read { .. })));
    for bytes in [b"".as_slice(), b"\xff\xff\xff", b"<html>"] {
        std::fs::write(&path, bytes).unwrap();
        let error = Engine::load(&path, &common::engine(backend)).unwrap_err();
        assert!(matches!(error, LoadError::Invalid(_)) && !error.is_retryable(), "{error}");
    }
}

#[test]
fn types_that_the_engine_lacks_are_named() {
    for (code, name) in [(8, "string"), (11, "double")] {
        let mut model = passing();
        set_type(&mut model, code);
        let error = load(BackendChoice::Rten, &model).unwrap_err();
        assert_eq!(error.to_string(), format!("rten cannot exchange x: its type is {name}"));
    }
}
