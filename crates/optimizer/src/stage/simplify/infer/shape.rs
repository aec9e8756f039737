//! Operators on shapes, and those that change the shape of anything.

use slipway_model::onnx::proto::tensor_proto::DataType as Code;

use super::{Dims, Info, MOST_INTEGERS, Site, broadcast};
use crate::graph::{attribute, ints_of};
use crate::stage::simplify::evaluate::{MOST_AXES, Span, axis, span};

/// The sizes of the input as integers.
pub(super) fn shape(here: &Site<'_>) -> Info {
    let Some(dims) = here.input(0).dims else { return Info::of(Some(Code::Int64), Some(vec![None])) };
    let rank = i64::try_from(dims.len()).unwrap_or(i64::MAX);
    let clamp = |at: i64| if at < 0 { at.saturating_add(rank) } else { at }.clamp(0, rank);
    let (start, end) = (clamp(here.int("start", 0)), clamp(here.int("end", rank)));
    let range = usize::try_from(start).unwrap_or_default()..usize::try_from(end).unwrap_or_default();
    let sizes = dims.get(range).unwrap_or_default();
    let integer = |size: &Option<usize>| size.and_then(|size| i64::try_from(size).ok());
    Info {
        code: Some(Code::Int64),
        dims: Some(vec![Some(sizes.len())]),
        integers: Some(sizes.iter().map(integer).collect()),
    }
}

/// The number of elements of the input.
pub(super) fn size(here: &Site<'_>) -> Info {
    let dims = here.input(0).fixed();
    let count = dims.and_then(|dims| dims.iter().try_fold(1_usize, |all, dim| all.checked_mul(*dim)));
    let count = count.and_then(|count| i64::try_from(count).ok());
    Info { code: Some(Code::Int64), dims: Some(vec![]), integers: Some(vec![count]) }
}

pub(super) fn cast(here: &Site<'_>) -> Info {
    let to = i32::try_from(here.int("to", 0)).ok().and_then(|code| Code::try_from(code).ok());
    let Info { code: from, dims, integers } = here.input(0);
    let fits = |value: &Option<i64>| value.is_none_or(|value| i32::try_from(value).is_ok());
    let is_kept = |all: &Vec<Option<i64>>| match (from, to) {
        (Some(Code::Int32 | Code::Int64), Some(Code::Int64)) => true,
        (Some(Code::Int64), Some(Code::Int32)) => all.iter().all(fits),
        _ => false,
    };
    Info { code: to, dims, integers: integers.filter(is_kept) }
}

pub(super) fn binary(here: &Site<'_>) -> Info {
    let (left, right) = (here.input(0), here.input(1));
    let dims = left.dims.as_ref().zip(right.dims.as_ref()).and_then(|(left, right)| broadcast(left, right));
    let operation: Option<fn(i64, i64) -> Option<i64>> = match here.node.op_type() {
        "Add" => Some(i64::checked_add),
        "Sub" => Some(i64::checked_sub),
        "Mul" => Some(i64::checked_mul),
        "Div" => Some(|left, right| (left >= 0 && right > 0).then(|| left / right)),
        _ => None,
    };
    let is_long = left.code == Some(Code::Int64) && right.code == left.code;
    let pairs = left.integers.zip(right.integers).filter(|_| is_long && dims.is_some());
    let integers = operation.zip(pairs).and_then(|(apply, (left, right))| {
        let count = left.len().max(right.len());
        let fits = |all: &[Option<i64>]| all.len() == count || all.len() == 1;
        let at = |all: &[Option<i64>], index: usize| all[if all.len() == 1 { 0 } else { index }];
        (fits(&left) && fits(&right))
            .then(|| (0..count).map(|index| apply(at(&left, index)?, at(&right, index)?)).collect())
    });
    Info { code: left.code, dims, integers }
}

pub(super) fn choose(here: &Site<'_>) -> Info {
    let of = |index| here.input(index).dims;
    let dims = of(0).zip(of(1)).and_then(|(condition, left)| broadcast(&condition, &left));
    let dims = dims.zip(of(2)).and_then(|(so_far, right)| broadcast(&so_far, &right));
    Info::of(here.input(1).code, dims)
}

