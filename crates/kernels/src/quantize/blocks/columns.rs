//! Blocks of a weight that lies row after row, `[K, N]`.

use super::fit::BlockFit;
use super::group::Group;
use super::shape::{BlockShape, Blocked, UnfitBlock};
use super::strips::Strip;
use super::walk::Rows;
use crate::quantize::Quality;
use crate::quantize::lanes::LANES;

/// Quantizes whole rows of a weight `[K, N]`, or of some of its columns.
///
/// `values` holds `columns` values for each row, from the first row of block `first` up to the end of a block or of
/// the weight, so a caller may pass a panel of columns with all rows, or a band of rows, and neither the weight nor
/// its integers must fit in memory at once. `out` is that of whole columns: blocks before and after those given stay
/// as they are.
///
/// # Errors
/// [`UnfitBlock`] for a block that holds NaN or an infinity, or, with zero points, spans more than a float can hold.
///
/// # Panics
/// When `values` does not hold whole blocks, or a slice of `out` has another length than `shape` says.
pub fn quantize_block_columns(
    values: &[f32],
    columns: usize,
    first: usize,
    shape: BlockShape,
    fit: BlockFit,
    mut out: Blocked<'_>,
) -> Result<Quality, UnfitBlock> {
    out.check(shape, columns);
    if values.is_empty() {
        return Ok(Quality::default());
    }
    assert_eq!(values.len() % columns, 0, "values must be whole rows");
    let end = first * shape.size() + values.len() / columns;
    assert!(end == shape.rows() || end < shape.rows() && end.is_multiple_of(shape.size()), "whole blocks");
    let strip = if fit == BlockFit::Nearest { Strip::new(shape) } else { None };
    match strip {
        Some(mut strip) => strip.quantize(Rows { values, columns, first, shape }, &mut out),
        None => fitted(values, columns, first, shape, fit, &mut out),
    }
}

/// Eight columns at a time, whose grids are fitted side by side.
fn fitted(
    values: &[f32],
    columns: usize,
    first: usize,
    shape: BlockShape,
    fit: BlockFit,
    out: &mut Blocked<'_>,
) -> Result<Quality, UnfitBlock> {
    let mut group = Group::new(shape, fit);
    for (index, values) in values.chunks(shape.size() * columns).enumerate() {
        for start in (0..columns).step_by(LANES) {
            group.take_columns(values, columns, start);
            group.write(start, columns, first + index, out)?;
        }
    }
    Ok(group.finish())
}
