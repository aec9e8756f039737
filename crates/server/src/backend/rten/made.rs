//! Nodes that stand in place of others.

use slipway_model::onnx::DataType;
use slipway_model::onnx::attribute::tensor;
use slipway_model::onnx::proto::{NodeProto, TensorProto};

/// A node of ONNX's own with one output, which it is named by.
pub(super) fn made(operator: &str, inputs: &[&str], output: &str) -> NodeProto {
    NodeProto {
        input: inputs.iter().map(ToString::to_string).collect(),
        output: vec![output.to_owned()],
        name: Some(format!("{output}/{operator}")),
        op_type: Some(operator.to_owned()),
        ..NodeProto::default()
    }
}

/// A constant without axes, given as the bytes of its element.
pub(super) fn scalar(output: &str, data_type: DataType, bytes: Vec<u8>) -> NodeProto {
    let value = TensorProto {
        data_type: Some(data_type.code()),
        raw_data: Some(bytes.into()),
        ..TensorProto::default()
    };
    NodeProto { attribute: vec![tensor("value", value)], ..made("Constant", &[], output) }
}

/// A constant of one axis, given as the bytes of its elements.
pub(super) fn vector(output: &str, data_type: DataType, count: i64, bytes: Vec<u8>) -> NodeProto {
    let value = TensorProto {
        dims: vec![count],
        data_type: Some(data_type.code()),
        raw_data: Some(bytes.into()),
        ..TensorProto::default()
    };
    NodeProto { attribute: vec![tensor("value", value)], ..made("Constant", &[], output) }
}

/// A constant of single precision without axes.
pub(super) fn float(output: &str, value: f32) -> NodeProto {
    scalar(output, DataType::FLOAT, value.to_le_bytes().to_vec())
}
