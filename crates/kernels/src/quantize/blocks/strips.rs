//! Rounding to nearest of a weight that lies row after row: a strip of columns at a time, eight of them in a vector.

use super::eights::{Eight, GROUPS, Given, LINE, ROWS, Taken, WORD, Words, step, turn};
use super::lanes::{GridLanes, RangeLanes, nearest};
use super::pack::clear;
use super::shape::{BlockShape, Blocked, UnfitBlock};
use super::walk::{Place, Rows};
use crate::quantize::Quality;
use crate::quantize::lanes::LANES;

/// Room for one strip.
pub(super) struct Strip {
    shape: BlockShape,
    /// The block being encoded, and the one being taken in; what the weight does not have is zeros.
    current: Vec<Vec<Eight>>,
    next: Vec<Vec<Eight>>,
    /// Room for rows with fewer columns than whole groups.
    padded: Vec<[[f32; LANES]; GROUPS]>,
    ranges: [RangeLanes; GROUPS],
    grids: [GridLanes; GROUPS],
    /// Of each block: of each group of columns, the codes.
    codes: Vec<Words>,
    /// Of each group: of each block, the grids.
    kept: Vec<GridLanes>,
}

impl Strip {
    /// Room for blocks of whole words; nothing for others, or for blocks too large to be kept.
    pub(super) fn new(shape: BlockShape) -> Option<Self> {
        if !shape.block_bytes().is_multiple_of(2 * WORD) || shape.block_bytes() > LINE {
            return None;
        }
        let (blocks, eights) = (LINE / shape.block_bytes(), shape.size() / ROWS);
        Some(Self {
            shape,
            current: vec![vec![[[0.0; LANES]; ROWS]; GROUPS]; eights],
            next: vec![vec![[[0.0; LANES]; ROWS]; GROUPS]; eights],
            padded: vec![[[0.0; LANES]; GROUPS]; ROWS],
            ranges: [RangeLanes::EMPTY; GROUPS],
            grids: [GridLanes::EMPTY; GROUPS],
            codes: vec![[0; LANES]; GROUPS * LINE / WORD],
            kept: vec![GridLanes::EMPTY; GROUPS * blocks],
        })
    }

    /// Blocks of a column that are kept before they are written.
    fn blocks(&self) -> usize {
        LINE / self.shape.block_bytes()
    }

    /// Quantizes all columns.
    pub(super) fn quantize(&mut self, rows: Rows<'_>, out: &mut Blocked<'_>) -> Result<Quality, UnfitBlock> {
        let mut quality = Quality::default();
        let mut places = rows.places(self.blocks()).peekable();
        self.advance(rows, 0, 0, places.peek().copied());
        while let Some(place) = places.next() {
            let ranges = &self.ranges[..place.groups()];
            let fits = nearest(ranges, self.shape, &mut self.grids);
            let made = self.advance(rows, place.slot, place.groups(), places.peek().copied());
            // No range holds NaN, but the sum of the squares does.
            if !fits || made.squared_value.is_nan() {
                return Err(rows.unfit(place));
            }
            self.keep(place);
            quality.merge(made);
            if place.is_last {
                self.write(place, out);
            }
        }
        Ok(quality)
    }

    /// Notes the grids of a block for when it is written.
    fn keep(&mut self, place: Place) {
        let blocks = self.blocks();
        for (group, grids) in self.grids[..place.groups()].iter().enumerate() {
            self.kept[group * blocks + place.slot] = *grids;
        }
    }

    /// Encodes the block that was taken in last, and takes in the next one.
    fn advance(&mut self, rows: Rows<'_>, slot: usize, groups: usize, next: Option<Place>) -> Quality {
        std::mem::swap(&mut self.current, &mut self.next);
        self.ranges = [RangeLanes::EMPTY; GROUPS];
        let (stride, mut quality) = (self.shape.block_bytes() / WORD, Quality::default());
        let codes = &mut self.codes[slot * GROUPS * stride..][..GROUPS * stride];
        for (eight, (values, given)) in self.next.iter_mut().zip(&self.current).enumerate() {
            let source = next.map_or([&[][..]; ROWS], |place| rows.eight(place, eight));
            let groups_taken = next.map_or(0, Place::groups);
            let mut taken = Taken {
                groups: groups_taken,
                rows: whole(source, groups_taken, &mut self.padded),
                values,
                ranges: &mut self.ranges,
            };
            let mut given = Given {
                groups,
                values: given,
                grids: &self.grids,
                bits: self.shape.bits(),
                codes: &mut codes[eight * stride * ROWS / self.shape.size()..],
                stride,
            };
            quality.merge(step(&mut taken, &mut given));
        }
        quality
    }

    /// Writes what is kept of a strip whose last block is given.
    fn write(&self, last: Place, out: &mut Blocked<'_>) {
        let (shape, blocks) = (self.shape, last.slot + 1);
        let (first, size) = (last.block - last.slot, shape.block_bytes());
        let used = shape.size().min(shape.rows() - last.block * shape.size());
        let mut lines = [[[0; 2 * WORD]; LINE / WORD / 2]; LANES];
        for group in 0..last.groups() {
            turn(&self.codes, group, size / WORD, blocks, &mut lines);
            let kept = &self.kept[group * self.blocks()..][..blocks];
            let start = last.start + group * LANES;
            let end = (start + LANES).min(last.start + last.width);
            for (column, lane) in (start..end).zip(0..LANES) {
                let place = column * shape.blocks() + first;
                let bytes = &mut out.integers[place * size..][..blocks * size];
                bytes.copy_from_slice(&lines[lane].as_flattened()[..blocks * size]);
                clear(&mut bytes[last.slot * size..], shape.bits(), used);
                let mut zero_points = [0; LINE / WORD];
                let scales = &mut out.scales[place..][..blocks];
                for ((scale, zero_point), grids) in scales.iter_mut().zip(&mut zero_points).zip(kept) {
                    let grid = grids.get(lane, shape.bits().top());
                    (*scale, *zero_point) = (grid.scale, grid.zero_byte());
                }
                out.set_zero_points(shape, column, first, &zero_points[..blocks]);
            }
        }
    }
}

/// Some groups of each row, padded by zeros where the row has fewer.
fn whole<'a>(
    rows: [&'a [f32]; ROWS],
    groups: usize,
    padded: &'a mut [[[f32; LANES]; GROUPS]],
) -> [&'a [[f32; LANES]]; ROWS] {
    let mut padded = padded.iter_mut();
    rows.map(|row| {
        let padded = padded.next().expect("as many as rows");
        if row.len() >= groups * LANES {
            return row.as_chunks().0;
        }
        let (values, rest) = padded.as_flattened_mut().split_at_mut(row.len());
        values.copy_from_slice(row);
        rest.fill(0.0);
        &*padded
    })
}
