//! Eight blocks side by side, each of another column.

use super::fit::{BlockFit, Fitter};
use super::grid::{Grid, byte};
use super::lanes::GridLanes;
use super::pack::pack;
use super::shape::{BlockShape, Blocked, UnfitBlock};
use crate::quantize::Quality;
use crate::quantize::lanes::LANES;
use crate::quantize::quality::{BLOCK, OUTSIDE, Sums};
use crate::wide::wide;

/// Room for the blocks, and what was noticed of those before.
pub(super) struct Group {
    shape: BlockShape,
    fitter: Fitter,
    rows: Vec<[f32; LANES]>,
    codes: Vec<[u8; LANES]>,
    of_column: Vec<u8>,
    meter: Meter,
}

impl Group {
    pub(super) fn new(shape: BlockShape, fit: BlockFit) -> Self {
        let (fitter, meter) = (Fitter::new(shape, fit), Meter::default());
        Self { shape, fitter, rows: Vec::new(), codes: Vec::new(), of_column: Vec::new(), meter }
    }

    /// Takes in eight columns of some rows, or those that are left, from `start` on; the others are zeros.
    pub(super) fn take_columns(&mut self, values: &[f32], columns: usize, start: usize) {
        let width = LANES.min(columns - start);
        self.rows.clear();
        self.rows.extend(values.chunks_exact(columns).map(|line| {
            let mut row = [0.0; LANES];
            row[..width].copy_from_slice(&line[start..start + width]);
            row
        }));
    }

    /// Takes in one block of each of some columns that lie one after the other, eight at most.
    pub(super) fn take_rows(&mut self, values: &[f32], block: usize) {
        let first = block * self.shape.size();
        let count = self.shape.size().min(self.shape.rows() - first);
        self.rows.clear();
        self.rows.resize(count, [0.0; LANES]);
        for (lane, column) in values.chunks_exact(self.shape.rows()).enumerate() {
            self.rows.iter_mut().zip(&column[first..]).for_each(|(row, value)| row[lane] = *value);
        }
    }

    /// The grids of the blocks.
    pub(super) fn grids(&mut self, start: usize, block: usize) -> Result<GridLanes, UnfitBlock> {
        self.fitter.fit(&self.rows).map_err(|lane| UnfitBlock { column: start + lane, block })
    }

    /// Quantizes the blocks, and writes those of the columns from `start` on that there are.
    pub(super) fn write(
        &mut self,
        start: usize,
        columns: usize,
        block: usize,
        out: &mut Blocked<'_>,
    ) -> Result<(), UnfitBlock> {
        let (shape, top) = (self.shape, self.shape.bits().top());
        let grids = self.grids(start, block)?;
        self.codes.resize(self.rows.len(), [0; LANES]);
        encode(&self.rows, &grids, top, &mut self.codes, &mut self.meter);
        for (lane, column) in (start..columns).enumerate().take(LANES) {
            self.of_column.clear();
            self.of_column.extend(self.codes.iter().map(|codes| codes[lane]));
            pack(&self.of_column, shape.bits(), out.block(shape, column, block));
            let grid = grids.get(lane, top);
            out.set(shape, column, block, grid.scale, grid.zero_byte());
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Quality {
        self.meter.finish()
    }
}

/// Sums over small blocks, moved to double precision as seldom as over large ones.
#[derive(Default)]
struct Meter {
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

    fn finish(mut self) -> Quality {
        self.quality.merge(self.sums.quality());
        self.quality
    }
}

/// Writes the code of each value.
fn encode(rows: &[[f32; LANES]], grids: &GridLanes, top: f32, codes: &mut [[u8; LANES]], meter: &mut Meter) {
    const ROWS: usize = BLOCK / LANES;
    for (rows, codes) in rows.chunks(ROWS).zip(codes.chunks_mut(ROWS)) {
        encode_part(rows, grids, top, codes, meter.room(rows.len() * LANES));
    }
}

wide! {
    fn encode_part(rows: &[[f32; LANES]], grids: &GridLanes, top: f32, codes: &mut [[u8; LANES]], sums: &mut Sums) {
        let mut local = *sums;
        for (row, codes) in rows.iter().zip(codes) {
            for lane in 0..LANES {
                codes[lane] = one(row[lane], grids.get(lane, top), lane, &mut local);
            }
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