pub(super) fn transpose(here: &Site<'_>) -> Info {
    let Info { code, dims, integers: _ } = here.input(0);
    let turn = |dims: Dims| match ints_of(here.node, "perm") {
        Some(perm) if perm.len() == dims.len() => {
            perm.iter().map(|at| axis(*at, dims.len()).ok().map(|at| dims[at])).collect()
        }
        Some(_) => None,
        None => Some(dims.into_iter().rev().collect()),
    };
    Info::of(code, dims.and_then(turn))
}

pub(super) fn reshape(here: &Site<'_>) -> Info {
    let input = here.input(0);
    let Some(target) = here.input(1).integers else {
        return Info::of(input.code, open_sizes(&here.input(1)));
    };
    let literal = here.int("allowzero", 0) != 0;
    let whole: Option<Vec<i64>> = target.iter().copied().collect();
    if let Some((dims, whole)) = input.fixed().zip(whole)
        && let Ok(dims) = super::super::evaluate::reshape(&dims, &whole, literal)
    {
        return Info { dims: Some(dims.into_iter().map(Some).collect()), ..input };
    }
    let size = |(place, size): (usize, &Option<i64>)| match size {
        Some(0) if !literal => input.dims.as_ref().and_then(|dims| dims.get(place).copied()).flatten(),
        Some(size) => usize::try_from(*size).ok(),
        None => None,
    };
    Info::of(input.code, Some(target.iter().enumerate().map(size).collect()))
}

/// The sizes that a shape names, where no more is known than how many there are.
fn open_sizes(shape: &Info) -> Option<Dims> {
    let rank = shape.fixed().and_then(|dims| dims.first().copied());
    rank.filter(|rank| *rank <= MOST_INTEGERS).map(|rank| vec![None; rank])
}

/// `Squeeze` and `Unsqueeze`.
pub(super) fn squeeze(here: &Site<'_>) -> Info {
    let input = here.input(0);
    let code = input.code;
    let Ok(axes) = here.integers(1, "axes") else { return Info::of(code, None) };
    let Some(dims) = &input.dims else { return Info::of(code, None) };
    let changed = match (here.node.op_type(), axes) {
        ("Squeeze", Some(axes)) => drop_axes(dims, &axes),
        ("Unsqueeze", Some(axes)) => add_axes(dims, &axes),
        ("Squeeze", None) if dims.iter().all(Option::is_some) => {
            Some(dims.iter().copied().filter(|dim| *dim != Some(1)).collect())
        }
        _ => None,
    };
    let integers = input.integers.filter(|_| changed.as_ref().is_some_and(|dims| dims.len() <= 1));
    Info { code, dims: changed, integers }
}

fn drop_axes(dims: &Dims, axes: &[i64]) -> Option<Dims> {
    let axes = axes.iter().map(|at| axis(*at, dims.len()).ok()).collect::<Option<Vec<_>>>()?;
    Some(dims.iter().enumerate().filter(|(at, _)| !axes.contains(at)).map(|(_, dim)| *dim).collect())
}

fn add_axes(dims: &Dims, axes: &[i64]) -> Option<Dims> {
    let rank = dims.len().saturating_add(axes.len());
    if rank > MOST_AXES {
        return None;
    }
    let axes = axes.iter().map(|at| axis(*at, rank).ok()).collect::<Option<Vec<_>>>()?;
    let mut old = dims.iter().copied();
    let dim = |at| if axes.contains(&at) { Some(Some(1)) } else { old.next() };
    (0..rank).map(dim).collect()
}

pub(super) fn concat(here: &Site<'_>) -> Info {
    let code = here.input(0).code;
    let all: Option<Vec<Dims>> = here.inputs.iter().map(|input| input.dims.clone()).collect();
    let Some((first, rest)) = all.as_deref().and_then(|all| all.split_first()) else {
        return Info::of(code, None);
    };
    let Some(at) = here.axis("axis", 1, first.len()) else { return Info::of(code, None) };
    let mut dims = first.clone();
    for other in rest {
        if other.len() != dims.len() {
            return Info::of(code, None);
        }
        for (place, (own, other)) in dims.iter_mut().zip(other).enumerate() {
            *own =
                if place == at { own.zip(*other).map(|(a, b)| a.saturating_add(b)) } else { own.or(*other) };
        }
    }
    let parts: Option<Vec<_>> = here.inputs.iter().map(|input| input.integers.clone()).collect();
    let integers = parts.filter(|_| first.len() == 1).map(|parts| parts.concat());
    Info { code, dims: Some(dims), integers }
}

