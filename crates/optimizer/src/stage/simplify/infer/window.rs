//! Shapes of products, windows and reductions.

use super::{Dims, Info, Site, broadcast};
use crate::graph::{attribute, flag, ints_of};
use crate::stage::simplify::evaluate::axis;

pub(super) fn matmul(here: &Site<'_>) -> Info {
    let (left, right) = (here.input(0), here.input(1));
    let dims = left.dims.zip(right.dims).and_then(|(left, right)| {
        let (rows, inner) = left.split_at_checked(left.len().checked_sub(2)?)?;
        let (other, matrix) = right.split_at_checked(right.len().checked_sub(2)?)?;
        let mut dims = broadcast(&rows.to_vec(), &other.to_vec())?;
        dims.extend([inner[0], matrix[1]]);
        Some(dims)
    });
    Info::of(left.code, dims)
}

pub(super) fn gemm(here: &Site<'_>) -> Info {
    let (left, right) = (here.input(0), here.input(1));
    let side = |dims: &Dims, transposed: bool, place: usize| {
        dims.get(if transposed { 1 - place } else { place }).copied().flatten()
    };
    let dims = left.dims.zip(right.dims).map(|(left, right)| {
        vec![side(&left, flag(here.node, "transA"), 0), side(&right, flag(here.node, "transB"), 1)]
    });
    Info::of(left.code, dims)
}

/// `Conv`, `MaxPool` and `AveragePool`: the sizes where pads are written down, else their number.
pub(super) fn window(here: &Site<'_>) -> Info {
    let input = here.input(0);
    let Some(dims) = input.dims.filter(|dims| dims.len() > 2) else { return Info::of(input.code, None) };
    let is_conv = here.node.op_type() == "Conv";
    let weight = here.input(1).dims.filter(|_| is_conv);
    let channels =
        if is_conv { weight.as_ref().and_then(|dims| dims.first().copied()).flatten() } else { dims[1] };
    let spatial = dims.len() - 2;
    let kernel: Option<Vec<usize>> = match (ints_of(here.node, "kernel_shape"), weight) {
        (Some(sizes), _) => sizes.iter().map(|size| usize::try_from(*size).ok()).collect(),
        (None, Some(weight)) => weight.get(2..).and_then(|sizes| sizes.iter().copied().collect()),
        (None, None) => None,
    };
    let automatic = attribute(here.node, "auto_pad")
        .is_some_and(|pad| !matches!(pad.s.as_deref(), None | Some(b"" | b"NOTSET")));
    let rounds_up = flag(here.node, "ceil_mode");
    let kernel = kernel.filter(|kernel| kernel.len() == spatial && !automatic && !rounds_up);
    let mut out = vec![dims[0], channels];
    for place in 0..spatial {
        let size = kernel.as_ref().zip(dims[place + 2]).and_then(|(kernel, size)| {
            let number = |name: &str, at: usize, default| match ints_of(here.node, name) {
                Some(all) => all.get(at).and_then(|value| usize::try_from(*value).ok()),
                None => Some(default),
            };
            let pads = number("pads", place, 0)?.checked_add(number("pads", place + spatial, 0)?)?;
            let reach =
                number("dilations", place, 1)?.checked_mul(kernel[place].checked_sub(1)?)?.checked_add(1)?;
            size.checked_add(pads)?
                .checked_sub(reach)?
                .checked_div(number("strides", place, 1)?)?
                .checked_add(1)
        });
        out.push(size);
    }
    Info::of(input.code, Some(out))
}

pub(super) fn global(here: &Site<'_>) -> Info {
    let input = here.input(0);
    let keep = |(at, dim): (usize, Option<usize>)| if at < 2 { dim } else { Some(1) };
    Info::of(input.code, input.dims.map(|dims| dims.into_iter().enumerate().map(keep).collect()))
}

pub(super) fn reduce(here: &Site<'_>) -> Info {
    let input = here.input(0);
    let (Some(dims), Ok(axes)) = (input.dims, here.integers(1, "axes")) else {
        return Info::of(input.code, None);
    };
    let axes = axes.unwrap_or_default();
    if axes.is_empty() && flag(here.node, "noop_with_empty_axes") {
        return Info::of(input.code, Some(dims));
    }
    let Ok(places) = axes.iter().map(|at| axis(*at, dims.len())).collect::<Result<Vec<_>, _>>() else {
        return Info::of(input.code, None);
    };
    let keeps = here.int("keepdims", 1) != 0;
    let dim = |(at, dim): (usize, Option<usize>)| {
        if axes.is_empty() || places.contains(&at) { keeps.then_some(Some(1)) } else { Some(dim) }
    };
    Info::of(input.code, Some(dims.into_iter().enumerate().filter_map(dim).collect()))
}
