//! Blocks of a weight that lies column after column, `[N, K]`.

use super::batch::Batch;
use super::fit::{BlockFit, Fitter};
use super::grid::{Grid, byte};
use super::pack::pack;
use super::shape::{BlockShape, Blocked, UnfitBlock};
use crate::quantize::Quality;
use crate::quantize::lanes::LANES;
use crate::quantize::quality::{BLOCK, OUTSIDE, Sums};
use crate::wide::wide;

/// Quantizes a weight whose columns are contiguous: `[N, K]`, the transposed operand of a `Gemm`, or any layer's
/// output channels one after the other.
///
/// # Errors
/// [`UnfitBlock`] for the first block that holds NaN or an infinity, or, with zero points, spans more than a float
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
    let mut quality = Quality::default();
    if shape.rows() == 0 {
        return Ok(quality);
    }
    assert_eq!(values.len() % shape.rows(), 0, "values must be whole columns");
    out.check(shape, values.len() / shape.rows());
    let mut fitter = Fitter::new(shape, fit);
    let mut codes = vec![0; shape.size()];
    let mut batch = if fit == BlockFit::Nearest { Batch::new(shape) } else { None };
    for (column, values) in values.chunks_exact(shape.rows()).enumerate() {
        let mut meter = Meter::default();
        let mut done = 0;
        if let Some(batch) = &mut batch {
            let whole = values.len() - values.len() % shape.size();
            for values in values[..whole].chunks(batch.values()) {
                quality.merge(batch.quantize(values, column, done, &mut out)?);
                done += values.len() / shape.size();
            }
        }
        for (block, values) in values.chunks(shape.size()).enumerate().skip(done) {
            let grid = fitter.fit(values).ok_or(UnfitBlock { column, block })?;
            encode(values, grid, &mut codes[..values.len()], &mut meter);
            pack(&codes[..values.len()], shape.bits(), out.block(shape, column, block));
            out.set(shape, column, block, grid.scale, grid.zero_byte());
        }
        quality.merge(meter.finish());
    }
    Ok(quality)
}

/// Sums over small blocks, moved to double precision as seldom as over large ones.
#[derive(Default)]
pub(super) struct Meter {
    sums: Sums,
    values: usize,
    quality: Quality,
}

impl Meter {
    fn room(&mut self, values: usize) -> &mut Sums {
        if self.values + values > BLOCK {
            self.quality.merge(self.sums.quality());
            (self.sums, self.values) = (Sums::default(), 0);
        }
        self.values += values;
        &mut self.sums
    }

    pub(super) fn finish(mut self) -> Quality {
        self.quality.merge(self.sums.quality());
        self.quality
    }
}

/// Writes the code of each value.
pub(super) fn encode(values: &[f32], grid: Grid, codes: &mut [u8], meter: &mut Meter) {
    for (values, codes) in values.chunks(BLOCK).zip(codes.chunks_mut(BLOCK)) {
        encode_part(values, grid, codes, meter.room(values.len()));
    }
}

wide! {
    fn encode_part(values: &[f32], grid: Grid, codes: &mut [u8], sums: &mut Sums) {
        let mut local = *sums;
        let (chunks, tail) = values.as_chunks::<LANES>();
        let (outs, out_tail) = codes.as_chunks_mut::<LANES>();
        for (values, out) in chunks.iter().zip(outs) {
            for lane in 0..LANES {
                out[lane] = one(values[lane], grid, lane, &mut local);
            }
        }
        for (lane, (value, out)) in tail.iter().zip(out_tail).enumerate() {
            *out = one(*value, grid, lane, &mut local);
        }
        *sums = local;
    }
}

/// The code of one value, and what it cost.
#[inline(always)]
#[expect(clippy::inline_always, reason = "the loops vectorise only when this is part of them")]
fn one(value: f32, grid: Grid, lane: usize, sums: &mut Sums) -> u8 {
    let code = grid.code(value);
    let step = grid.step(code);
    sums.add(lane, value, grid.scale, step, (value * grid.reciprocal - step).abs() > OUTSIDE);
    byte(code)
}
