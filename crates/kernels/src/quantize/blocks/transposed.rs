//! Blocked integers in the order of a blocked `DequantizeLinear`.

use super::dequantize::zero_point;
use super::pack::code;
use super::shape::{BlockShape, Blocked, NarrowBits};

/// Rewrites whole columns `[N, blocks, …]` as rows: integers `[K, N]`, scales and zero points `[blocks, N]`, four-bit
/// ones packed low nibble first without gaps between rows, as ONNX stores `int4` and `uint4`.
///
/// A form without zero points becomes signed (`int4`, `int8`, zero point 0), one with them stays unsigned. Rows are
/// complete, so a weight may be worked off in bands: each a `shape` of its own with an even number of blocks, and its
/// output follows that of the band before.
///
/// # Panics
/// When a slice has another length than `shape` says; those of `out` are as long as a packed tensor of their elements.
pub fn transpose_blocks(
    integers: &[u8],
    scales: &[f32],
    zero_points: &[u8],
    shape: BlockShape,
    out: &mut Blocked<'_>,
) {
    if scales.is_empty() {
        return;
    }
    let (bits, blocks) = (shape.bits(), shape.blocks());
    let columns = scales.len() / blocks;
    let packed = |elements: usize| (elements * bits.count()).div_ceil(8);
    assert_eq!(scales.len(), columns * blocks, "scales of whole columns");
    assert_eq!(integers.len(), columns * shape.column_bytes(), "integers of whole columns");
    assert_eq!(zero_points.len(), columns * shape.zero_point_bytes(), "zero points of whole columns");
    assert_eq!(out.integers.len(), packed(shape.rows() * columns), "an integer for each value");
    assert_eq!(out.scales.len(), scales.len(), "a scale for each block");
    let zero_point_count = if shape.has_zero_points() { scales.len() } else { 0 };
    assert_eq!(out.zero_points.len(), packed(zero_point_count), "a zero point for each block");

    let sign = if shape.has_zero_points() { 0 } else { bits.middle() };
    let integer = |index: usize| {
        let (row, column) = (index / columns, index % columns);
        code(&integers[column * shape.column_bytes()..], bits, row) ^ sign
    };
    fill(&mut *out.integers, bits, shape.rows() * columns, integer);
    fill(&mut *out.zero_points, bits, zero_point_count, |index| {
        zero_point(zero_points, shape, index % columns, index / columns)
    });
    for (block, row) in out.scales.chunks_exact_mut(columns).enumerate() {
        for (scale, column) in row.iter_mut().zip(scales.chunks_exact(blocks)) {
            *scale = column[block];
        }
    }
}

fn fill(out: &mut [u8], bits: NarrowBits, count: usize, code: impl Fn(usize) -> u8) {
    match bits {
        NarrowBits::Eight => out.iter_mut().enumerate().for_each(|(index, byte)| *byte = code(index)),
        NarrowBits::Four => out.iter_mut().enumerate().for_each(|(index, byte)| {
            let high = if 2 * index + 1 < count { code(2 * index + 1) } else { 0 };
            *byte = code(2 * index) | high << 4;
        }),
    }
}
