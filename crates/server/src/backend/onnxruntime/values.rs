//! Tensors of the protocol as ONNX Runtime's values, and back. No type is converted.

use bytes::Bytes;
use ort::session::SessionInputValue;
use ort::value::{DynValue, PrimitiveTensorElementType, Tensor as Value};

use super::RunError;
use crate::backend::TensorSpec;
use crate::tensor::{DataType, Tensor, TensorData};

pub(super) fn to_value(spec: &TensorSpec, tensor: Tensor) -> Result<SessionInputValue<'static>, RunError> {
    let (shape, data) = tensor.into_parts();
    let value = match data {
        TensorData::Bool(values) => Value::from_array((shape, values)).map(Into::into),
        TensorData::Int8(values) => Value::from_array((shape, values)).map(Into::into),
        TensorData::UInt8(values) => Value::from_array((shape, values)).map(Into::into),
        TensorData::Int32(values) => Value::from_array((shape, values)).map(Into::into),
        TensorData::Int64(values) => Value::from_array((shape, values)).map(Into::into),
        TensorData::Fp16(values) => Value::from_array((shape, values)).map(Into::into),
        TensorData::Fp32(values) => Value::from_array((shape, values)).map(Into::into),
        TensorData::Fp64(values) => Value::from_array((shape, values)).map(Into::into),
        TensorData::Bytes(values) => {
            Value::from_string_array((shape, texts(spec, &values)?.as_slice())).map(Into::into)
        }
    };
    value.map_err(|error| RunError::Engine(format!("input {:?}: {error}", spec.name)))
}

/// ONNX Runtime's strings are UTF-8 that a zero byte ends.
fn texts(spec: &TensorSpec, values: &[Bytes]) -> Result<Vec<String>, RunError> {
    let text = |value: &Bytes| {
        let text = std::str::from_utf8(value).ok().filter(|text| !text.contains('\0'))?;
        Some(text.to_owned())
    };
    let refused = || {
        RunError::Input(format!(
            "input {:?} has a string that is not UTF-8 text without zero bytes",
            spec.name
        ))
    };
    values.iter().map(|value| text(value).ok_or_else(refused)).collect()
}

pub(super) fn from_value(spec: &TensorSpec, value: &DynValue) -> Result<Tensor, RunError> {
    match spec.datatype {
        DataType::Bool => tensor(spec, value, TensorData::Bool),
        DataType::Int8 => tensor(spec, value, TensorData::Int8),
        DataType::UInt8 => tensor(spec, value, TensorData::UInt8),
        DataType::Int32 => tensor(spec, value, TensorData::Int32),
        DataType::Int64 => tensor(spec, value, TensorData::Int64),
        DataType::Fp16 => tensor(spec, value, TensorData::Fp16),
        DataType::Fp32 => tensor(spec, value, TensorData::Fp32),
        DataType::Fp64 => tensor(spec, value, TensorData::Fp64),
        DataType::Bytes => {
            let (shape, texts) = value.try_extract_strings().map_err(|error| broken(spec, error))?;
            joined(spec, shape, TensorData::Bytes(texts.into_iter().map(Bytes::from).collect()))
        }
    }
}

fn tensor<T: PrimitiveTensorElementType + Clone>(
    spec: &TensorSpec,
    value: &DynValue,
    wrap: fn(Vec<T>) -> TensorData,
) -> Result<Tensor, RunError> {
    let (shape, values) = value.try_extract_tensor::<T>().map_err(|error| broken(spec, error))?;
    joined(spec, shape, wrap(values.to_vec()))
}

fn joined(spec: &TensorSpec, shape: &[i64], data: TensorData) -> Result<Tensor, RunError> {
    let shape: Option<Vec<usize>> = shape.iter().map(|&size| usize::try_from(size).ok()).collect();
    let tensor = shape.and_then(|shape| Tensor::new(shape, data));
    tensor.ok_or_else(|| broken(spec, "its shape and its elements disagree"))
}

pub(super) fn broken(spec: &TensorSpec, what: impl std::fmt::Display) -> RunError {
    RunError::Engine(format!("output {:?}: {what}", spec.name))
}
