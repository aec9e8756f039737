//! Operators that pick and reorder elements.

use bytes::Bytes;

use super::walk::{strided, strides};
use super::{Call, Refusal, axis, dims_of, elements};
use crate::graph::ints_of;
use crate::stage::simplify::tensor::Tensor;

/// `Transpose`.
pub(super) fn transpose(call: &Call<'_>) -> Result<Vec<Tensor>, Refusal> {
    let input = call.input(0)?;
    let rank = input.dims.len();
    let order = match ints_of(call.node, "perm") {
        Some(perm) => perm.iter().map(|at| axis(*at, rank)).collect::<Result<Vec<_>, _>>()?,
        None => (0..rank).rev().collect(),
    };
    Ok(vec![transposed(input, &order)?])
}

/// A tensor with its axes in another order.
pub(super) fn transposed(input: &Tensor, order: &[usize]) -> Result<Tensor, Refusal> {
    let mut seen = order.to_vec();
    seen.sort_unstable();
    if !seen.into_iter().eq(0..input.dims.len()) {
        return Err(Refusal::Undefined("perm is no permutation"));
    }
    let own = strides(&input.dims);
    let dims = order.iter().map(|at| input.dims[*at]).collect();
    let steps: Vec<isize> = order.iter().map(|at| own[*at]).collect();
    strided(input, dims, &steps, 0)
}

/// `Slice`, with inputs or, before opset 10, attributes.
pub(super) fn slice(call: &Call<'_>) -> Result<Vec<Tensor>, Refusal> {
    let input = call.input(0)?;
    let starts = call.integers(1, "starts")?.ok_or(Refusal::Unknown)?;
    let ends = call.integers(2, "ends")?.ok_or(Refusal::Unknown)?;
    let axes = call.integers(3, "axes")?;
    let axes = axes.unwrap_or_else(|| (0..).take(starts.len()).collect());
    let steps = call.integers(4, "steps")?.unwrap_or_else(|| vec![1; starts.len()]);
    if [ends.len(), axes.len(), steps.len()].iter().any(|len| *len != starts.len()) {
        return Err(Refusal::Undefined("starts, ends, axes and steps differ in length"));
    }
    let (mut dims, mut own, mut first) = (input.dims.clone(), strides(&input.dims), 0_usize);
    let mut cut = vec![false; dims.len()];
    for (((start, end), at), step) in starts.into_iter().zip(ends).zip(axes).zip(steps) {
        let at = axis(at, dims.len())?;
        if std::mem::replace(&mut cut[at], true) {
            return Err(Refusal::Undefined("an axis is there twice"));
        }
        let Span { from, count } = span(input.dims[at], start, end, step)?;
        let skipped = from.saturating_mul(usize::try_from(own[at]).unwrap_or_default());
        first = skipped.saturating_add(first);
        dims[at] = count;
        // A step that leaves the axis at once may as well be one that fits the arithmetic.
        let step = if count > 1 { isize::try_from(step).unwrap_or_default() } else { 1 };
        own[at] = own[at].checked_mul(step).ok_or(Refusal::Unknown)?;
    }
    Ok(vec![strided(input, dims, &own, first)?])
}

/// The part of an axis that a slice takes.
pub(in super::super) struct Span {
    pub(in super::super) from: usize,
    pub(in super::super) count: usize,
}

/// What `start`, `end` and `step` take of an axis (ONNX, Slice).
pub(in super::super) fn span(dim: usize, start: i64, end: i64, step: i64) -> Result<Span, Refusal> {
    if step == 0 {
        return Err(Refusal::Undefined("a step of zero"));
    }
    let size = i128::try_from(dim).unwrap_or_default();
    let front = |at: i64| if at < 0 { i128::from(at) + size } else { i128::from(at) };
    let (low, high) = if step > 0 { (0, size) } else { (-1, size - 1) };
    let from = front(start).clamp(low.max(0), high.max(0));
    let to = front(end).clamp(low, high);
    let length = if step > 0 { to - from } else { from - to };
    let count =
        if length > 0 && dim > 0 { length.unsigned_abs().div_ceil(step.unsigned_abs().into()) } else { 0 };
    let from = if count == 0 { 0 } else { usize::try_from(from).unwrap_or_default() };
    Ok(Span { from, count: usize::try_from(count).unwrap_or_default() })
}

/// `Gather`.
pub(super) fn gather(call: &Call<'_>) -> Result<Vec<Tensor>, Refusal> {
    let (input, indices) = (call.input(0)?, call.input(1)?);
    let at = call.axis(Some(0), input.dims.len())?;
    let picked = indices.integers().ok_or(Refusal::Unknown)?;
    let picked = picked.iter().map(|index| axis(*index, input.dims[at])).collect::<Result<Vec<_>, _>>();
    let picked = picked.map_err(|_| Refusal::Undefined("an index is out of range"))?;
    let dims = [&input.dims[..at], &indices.dims, &input.dims[at + 1..]].concat();
    let width = input.width()?;
    let count = elements(&dims, width)?;
    if count == 0 {
        return Ok(vec![Tensor { code: input.code, dims, bytes: Bytes::new() }]);
    }
    let mut bytes = Vec::with_capacity(count * width);
    let block = input.dims[at + 1..].iter().product::<usize>() * width;
    for row in 0..input.dims[..at].iter().product() {
        for index in &picked {
            let place = (row * input.dims[at] + index) * block;
            bytes.extend_from_slice(&input.bytes[place..place + block]);
        }
    }
    Ok(vec![Tensor { code: input.code, dims, bytes: bytes.into() }])
}

/// `Split`, into given or equal parts.
pub(super) fn split(call: &Call<'_>) -> Result<Vec<Tensor>, Refusal> {
    let input = call.input(0)?;
    let at = call.axis(Some(0), input.dims.len())?;
    let parts = call.node.output.len();
    let sizes = match call.integers(1, "split")? {
        Some(sizes) => dims_of(&sizes)?,
        None if parts > 0 && input.dims[at].is_multiple_of(parts) => vec![input.dims[at] / parts; parts],
        None => return Err(Refusal::Unknown),
    };
    if sizes.len() != parts
        || sizes.iter().try_fold(0_usize, |all, size| all.checked_add(*size)) != Some(input.dims[at])
    {
        return Err(Refusal::Undefined("the parts do not add up"));
    }
    let own = strides(&input.dims);
    let mut start = 0;
    let mut out = Vec::new();
    for size in sizes {
        let mut dims = input.dims.clone();
        dims[at] = size;
        out.push(strided(input, dims, &own, start * usize::try_from(own[at]).unwrap_or_default())?);
        start += size;
    }
    Ok(out)
}
