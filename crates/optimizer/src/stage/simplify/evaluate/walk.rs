//! Copying elements by strides: what transposes, slices, repeats and broadcasts have in common.

use bytes::Bytes;

use super::{Refusal, elements};
use crate::stage::simplify::tensor::Tensor;

/// The distance of neighbours along each axis, in elements.
pub(super) fn strides(dims: &[usize]) -> Vec<isize> {
    let mut step = 1_usize;
    let mut out: Vec<isize> = dims
        .iter()
        .rev()
        .map(|dim| {
            let stride = isize::try_from(step).unwrap_or_default();
            step = step.saturating_mul((*dim).max(1));
            stride
        })
        .collect();
    out.reverse();
    out
}

/// Elements at `start + Σ index·stride` for every index of `dims`; the caller answers for all being inside.
pub(super) fn strided(
    from: &Tensor,
    dims: Vec<usize>,
    strides: &[isize],
    start: usize,
) -> Result<Tensor, Refusal> {
    let width = from.width()?;
    let count = elements(&dims, width)?;
    let mut bytes = Vec::with_capacity(count * width);
    let mut index = vec![0; dims.len()];
    let mut place = isize::try_from(start).unwrap_or_default();
    for _ in 0..count {
        let first = usize::try_from(place).unwrap_or(usize::MAX).saturating_mul(width);
        let element = from.bytes.get(first..first.saturating_add(width));
        bytes.extend_from_slice(element.ok_or(Refusal::Undefined("an index is out of range"))?);
        for axis in (0..dims.len()).rev() {
            index[axis] += 1;
            place += strides[axis];
            if index[axis] < dims[axis] {
                break;
            }
            place -= strides[axis] * isize::try_from(dims[axis]).unwrap_or_default();
            index[axis] = 0;
        }
    }
    Ok(Tensor { code: from.code, dims, bytes: Bytes::from(bytes) })
}

/// The dimensions that two broadcast to (ONNX, Broadcasting.md).
pub(super) fn broadcast(left: &[usize], right: &[usize]) -> Result<Vec<usize>, Refusal> {
    let rank = left.len().max(right.len());
    let dim = |dims: &[usize], axis: usize| (axis + dims.len()).checked_sub(rank).map_or(1, |at| dims[at]);
    (0..rank)
        .map(|axis| match (dim(left, axis), dim(right, axis)) {
            (1, other) | (other, 1) => Ok(other),
            (one, other) if one == other => Ok(one),
            _ => Err(Refusal::Undefined("the dimensions do not fit each other")),
        })
        .collect()
}

/// A tensor repeated to dimensions that it broadcasts to.
pub(super) fn spread(from: &Tensor, dims: &[usize]) -> Result<Tensor, Refusal> {
    if from.dims == dims {
        return Ok(from.clone());
    }
    let own = strides(&from.dims);
    let missing = dims.len() - from.dims.len();
    let stride = |axis: usize| match axis.checked_sub(missing) {
        Some(at) if from.dims[at] != 1 => own[at],
        _ => 0,
    };
    let strides: Vec<isize> = (0..dims.len()).map(stride).collect();
    strided(from, dims.to_vec(), &strides, 0)
}