pub(super) fn gather(here: &Site<'_>) -> Info {
    let (input, indices) = (here.input(0), here.input(1));
    let Some((dims, picked)) = input.dims.clone().zip(indices.dims.clone()) else {
        return Info::of(input.code, None);
    };
    let Some(at) = here.axis("axis", 0, dims.len()) else { return Info::of(input.code, None) };
    let integers = input.integers.zip(indices.whole()).filter(|_| dims.len() == 1 && picked.len() <= 1);
    let integers = integers.and_then(|(all, picked)| {
        let pick = |index: &i64| axis(*index, all.len()).ok().map(|index| all[index]);
        picked.iter().map(pick).collect()
    });
    Info { code: input.code, dims: Some([&dims[..at], &picked, &dims[at + 1..]].concat()), integers }
}

pub(super) fn slice(here: &Site<'_>) -> Info {
    let input = here.input(0);
    let code = input.code;
    let Some(mut dims) = input.dims else { return Info::of(code, None) };
    let mut integers = input.integers.filter(|_| dims.len() == 1);
    let Some(cuts) = cuts(here) else {
        // Which axes are cut may be known when how far is not.
        return Info::of(code, Some(vec![None; dims.len()]));
    };
    for (at, start, end, step) in cuts {
        let Ok(at) = axis(at, dims.len()) else { return Info::of(code, None) };
        let cut = dims[at].and_then(|dim| span(dim, start, end, step).ok());
        let is_whole = start == 0 && step == 1 && end >= i64::from(i32::MAX);
        integers = integers.zip(cut.as_ref()).map(|(all, Span { from, count })| {
            let place = |index: usize| {
                let at = i64::try_from(*from).ok()? + i64::try_from(index).ok()? * step;
                all.get(usize::try_from(at).ok()?).copied().flatten()
            };
            (0..*count).map(place).collect()
        });
        dims[at] = if is_whole { dims[at] } else { cut.map(|span| span.count) };
    }
    Info { code, dims: Some(dims), integers }
}

/// Axis, start, end and step of each cut.
fn cuts(here: &Site<'_>) -> Option<Vec<(i64, i64, i64, i64)>> {
    let starts = here.integers(1, "starts").ok().flatten()?;
    let ends = here.integers(2, "ends").ok().flatten()?;
    let axes = here.integers(3, "axes").ok()?.unwrap_or_else(|| (0..).take(starts.len()).collect());
    let steps = here.integers(4, "steps").ok()?.unwrap_or_else(|| vec![1; starts.len()]);
    let alike = [ends.len(), axes.len(), steps.len()].iter().all(|len| *len == starts.len());
    let rows = axes.into_iter().zip(starts).zip(ends).zip(steps);
    alike.then(|| rows.map(|(((at, start), end), step)| (at, start, end, step)).collect())
}

pub(super) fn expand(here: &Site<'_>) -> Info {
    let input = here.input(0);
    let size = |size: &Option<i64>| size.and_then(|size| usize::try_from(size).ok());
    let shape = here.input(1);
    let target = match &shape.integers {
        Some(all) => Some(all.iter().map(size).collect()),
        None => open_sizes(&shape),
    };
    let dims = input.dims.zip(target).and_then(|(dims, target)| broadcast(&dims, &target));
    Info::of(input.code, dims)
}

pub(super) fn constant_of_shape(here: &Site<'_>) -> Info {
    let tensor = attribute(here.node, "value").and_then(|value| value.t.as_ref());
    let code = tensor.map_or(Some(Code::Float), |tensor| Code::try_from(tensor.data_type()).ok());
    let size = |size: Option<i64>| size.and_then(|size| usize::try_from(size).ok());
    Info::of(code, here.input(0).integers.map(|all| all.into_iter().map(size).collect()))
}
