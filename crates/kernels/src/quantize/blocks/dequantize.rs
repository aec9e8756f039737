//! What blocked integers stand for.

use super::pack::code;
use super::shape::BlockShape;

/// Writes `(q - zero_point) · scale` for whole columns: `[N, K]`, as
/// [`quantize_block_rows`](super::quantize_block_rows) reads it.
///
/// # Panics
/// When a slice has another length than `shape` says.
pub fn dequantize_block_rows(
    integers: &[u8],
    scales: &[f32],
    zero_points: &[u8],
    shape: BlockShape,
    out: &mut [f32],
) {
    if shape.rows() == 0 {
        return;
    }
    let columns = out.len() / shape.rows();
    assert_eq!(out.len(), columns * shape.rows(), "whole columns");
    assert_eq!(integers.len(), columns * shape.column_bytes(), "integers of whole columns");
    assert_eq!(scales.len(), columns * shape.blocks(), "a scale for each block");
    assert_eq!(zero_points.len(), columns * shape.zero_point_bytes(), "zero points of whole columns");
    for (column, out) in out.chunks_exact_mut(shape.rows()).enumerate() {
        for (block, out) in out.chunks_mut(shape.size()).enumerate() {
            let zero_point = zero_point(zero_points, shape, column, block);
            let scale = scales[column * shape.blocks() + block];
            let integers = &integers[column * shape.column_bytes() + block * shape.block_bytes()..];
            for (index, out) in out.iter_mut().enumerate() {
                let step = i16::from(code(integers, shape.bits(), index)) - i16::from(zero_point);
                *out = f32::from(step) * scale;
            }
        }
    }
}

/// The zero point of a block.
pub(super) fn zero_point(zero_points: &[u8], shape: BlockShape, column: usize, block: usize) -> u8 {
    if !shape.has_zero_points() {
        return shape.bits().middle();
    }
    code(&zero_points[column * shape.zero_point_bytes()..], shape.bits(), block)
}
