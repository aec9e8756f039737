//! What opening a file costs in memory; a process of its own, so that the peak is this test's.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests, helpers included")]

use prost::Message;
use prost::encoding::encode_varint;
use slipway_model::onnx::build::ModelBuilder;
use slipway_model::onnx::proto::tensor_shape_proto::Dimension;
use slipway_model::onnx::proto::{TensorShapeProto, TypeProto, type_proto};
use slipway_model::onnx::{Limits, OnnxError, OnnxModel, Payload};

const MIB: u64 = 1 << 20;

/// The most memory that this process has used, in bytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

fn field(tag: u8, length: u64) -> Vec<u8> {
    let mut out = vec![tag];
    encode_varint(length, &mut out);
    out
}

/// Six million dimensions of two bytes each.
fn bomb() -> Vec<u8> {
    let shape = TensorShapeProto { dim: vec![Dimension::default(); 6_000_000] };
    let tensor = type_proto::Tensor { shape: Some(shape), ..type_proto::Tensor::default() };
    let kind = TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..TypeProto::default() };
    kind.encode_to_vec()
}

#[test]
fn memory_does_not_grow_with_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    let model = ModelBuilder::new().output("y", &[1]).node("ReduceSum", &["w"], &["y"]);
    model.write_with_zeros(&path, "w", &[1 << 28]).unwrap();
    let before = peak();
    let model = OnnxModel::open_with(&path, Limits::STREAMED).unwrap();
    let payload = model.payload(&model.graph().initializer[0]).unwrap();
    assert!(matches!(payload, Payload::File { length, .. } if length == 1024 * MIB));
    let grown = peak() - before;
    assert!(grown < 8 * MIB, "opening a file of 1 GiB took {grown} bytes");
    drop(model);

    let kind = bomb();
    let value = [field(0x12, kind.len() as u64), kind].concat();
    let graph = [field(0x5a, value.len() as u64), value].concat();
    let model = [field(0x3a, graph.len() as u64), graph].concat();
    std::fs::write(&path, &model).unwrap();
    drop(model);
    let before = peak();
    let limits = Limits { structure_bytes: 64 * MIB, ..Limits::default() };
    assert!(matches!(OnnxModel::open_with(&path, limits), Err(OnnxError::TooComplex { .. })));
    let grown = peak() - before;
    assert!(grown < 32 * MIB, "refusing a file of 12 MB took {grown} bytes");
}
