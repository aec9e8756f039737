//! Rounding to nearest of a weight that lies row after row: some columns at a time, eight of them in a vector.
//!
//! While a block is encoded the next one is read, so that arithmetic and memory do not wait for each other.

use super::grid::{Grid, byte};
use super::lanes::{GridLanes, RangeLanes, nearest};
use super::quads::{GROUPS, LINE, QUAD, Quad, WORD, both, encode, scan, turn};
use super::shape::{BlockShape, Blocked, UnfitBlock};
use crate::quantize::Quality;
use crate::quantize::lanes::LANES;

/// Adjacent columns of a band of rows.
#[derive(Clone, Copy)]
pub(super) struct Part<'a> {
    /// All columns.
    pub(super) values: &'a [f32],
    pub(super) columns: usize,
    /// The columns meant.
    pub(super) start: usize,
    pub(super) width: usize,
    /// The first block.
    pub(super) block: usize,
}

/// Room for one strip.
pub(super) struct Strip {
    shape: BlockShape,
    /// The floats of the block being encoded, and of the one being read; columns that the weight does not have are
    /// zeros.
    current: Vec<Quad<f32>>,
    next: Vec<Quad<f32>>,
    ranges: [RangeLanes; GROUPS],
    /// The grids of each block, and the codes of each four rows.
    grids: Vec<[GridLanes; GROUPS]>,
    codes: Vec<[[u32; LANES]; GROUPS]>,
}

impl Strip {
    /// Room for blocks of whole words; nothing for others, or for blocks too large to be kept.
    pub(super) fn new(shape: BlockShape) -> Option<Self> {
        if !shape.block_bytes().is_multiple_of(WORD) || shape.block_bytes() > LINE {
            return None;
        }
        let (blocks, quads) = (LINE / shape.block_bytes(), shape.size() / QUAD);
        Some(Self {
            shape,
            current: vec![[[[0.0; LANES]; QUAD]; GROUPS]; quads],
            next: vec![[[[0.0; LANES]; QUAD]; GROUPS]; quads],
            ranges: [RangeLanes::EMPTY; GROUPS],
            grids: vec![[GridLanes::EMPTY; GROUPS]; blocks],
            codes: vec![[[0; LANES]; GROUPS]; blocks * quads],
        })
    }

    /// Blocks worked on before they are written.
    pub(super) fn blocks(&self) -> usize {
        self.grids.len()
    }

    /// Rows of these.
    pub(super) fn rows(&self) -> usize {
        self.blocks() * self.shape.size()
    }

    /// Quantizes at most [`blocks`](Self::blocks) blocks of each column.
    pub(super) fn quantize(&mut self, part: Part<'_>, out: &mut Blocked<'_>) -> Result<Quality, UnfitBlock> {
        let mut quality = Quality::default();
        let mut blocks = part.values.chunks(self.shape.size() * part.columns).peekable();
        let count = blocks.len();
        self.ranges = [RangeLanes::EMPTY; GROUPS];
        for quad in 0..self.next.len() {
            if let Some(rows) = blocks.peek().and_then(|values| part.quad(values, quad)) {
                scan(&rows, &mut self.next[quad], &mut self.ranges);
            }
        }
        for index in 0..count {
            if !nearest(&self.ranges[..part.groups()], self.shape, &mut self.grids[index]) {
                return Err(self.unfit(part, part.block + index));
            }
            std::mem::swap(&mut self.current, &mut self.next);
            self.ranges = [RangeLanes::EMPTY; GROUPS];
            let rows = blocks.next().map_or(0, <[f32]>::len) / part.columns;
            quality.merge(self.step(part, rows, blocks.peek().copied(), index));
        }
        self.write(count, part, out);
        Ok(quality)
    }

    /// Encodes a block and reads the next one.
    fn step(&mut self, part: Part<'_>, rows: usize, next: Option<&[f32]>, index: usize) -> Quality {
        let mut quality = Quality::default();
        let (quads, groups, bits) = (self.current.len(), part.groups(), self.shape.bits());
        let grids = &self.grids[index][..groups];
        for quad in 0..quads {
            let (values, codes) = (&self.current[quad], &mut self.codes[index * quads + quad]);
            let have = rows.saturating_sub(quad * QUAD).min(QUAD);
            quality.merge(match next.and_then(|values| part.quad(values, quad)) {
                Some(rows) => both(&rows, &mut self.next[quad], &mut self.ranges, values, grids, bits, codes),
                None => encode(values, have, grids, bits, codes),
            });
        }
        quality
    }

    /// The first block that no grid fits.
    fn unfit(&self, part: Part<'_>, block: usize) -> UnfitBlock {
        let range = |column: usize| self.ranges[column / LANES].get(column % LANES);
        let column = (0..part.width).find(|column| Grid::nearest(range(*column), self.shape).is_none());
        UnfitBlock { column: part.start + column.unwrap_or(0), block }
    }

    /// Writes what was made of the first blocks.
    fn write(&self, blocks: usize, part: Part<'_>, out: &mut Blocked<'_>) {
        let (shape, size) = (self.shape, blocks * self.shape.block_bytes());
        let codes = &self.codes[..blocks * self.current.len()];
        let mut lines = [[[0; WORD]; LINE / WORD]; LANES];
        let (mut scales, mut zero_points) = ([[0.0; LINE / WORD]; LANES], [[0; LINE / WORD]; LANES]);
        for group in 0..part.groups() {
            turn(codes, group, shape.bits(), &mut lines);
            for (block, grids) in self.grids[..blocks].iter().enumerate() {
                for lane in 0..LANES {
                    scales[lane][block] = grids[group].scale[lane];
                    zero_points[lane][block] = byte(grids[group].zero_point[lane]);
                }
            }
            let start = part.start + group * LANES;
            let end = (start + LANES).min(part.start + part.width);
            for (column, lane) in (start..end).zip(0..LANES) {
                let first = column * shape.blocks() + part.block;
                let bytes = &mut out.integers[first * shape.block_bytes()..][..size];
                bytes.copy_from_slice(&lines[lane].as_flattened()[..size]);
                out.scales[first..][..blocks].copy_from_slice(&scales[lane][..blocks]);
                out.set_zero_points(shape, column, part.block, &zero_points[lane][..blocks]);
            }
        }
    }
}

impl<'a> Part<'a> {
    fn groups(self) -> usize {
        self.width.div_ceil(LANES)
    }

    /// Four rows of a block, or fewer with the last one again, which changes no range; `None` beyond the last.
    fn quad(self, values: &'a [f32], quad: usize) -> Option<[&'a [f32]; QUAD]> {
        let rows = values.len() / self.columns;
        let row = |index: usize| (quad * QUAD + index).min(rows - 1) * self.columns + self.start;
        (quad * QUAD < rows).then(|| std::array::from_fn(|index| &values[row(index)..][..self.width]))
    }
}
