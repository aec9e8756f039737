//! Rounding to nearest of a weight that lies column after column: eight blocks at a time, so that none waits for the
//! divisions of the one before.

use super::grid::{Grid, byte, nearest_code};
use super::lanes::{GridLanes, RangeLanes};
use super::pack::pack;
use super::range::Range;
use super::shape::{BlockShape, Blocked, UnfitBlock};
use crate::quantize::Quality;
use crate::quantize::lanes::LANES;
use crate::quantize::quality::{BLOCK, Sums};
use crate::wide::wide;

/// Blocks of a batch at most.
const MOST: usize = 64;

/// Room for a batch.
pub(super) struct Batch {
    shape: BlockShape,
    grids: [GridLanes; MOST / LANES],
    codes: [u8; BLOCK],
}

impl Batch {
    /// Room for blocks of whole vectors; nothing for others.
    pub(super) fn new(shape: BlockShape) -> Option<Self> {
        (shape.size().is_multiple_of(LANES) && shape.size() <= BLOCK).then_some(Self {
            shape,
            grids: [GridLanes::EMPTY; MOST / LANES],
            codes: [0; BLOCK],
        })
    }

    /// Quantizes the whole blocks of columns that lie one after the other.
    pub(super) fn columns(&mut self, values: &[f32], out: &mut Blocked<'_>) -> Result<Quality, UnfitBlock> {
        let (size, mut quality) = (self.shape.size(), Quality::default());
        for (column, values) in values.chunks_exact(self.shape.rows()).enumerate() {
            let whole = values.len() - values.len() % size;
            let most = self.values();
            for (index, values) in values[..whole].chunks(most).enumerate() {
                quality.merge(self.quantize(values, column, index * most / size, out)?);
            }
        }
        Ok(quality)
    }

    /// Values of as many blocks as are taken at a time.
    fn values(&self) -> usize {
        (BLOCK / self.shape.size()).min(MOST) * self.shape.size()
    }

    /// Quantizes whole blocks of a column, from `first` on, at most [`values`](Self::values).
    fn quantize(
        &mut self,
        values: &[f32],
        column: usize,
        first: usize,
        out: &mut Blocked<'_>,
    ) -> Result<Quality, UnfitBlock> {
        let (shape, count) = (self.shape, values.len() / self.shape.size());
        let codes = &mut self.codes[..values.len()];
        let Some(quality) = encode(values, shape, &mut self.grids, codes) else {
            return Err(self.unfit(values, column, first));
        };
        let start = column * shape.column_bytes() + first * shape.block_bytes();
        pack(codes, shape.bits(), &mut out.integers[start..start + count * shape.block_bytes()]);
        let mut zero_points = [0; MOST];
        let scales = &mut out.scales[column * shape.blocks() + first..][..count];
        for (block, (scale, zero_point)) in scales.iter_mut().zip(&mut zero_points).enumerate() {
            let grid = self.grids[block / LANES].get(block % LANES, shape.bits().top());
            (*scale, *zero_point) = (grid.scale, grid.zero_byte());
        }
        out.set_zero_points(shape, column, first, &zero_points[..count]);
        Ok(quality)
    }

    /// The first block that no grid fits.
    fn unfit(&self, values: &[f32], column: usize, first: usize) -> UnfitBlock {
        let mut blocks = values.chunks_exact(self.shape.size());
        let block = blocks.position(|values| {
            Range::of(values).and_then(|range| Grid::nearest(range, self.shape)).is_none()
        });
        UnfitBlock { column, block: first + block.unwrap_or(0) }
    }
}

wide! {
    /// Grids and codes of some blocks; `None` where one has no grid.
    fn encode(
        values: &[f32],
        shape: BlockShape,
        grids: &mut [GridLanes; MOST / LANES],
        codes: &mut [u8],
    ) -> Option<Quality> {
        let (size, mut sums, mut any) = (shape.size(), Sums::default(), [0; LANES]);
        let groups = values.chunks(LANES * size).zip(codes.chunks_mut(LANES * size));
        for ((values, codes), grids) in groups.zip(grids) {
            // In two loops, since a compiler that sees both at once shuffles lanes for every value.
            let mut lanes = [RangeLanes::ZERO; LANES];
            for (lanes, values) in lanes.iter_mut().zip(values.chunks_exact(size)) {
                *lanes = values.as_chunks().0.iter().fold(RangeLanes::EMPTY, RangeLanes::widen);
            }
            let mut ranges = RangeLanes::ZERO;
            for (block, lanes) in lanes.iter().enumerate().take(values.len() / size) {
                ranges.set(block, lanes.fold());
            }
            let (nearest, unfit) = GridLanes::nearest(&ranges, shape);
            *grids = nearest;
            (0..LANES).for_each(|lane| any[lane] |= unfit[lane]);
            for (block, (values, codes)) in values.chunks_exact(size).zip(codes.chunks_exact_mut(size)).enumerate() {
                let grid = grids.get(block, shape.bits().top());
                let (values, codes) = (values.as_chunks::<LANES>().0, codes.as_chunks_mut::<LANES>().0);
                for (values, codes) in values.iter().zip(codes) {
                    for lane in 0..LANES {
                        codes[lane] = byte(nearest_code(values[lane], grid, lane, &mut sums));
                    }
                }
            }
        }
        let quality = sums.quality();
        // No range holds NaN, but the sum of the squares does.
        (any == [0; LANES] && !quality.squared_value.is_nan()).then_some(quality)
    }
}
