//! Reductions whose order does not show: of integers, and the extremes of floats.

use slipway_model::onnx::proto::tensor_proto::DataType as Code;

use super::arithmetic::Number;
use super::pick::transposed;
use super::{Call, Refusal, axis};
use crate::stage::simplify::tensor::Tensor;

/// `ReduceSum`, `ReduceProd`, `ReduceMin` and `ReduceMax`; the mean of integers is rounded in more than one way.
pub(super) fn reduce(call: &Call<'_>) -> Result<Vec<Tensor>, Refusal> {
    let input = call.input(0)?;
    let rank = input.dims.len();
    let axes = call.integers(1, "axes")?.unwrap_or_default();
    let axes = axes.iter().map(|at| axis(*at, rank)).collect::<Result<Vec<_>, _>>()?;
    if axes.is_empty() && call.int("noop_with_empty_axes", 0) != 0 {
        return Ok(vec![input.clone()]);
    }
    let is_reduced = |at: &usize| axes.is_empty() || axes.contains(at);
    let (gone, kept): (Vec<usize>, Vec<usize>) = (0..rank).partition(is_reduced);
    let keeps = call.int("keepdims", 1) != 0;
    let dim = |at: usize| if is_reduced(&at) { keeps.then_some(1) } else { Some(input.dims[at]) };
    let dims: Vec<usize> = (0..rank).filter_map(dim).collect();
    let length = gone.iter().fold(1_usize, |all, at| all.saturating_mul(input.dims[*at]));
    if gone.iter().any(|at| input.dims[*at] == 0) {
        return Err(Refusal::Undefined("a reduction of nothing"));
    }
    let rows = transposed(input, &[kept, gone].concat())?;
    let made = match input.code {
        Code::Int64 => rows_of::<i64>(call.op(), &rows, length, dims),
        Code::Int32 => rows_of::<i32>(call.op(), &rows, length, dims),
        Code::Float if is_extreme(call.op()) => rows_of::<f32>(call.op(), &rows, length, dims),
        Code::Double if is_extreme(call.op()) => rows_of::<f64>(call.op(), &rows, length, dims),
        _ => Err(Refusal::Unknown),
    };
    Ok(vec![made?])
}

fn is_extreme(op: &str) -> bool {
    matches!(op, "ReduceMin" | "ReduceMax")
}

fn rows_of<T: Number>(op: &str, rows: &Tensor, length: usize, dims: Vec<usize>) -> Result<Tensor, Refusal> {
    let step: fn(T, T) -> Option<T> = match op {
        "ReduceSum" => T::plus,
        "ReduceProd" => T::times,
        "ReduceMin" => T::lesser,
        "ReduceMax" => T::greater,
        _ => return Err(Refusal::Unknown),
    };
    let values: Vec<T> = rows.values::<T>().collect();
    let fold = |row: &[T]| row.iter().skip(1).try_fold(row[0], |so_far, value| step(so_far, *value));
    let folded = values.chunks(length).map(fold).collect::<Option<Vec<T>>>();
    Ok(Tensor::new(dims, folded.ok_or(Refusal::Undefined("the result is not the same everywhere"))?))
}
