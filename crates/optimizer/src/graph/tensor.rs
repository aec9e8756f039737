//! Making and reading small tensors.

use slipway_model::onnx::DataType;
use slipway_model::onnx::proto::tensor_shape_proto::{Dimension, dimension};
use slipway_model::onnx::proto::{TensorProto, TensorShapeProto, TypeProto, ValueInfoProto, type_proto};

/// A tensor without its data.
pub(crate) fn header(name: &str, dims: &[i64], data_type: DataType) -> TensorProto {
    TensorProto {
        dims: dims.to_vec(),
        data_type: Some(data_type.code()),
        name: Some(name.to_owned()),
        ..TensorProto::default()
    }
}

/// A tensor of floats.
pub(crate) fn float_tensor(name: &str, dims: &[i64], values: &[f32]) -> TensorProto {
    let raw: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    TensorProto { raw_data: Some(raw.into()), ..header(name, dims, DataType::FLOAT) }
}

/// A list of integers.
pub(crate) fn int_list(name: &str, values: &[i64]) -> TensorProto {
    let raw: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let length = i64::try_from(values.len()).expect("lists of axes and sizes are short");
    TensorProto { raw_data: Some(raw.into()), ..header(name, &[length], DataType::INT64) }
}

/// A scalar of one byte: `int8` or `uint8`.
pub(crate) fn int_scalar(name: &str, data_type: DataType, byte: u8) -> TensorProto {
    TensorProto { raw_data: Some(vec![byte].into()), ..header(name, &[], data_type) }
}

/// A tensor of zeros of `int8`, one for each channel of a weight or fewer.
pub(crate) fn int8_zeros(name: &str, dims: &[i64]) -> TensorProto {
    let count: i64 = dims.iter().product();
    let zeros = vec![0; usize::try_from(count).expect("a weight has more elements")];
    TensorProto { raw_data: Some(zeros.into()), ..header(name, dims, DataType::INT8) }
}

/// What a value is: its element type and its dimensions.
pub(crate) fn value_info(name: &str, data_type: DataType, dims: &[i64]) -> ValueInfoProto {
    let dim =
        |size: &i64| Dimension { value: Some(dimension::Value::DimValue(*size)), ..Dimension::default() };
    let tensor = type_proto::Tensor {
        elem_type: Some(data_type.code()),
        shape: Some(TensorShapeProto { dim: dims.iter().map(dim).collect() }),
    };
    let kind = TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..TypeProto::default() };
    ValueInfoProto { name: Some(name.to_owned()), r#type: Some(kind), ..ValueInfoProto::default() }
}

/// What a value is, but for its dimensions.
pub(crate) fn open_value(name: &str, data_type: DataType) -> ValueInfoProto {
    let tensor = type_proto::Tensor { elem_type: Some(data_type.code()), shape: None };
    let kind = TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..TypeProto::default() };
    ValueInfoProto { name: Some(name.to_owned()), r#type: Some(kind), ..ValueInfoProto::default() }
}

/// The integers of a tensor that holds them itself; `None` for another type.
pub(super) fn integers_of(tensor: &TensorProto) -> Option<Vec<i64>> {
    if tensor.data_type() != DataType::INT64.code() {
        return None;
    }
    match &tensor.raw_data {
        Some(raw) => Some(raw.as_chunks::<8>().0.iter().map(|word| i64::from_le_bytes(*word)).collect()),
        None if tensor.external_data.is_empty() => Some(tensor.int64_data.clone()),
        None => None,
    }
}
