//! The order in which a weight that lies row after row is worked on.

use super::eights::{ROWS, STRIP};
use super::grid::Grid;
use super::range::Range;
use super::shape::{BlockShape, UnfitBlock};
use crate::quantize::lanes::LANES;

/// Whole rows of a weight, from a block on.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    pub(super) values: &'a [f32],
    pub(super) columns: usize,
    pub(super) first: usize,
    pub(super) shape: BlockShape,
}

/// One block of the columns of a strip.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) start: usize,
    pub(super) width: usize,
    pub(super) block: usize,
    /// Which of the blocks that are written together it is, and whether it is the last of them.
    pub(super) slot: usize,
    pub(super) is_last: bool,
}

impl Place {
    /// Eights of columns.
    pub(super) fn groups(self) -> usize {
        self.width.div_ceil(LANES)
    }
}

impl<'a> Rows<'a> {
    fn count(self) -> usize {
        self.values.len() / self.columns
    }

    /// All blocks: `most` of a strip, then of the strip beside it.
    pub(super) fn places(self, most: usize) -> impl Iterator<Item = Place> {
        let Self { columns, first, shape, .. } = self;
        let end = first + self.count().div_ceil(shape.size());
        (first..end).step_by(most).flat_map(move |band| {
            let count = most.min(end - band);
            (0..columns).step_by(STRIP).flat_map(move |start| {
                let width = STRIP.min(columns - start);
                (0..count).map(move |slot| Place {
                    start,
                    width,
                    block: band + slot,
                    slot,
                    is_last: slot + 1 == count,
                })
            })
        })
    }

    /// Eight rows of a block; those beyond the last are empty.
    pub(super) fn eight(self, place: Place, eight: usize) -> [&'a [f32]; ROWS] {
        let first = (place.block - self.first) * self.shape.size() + eight * ROWS;
        std::array::from_fn(|row| match first + row {
            row if row < self.count() => &self.values[row * self.columns + place.start..][..place.width],
            _ => &[],
        })
    }

    /// The first column of a place that no grid fits.
    pub(super) fn unfit(self, place: Place) -> UnfitBlock {
        let first = (place.block - self.first) * self.shape.size();
        let rows = first..self.count().min(first + self.shape.size());
        let has_grid = |column: &usize| {
            let values: Vec<f32> = rows.clone().map(|row| self.values[row * self.columns + column]).collect();
            Range::of(&values).and_then(|range| Grid::nearest(range, self.shape)).is_some()
        };
        let column = (place.start..place.start + place.width).find(|column| !has_grid(column));
        UnfitBlock { column: column.unwrap_or(place.start), block: place.block }
    }
}
