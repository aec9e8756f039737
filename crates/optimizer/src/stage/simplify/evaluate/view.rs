//! Operators that give the same elements under other dimensions: no element is read.

use slipway_model::onnx::OnnxModel;
use slipway_model::onnx::proto::NodeProto;

use super::{Refusal, axis, check_axes, count};
use crate::graph::{flag, int_or, ints_of};
use crate::stage::simplify::tensor::Constant;

/// Whether an operator changes no element, and so reads none.
fn is_view(op: &str) -> bool {
    matches!(op, "Identity" | "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze")
}

/// The output of a node that changes no element; `None` for any other operator.
pub(super) fn view(
    model: &OnnxModel,
    node: &NodeProto,
    opset: i64,
    inputs: &[Option<&Constant>],
) -> Result<Option<Constant>, Refusal> {
    let op = node.op_type();
    if !is_view(op) {
        return Ok(None);
    }
    let input = inputs.first().copied().flatten().ok_or(Refusal::Undefined("an input is missing"))?;
    let given = match inputs.get(1).copied().flatten() {
        Some(given) => Some(given.load(model)?.integers().ok_or(Refusal::Unknown)?),
        None => ints_of(node, "axes").map(<[i64]>::to_vec),
    };
    let dims = &input.dims;
    let dims = match op {
        "Identity" => dims.clone(),
        "Reshape" if opset < 5 => return Err(Refusal::Unknown),
        "Reshape" => reshape(dims, &given.ok_or(Refusal::Unknown)?, flag(node, "allowzero"))?,
        "Flatten" => flatten(dims, int_or(node, "axis", 1))?,
        "Squeeze" => squeeze(dims, given.as_deref())?,
        _ => unsqueeze(dims, &given.ok_or(Refusal::Unknown)?)?,
    };
    Ok(Some(input.reshaped(dims)))
}

/// What a `Reshape` makes of dimensions: 0 keeps one unless it is `literal`, -1 takes the rest.
pub(in super::super) fn reshape(
    dims: &[usize],
    target: &[i64],
    literal: bool,
) -> Result<Vec<usize>, Refusal> {
    const WRONG: Refusal = Refusal::Undefined("the elements do not fit the shape");
    let size = |(place, size): (usize, &i64)| match *size {
        0 if !literal => dims.get(place).copied().ok_or(WRONG),
        -1 => Ok(1),
        size => usize::try_from(size).map_err(|_| WRONG),
    };
    check_axes(target.len())?;
    let mut out = target.iter().enumerate().map(size).collect::<Result<Vec<_>, _>>()?;
    let (have, known) = (count(dims).ok_or(WRONG)?, count(&out).ok_or(WRONG)?);
    let mut open = target.iter().enumerate().filter(|(_, size)| **size == -1).map(|(place, _)| place);
    if let Some(place) = open.next() {
        out[place] = have.checked_div(known).ok_or(WRONG)?;
    }
    if open.next().is_some() || count(&out) != Some(have) { Err(WRONG) } else { Ok(out) }
}

fn flatten(dims: &[usize], at: i64) -> Result<Vec<usize>, Refusal> {
    let rank = i64::try_from(dims.len()).unwrap_or(i64::MAX);
    let at = if at < 0 { at + rank } else { at };
    let at = usize::try_from(at).ok().filter(|at| *at <= dims.len());
    let (rows, columns) = dims.split_at(at.ok_or(Refusal::Undefined("an axis is out of range"))?);
    // Where one dimension is zero, the others may multiply to more than there is.
    let product = |dims: &[usize]| count(dims).ok_or(Refusal::Undefined("the elements do not fit the shape"));
    Ok(vec![product(rows)?, product(columns)?])
}

/// The dimensions without those of size 1 that are named, or without all of them.
fn squeeze(dims: &[usize], axes: Option<&[i64]>) -> Result<Vec<usize>, Refusal> {
    let Some(axes) = axes else { return Ok(dims.iter().copied().filter(|dim| *dim != 1).collect()) };
    let axes = axes.iter().map(|at| axis(*at, dims.len())).collect::<Result<Vec<_>, _>>()?;
    if axes.iter().any(|at| dims[*at] != 1) {
        return Err(Refusal::Undefined("an axis to remove is longer than 1"));
    }
    Ok(dims.iter().enumerate().filter(|(at, _)| !axes.contains(at)).map(|(_, dim)| *dim).collect())
}

/// The dimensions with new ones of size 1 at the places that are named.
fn unsqueeze(dims: &[usize], axes: &[i64]) -> Result<Vec<usize>, Refusal> {
    let rank = dims.len().saturating_add(axes.len());
    check_axes(rank)?;
    let axes = axes.iter().map(|at| axis(*at, rank)).collect::<Result<Vec<_>, _>>()?;
    let mut old = dims.iter().copied();
    let out: Vec<usize> = (0..rank)
        .map(|at| if axes.contains(&at) { Some(1) } else { old.next() })
        .map_while(|dim| dim)
        .collect();
    if out.len() == rank && old.next().is_none() {
        Ok(out)
    } else {
        Err(Refusal::Undefined("an axis is there twice"))
    }
}
