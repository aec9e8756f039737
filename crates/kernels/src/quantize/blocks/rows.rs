//! Blocks of a weight that lies column after column, `[N, K]`.

use super::batch::Batch;
use super::fit::BlockFit;
use super::group::Group;
use super::shape::{BlockShape, Blocked, UnfitBlock};
use crate::quantize::Quality;
use crate::quantize::lanes::LANES;

/// Quantizes a weight whose columns are contiguous: `[N, K]`, the transposed operand of a `Gemm`, or any layer's
/// output channels one after the other.
///
/// # Errors
/// [`UnfitBlock`] for a block that holds NaN or an infinity, or, with zero points, spans more than a float
/// can hold.
///
/// # Panics
/// When `values` does not hold whole columns of `shape.rows()`, or a slice of `out` has another length than `shape`
/// says.
pub fn quantize_block_rows(
    values: &[f32],
    shape: BlockShape,
    fit: BlockFit,
    mut out: Blocked<'_>,
) -> Result<Quality, UnfitBlock> {
    if shape.rows() == 0 {
        return Ok(Quality::default());
    }
    assert_eq!(values.len() % shape.rows(), 0, "values must be whole columns");
    let columns = values.len() / shape.rows();
    out.check(shape, columns);
    let batch = if fit == BlockFit::Nearest { Batch::new(shape) } else { None };
    let (mut quality, done) = match batch {
        Some(mut batch) => (batch.columns(values, &mut out)?, shape.rows() / shape.size()),
        None => (Quality::default(), 0),
    };
    let mut group = Group::new(shape, fit);
    for (index, values) in values.chunks(LANES * shape.rows()).enumerate() {
        for block in done..shape.blocks() {
            group.take_rows(values, block);
            group.write(index * LANES, columns, block, &mut out)?;
        }
    }
    quality.merge(group.finish());
    Ok(quality)
}
