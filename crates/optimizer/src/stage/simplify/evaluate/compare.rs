//! Comparing, logic, and choosing.

use slipway_model::onnx::proto::tensor_proto::DataType as Code;

use super::arithmetic::operands;
use super::walk::{broadcast, spread};
use super::{Call, Refusal};
use crate::stage::simplify::tensor::{Element, Tensor};

/// `Equal`, `Less`, `LessOrEqual`, `Greater` and `GreaterOrEqual`.
pub(super) fn compare(call: &Call<'_>) -> Result<Vec<Tensor>, Refusal> {
    let (left, right) = operands(call)?;
    let made = match left.code {
        Code::Float => of::<f32>(call.op(), &left, &right),
        Code::Double => of::<f64>(call.op(), &left, &right),
        Code::Int32 => of::<i32>(call.op(), &left, &right),
        Code::Int64 => of::<i64>(call.op(), &left, &right),
        Code::Bool if call.op() == "Equal" => of::<bool>(call.op(), &left, &right),
        _ => return Err(Refusal::Unknown),
    };
    Ok(vec![made])
}

fn of<T: Element + PartialOrd>(op: &str, left: &Tensor, right: &Tensor) -> Tensor {
    let holds: fn(&T, &T) -> bool = match op {
        "Equal" => T::eq,
        "Less" => T::lt,
        "LessOrEqual" => T::le,
        "Greater" => T::gt,
        _ => T::ge,
    };
    let pairs = left.values::<T>().zip(right.values::<T>());
    Tensor::new(left.dims.clone(), pairs.map(|(left, right)| holds(&left, &right)))
}

/// `And`, `Or` and `Xor`.
pub(super) fn logic(call: &Call<'_>) -> Result<Vec<Tensor>, Refusal> {
    let (left, right) = operands(call)?;
    if left.code != Code::Bool {
        return Err(Refusal::Unknown);
    }
    let holds: fn(bool, bool) -> bool = match call.op() {
        "And" => |left, right| left && right,
        "Or" => |left, right| left || right,
        _ => |left, right| left != right,
    };
    let pairs = left.values::<bool>().zip(right.values::<bool>());
    Ok(vec![Tensor::new(left.dims.clone(), pairs.map(|(left, right)| holds(left, right)))])
}

/// `Not`.
pub(super) fn not(call: &Call<'_>) -> Result<Vec<Tensor>, Refusal> {
    let input = call.input(0)?;
    if input.code != Code::Bool {
        return Err(Refusal::Unknown);
    }
    Ok(vec![Tensor::new(input.dims.clone(), input.values::<bool>().map(|value| !value))])
}

/// `Where`.
pub(super) fn choose(call: &Call<'_>) -> Result<Vec<Tensor>, Refusal> {
    let (condition, left, right) = (call.input(0)?, call.input(1)?, call.input(2)?);
    if condition.code != Code::Bool || left.code != right.code {
        return Err(Refusal::Unknown);
    }
    let dims = broadcast(&broadcast(&condition.dims, &left.dims)?, &right.dims)?;
    let (condition, left, right) = (spread(condition, &dims)?, spread(left, &dims)?, spread(right, &dims)?);
    let width = left.width()?;
    let pairs = left.bytes.chunks_exact(width).zip(right.bytes.chunks_exact(width));
    let chosen =
        condition.values::<bool>().zip(pairs).map(|(is, (left, right))| if is { left } else { right });
    let bytes: Vec<u8> = chosen.flatten().copied().collect();
    Ok(vec![Tensor { code: left.code, dims, bytes: bytes.into() }])
}
