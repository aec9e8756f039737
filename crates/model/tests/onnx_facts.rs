//! What `OnnxModel` says about whole models.

use std::fs;

use slipway_model::onnx::build::{self, ModelBuilder, external_tensor, float_tensor, node};
use slipway_model::onnx::proto::{FunctionProto, GraphProto, NodeProto, SparseTensorProto, TensorProto};
use slipway_model::onnx::{DataType, Dim, OnnxModel, Payload, float_values};
use slipway_model::sniff::{FileFormat, sniff_file};

#[test]
fn facts_cover_subgraphs_constants_and_external_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    fs::write(folder.path().join("w.bin"), [0; 16]).unwrap();
    let body = GraphProto {
        node: vec![node("Custom", &["x"], &["z"], vec![])],
        initializer: vec![float_tensor("inner", &[5], &[0.0; 5])],
        output: vec![build::float_value("z", &[])],
        ..GraphProto::default()
    };
    let mut model = ModelBuilder::new()
        .input("x", &[-1, 2])
        .input("bias", &[2])
        .output("y", &[-1, 2])
        .initializer(external_tensor("w", &[2, 2], &[("location", "w.bin")]))
        .floats("bias", &[2], &[0.0; 2])
        .node("MatMul", &["x", "w"], &["m"])
        .node_with("Constant", &[], &["c"], vec![build::tensor("value", float_tensor("", &[3], &[0.0; 3]))])
        .node_with("If", &["c"], &["y"], vec![build::graph("then_branch", body)]);
    model.graph().node[0].domain = Some("ai.onnx".to_owned());
    model.write(&path).unwrap();

    let opened = OnnxModel::open(&path).unwrap();
    let facts = opened.facts();
    assert_eq!(facts.ir_version, 8);
    assert_eq!(facts.opsets["ai.onnx"], 17);
    assert_eq!(facts.inputs.len(), 1, "an initializer's input is none that a caller must give");
    assert_eq!(facts.inputs[0].dims, Some(vec![Dim::Symbol("batch".to_owned()), Dim::Fixed(2)]));
    assert_eq!(facts.outputs[0].data_type, "float");
    let operators: Vec<_> = facts.operators.into_iter().collect();
    let expected = [("Constant", 1), ("Custom", 1), ("If", 1), ("MatMul", 1)];
    assert_eq!(operators, expected.map(|(name, count)| (name.to_owned(), count)));
    assert_eq!(facts.parameters, 4 + 2 + 3 + 5);
    assert_eq!(facts.initializers["float"].count, 3);
    assert_eq!(facts.initializers["float"].bytes, 4 * (4 + 2 + 5));
    assert_eq!(facts.total_bytes, path.metadata().unwrap().len() + 16);
    assert_eq!(opened.files().len(), 2);
    assert_eq!(sniff_file(&path).unwrap(), FileFormat::Onnx);
}

#[test]
fn the_file_of_a_sparse_tensor_is_one_of_the_models() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    fs::write(folder.path().join("sparse.bin"), [0; 16]).unwrap();
    let mut model = ModelBuilder::new().input("x", &[4]).output("y", &[4]).node("Relu", &["x"], &["y"]);
    model.graph().sparse_initializer.push(SparseTensorProto {
        values: Some(external_tensor("sparse", &[4], &[("location", "sparse.bin")])),
        ..SparseTensorProto::default()
    });
    model.write(&path).unwrap();
    assert_eq!(OnnxModel::open(&path).unwrap().files().len(), 2);
}

#[test]
fn graphs_inside_functions_count_with_their_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    fs::write(folder.path().join("inner.bin"), [0; 24]).unwrap();
    let body = GraphProto {
        node: vec![node("Add", &["a", "inner"], &["z"], vec![])],
        initializer: vec![external_tensor("inner", &[2, 3], &[("location", "inner.bin")])],
        output: vec![build::float_value("z", &[])],
        ..GraphProto::default()
    };
    let mut model = ModelBuilder::new().input("x", &[-1, 3]).output("y", &[-1, 3]);
    model
        .graph()
        .node
        .push(NodeProto { domain: Some("own".to_owned()), ..node("Choose", &["x"], &["y"], vec![]) });
    model.proto.functions = vec![FunctionProto {
        name: Some("Choose".to_owned()),
        domain: Some("own".to_owned()),
        input: vec!["a".to_owned()],
        output: vec!["b".to_owned()],
        node: vec![node("If", &["a"], &["b"], vec![build::graph("then_branch", body)])],
        ..FunctionProto::default()
    }];
    model.write(&path).unwrap();
    let opened = OnnxModel::open(&path).unwrap();
    assert_eq!(opened.files().len(), 2);
    let facts = opened.facts();
    assert_eq!((facts.parameters, facts.initializers["float"].bytes), (6, 24));
    assert_eq!(facts.total_bytes, path.metadata().unwrap().len() + 24);
}

#[test]
fn payloads_lie_in_the_file_or_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    let empty = || TensorProto { raw_data: None, ..float_tensor("typed", &[2], &[]) };
    let typed = TensorProto { float_data: vec![3.0, -4.0], ..empty() };
    let short = TensorProto {
        name: Some("short".to_owned()),
        data_type: Some(DataType::INT8.code()),
        int32_data: vec![5, -6],
        ..empty()
    };
    ModelBuilder::new()
        .output("y", &[2])
        .floats("raw", &[2], &[1.0, -2.0])
        .initializer(typed)
        .initializer(short)
        .node("Add", &["raw", "typed"], &["y"])
        .write(&path)
        .unwrap();
    let model = OnnxModel::open(&path).unwrap();
    let read = |index: usize| {
        let payload = model.payload(&model.graph().initializer[index]).unwrap();
        let mut buffer = vec![0; usize::try_from(payload.len()).unwrap()];
        payload.open().unwrap().read_at(&mut buffer, 0).unwrap();
        payload.open().unwrap().read_at(&mut [0; 4], 5).unwrap_err();
        (matches!(payload, Payload::File { .. }), buffer)
    };
    let floats = |(in_file, bytes): (bool, Vec<u8>)| (in_file, float_values(&bytes).collect::<Vec<_>>());
    assert_eq!(floats(read(0)), (true, vec![1.0, -2.0]));
    assert_eq!(floats(read(1)), (true, vec![3.0, -4.0]));
    assert_eq!(read(2), (false, vec![5, 250]));
}
