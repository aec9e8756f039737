//! Operators that make tensors from sizes.

use bytes::Bytes;
use slipway_model::onnx::proto::tensor_proto::DataType as Code;

use super::{Call, Refusal, dims_of, elements};
use crate::graph::attribute;
use crate::stage::simplify::tensor::{Tensor, width};

/// `Shape`, from opset 15 on of some of the axes.
pub(super) fn shape(call: &Call<'_>) -> Result<Vec<Tensor>, Refusal> {
    let dims = &call.input(0)?.dims;
    let rank = i64::try_from(dims.len()).unwrap_or(i64::MAX);
    let clamp = |at: i64| usize::try_from(if at < 0 { at.saturating_add(rank) } else { at }.clamp(0, rank));
    let (start, end) = (clamp(call.int("start", 0)), clamp(call.int("end", rank)));
    let (start, end) = (start.unwrap_or_default(), end.unwrap_or_default());
    let sizes = dims.get(start..end).unwrap_or_default();
    let sizes = sizes.iter().map(|dim| i64::try_from(*dim).unwrap_or(i64::MAX));
    Ok(vec![Tensor::new(vec![sizes.len()], sizes)])
}

/// `Size`.
pub(super) fn size(call: &Call<'_>) -> Result<Vec<Tensor>, Refusal> {
    let input = call.input(0)?;
    let count = elements(&input.dims, input.width()?)?;
    Ok(vec![Tensor::new(vec![], [i64::try_from(count).unwrap_or(i64::MAX)])])
}

/// `ConstantOfShape`.
pub(super) fn constant_of_shape(call: &Call<'_>) -> Result<Vec<Tensor>, Refusal> {
    let dims = dims_of(&call.input(0)?.integers().ok_or(Refusal::Unknown)?)?;
    let value = match attribute(call.node, "value") {
        None => Tensor::new(vec![1], [0.0_f32]),
        Some(attribute) => small_tensor(attribute.t.as_ref().ok_or(Refusal::Unknown)?)?,
    };
    if value.bytes.len() != value.width()? {
        return Err(Refusal::Undefined("the value is not one element"));
    }
    let count = elements(&dims, value.width()?)?;
    Ok(vec![Tensor { code: value.code, dims, bytes: value.bytes.repeat(count).into() }])
}

/// A tensor of an attribute that keeps its elements itself.
fn small_tensor(tensor: &slipway_model::onnx::proto::TensorProto) -> Result<Tensor, Refusal> {
    let code = Code::try_from(tensor.data_type()).map_err(|_| Refusal::Unknown)?;
    let dims = dims_of(&tensor.dims)?;
    let bytes = match (&tensor.raw_data, code) {
        (Some(raw), _) => raw.clone(),
        (None, Code::Float) => tensor.float_data.iter().flat_map(|value| value.to_le_bytes()).collect(),
        (None, Code::Int64) => tensor.int64_data.iter().flat_map(|value| value.to_le_bytes()).collect(),
        (None, Code::Int32) => tensor.int32_data.iter().flat_map(|value| value.to_le_bytes()).collect(),
        (None, Code::Bool) => tensor.int32_data.iter().map(|value| u8::from(*value != 0)).collect::<Bytes>(),
        _ => return Err(Refusal::Unknown),
    };
    if bytes.len() == elements(&dims, width(code)?)? * width(code)? {
        Ok(Tensor { code, dims, bytes })
    } else {
        Err(Refusal::Unknown)
    }
}

/// `Range` of integers: engines add up floats in different orders.
pub(super) fn range(call: &Call<'_>) -> Result<Vec<Tensor>, Refusal> {
    let code = call.input(0)?.code;
    let number = |index: usize| {
        let input = call.input(index)?;
        let values = input.integers().ok_or(Refusal::Unknown)?;
        if values.len() == 1 && input.code == code { Ok(values[0]) } else { Err(Refusal::Unknown) }
    };
    let (start, limit, step) = (number(0)?, number(1)?, number(2)?);
    if step == 0 {
        return Err(Refusal::Undefined("a step of zero"));
    }
    let span = i128::from(limit) - i128::from(start);
    let count =
        if (span > 0) == (step > 0) { span.unsigned_abs().div_ceil(step.unsigned_abs().into()) } else { 0 };
    let count = elements(&[usize::try_from(count).unwrap_or(usize::MAX)], 8)?;
    // Every value lies between start and limit: what overflows on the way there comes back.
    let values = (0_i64..).take(count).map(|index| start.wrapping_add(index.wrapping_mul(step)));
    Ok(vec![match code {
        Code::Int64 => Tensor::new(vec![count], values),
        _ => Tensor::new(vec![count], values.map(|value| i32::try_from(value).unwrap_or_default())),
    }])
}
