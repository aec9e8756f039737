//! Operators that put copies side by side.

use bytes::Bytes;

use super::walk::{broadcast, spread, strided, strides};
use super::{Call, Refusal, dims_of, elements};
use crate::stage::simplify::tensor::Tensor;

/// `Concat`.
pub(super) fn concat(call: &Call<'_>) -> Result<Vec<Tensor>, Refusal> {
    let first = call.input(0)?;
    let axis = call.axis(None, first.dims.len())?;
    let inputs = (0..call.inputs.len()).map(|index| call.input(index)).collect::<Result<Vec<_>, _>>()?;
    let mut dims = first.dims.clone();
    dims[axis] = 0;
    for input in &inputs {
        let alike = input.code == first.code
            && input.dims.len() == dims.len()
            && (0..dims.len()).all(|at| at == axis || input.dims[at] == first.dims[at]);
        if !alike {
            return Err(Refusal::Undefined("the dimensions do not fit each other"));
        }
        dims[axis] = dims[axis].saturating_add(input.dims[axis]);
    }
    let width = first.width()?;
    let count = elements(&dims, width)?;
    if count == 0 {
        return Ok(vec![Tensor { code: first.code, dims, bytes: Bytes::new() }]);
    }
    let mut bytes = Vec::with_capacity(count * width);
    let block = |input: &Tensor| input.dims[axis..].iter().product::<usize>() * width;
    for row in 0..dims[..axis].iter().product() {
        for input in &inputs {
            bytes.extend_from_slice(&input.bytes[row * block(input)..][..block(input)]);
        }
    }
    Ok(vec![Tensor { code: first.code, dims, bytes: bytes.into() }])
}

/// `Expand`.
pub(super) fn expand(call: &Call<'_>) -> Result<Vec<Tensor>, Refusal> {
    let input = call.input(0)?;
    let target = dims_of(&call.input(1)?.integers().ok_or(Refusal::Unknown)?)?;
    let dims = broadcast(&input.dims, &target)?;
    Ok(vec![spread(input, &dims)?])
}

/// `Tile`.
pub(super) fn tile(call: &Call<'_>) -> Result<Vec<Tensor>, Refusal> {
    let input = call.input(0)?;
    let repeats = dims_of(&call.input(1)?.integers().ok_or(Refusal::Unknown)?)?;
    if call.opset < 6 || repeats.len() != input.dims.len() {
        return Err(Refusal::Unknown);
    }
    // Each axis becomes two: the repeats, which move nowhere, and the elements.
    let own = strides(&input.dims);
    let walked: Vec<usize> =
        repeats.iter().zip(&input.dims).flat_map(|(times, dim)| [*times, *dim]).collect();
    let steps: Vec<isize> = own.iter().flat_map(|stride| [0, *stride]).collect();
    let dims = repeats.iter().zip(&input.dims).map(|(times, dim)| times.saturating_mul(*dim)).collect();
    Ok(vec![Tensor { dims, ..strided(input, walked, &steps, 0)? }])
}
