//! Ranges and grids of eight blocks side by side.
#![expect(clippy::inline_always, reason = "loops vectorise only when what they call is part of them")]

use super::grid::{Grid, reciprocal};
use super::range::{Range, widen};
use super::shape::BlockShape;
use crate::quantize::lanes::LANES;
use crate::wide::wide;

/// The ranges of some blocks.
#[derive(Debug, Clone, Copy)]
pub(super) struct RangeLanes {
    low: [f32; LANES],
    high: [f32; LANES],
}

impl RangeLanes {
    pub(super) const EMPTY: Self = Self { low: [Range::EMPTY.low; LANES], high: [Range::EMPTY.high; LANES] };

    /// Those of blocks of zeros.
    pub(super) const ZERO: Self = Self { low: [0.0; LANES], high: [0.0; LANES] };

    /// Widens each range by a value, unless that is NaN.
    #[inline(always)]
    #[must_use]
    pub(super) fn widen(self, values: &[f32; LANES]) -> Self {
        // By value, since a minimum in memory becomes a conditional store.
        let Self { mut low, mut high } = self;
        for lane in 0..LANES {
            (low[lane], high[lane]) = widen(values[lane], low[lane], high[lane]);
        }
        Self { low, high }
    }

    /// The range of all; of equal values that of the lowest lane stays, so the first of zeros does where all are.
    #[inline(always)]
    pub(super) fn fold(self) -> Range {
        let Self { mut low, mut high } = self;
        for apart in [4, 2, 1] {
            for lane in 0..apart {
                low[lane] = if low[lane + apart] < low[lane] { low[lane + apart] } else { low[lane] };
            }
        }
        for apart in [4, 2, 1] {
            for lane in 0..apart {
                high[lane] = if high[lane + apart] > high[lane] { high[lane + apart] } else { high[lane] };
            }
        }
        Range { low: low[0], high: high[0] }
    }

    /// The value of largest magnitude of each block with its sign; the lower one of two equal magnitudes.
    #[inline(always)]
    pub(super) fn farthest(&self) -> [f32; LANES] {
        let mut farthest = self.low;
        (0..LANES).for_each(|lane| farthest[lane] = super::grid::farthest(self.low[lane], self.high[lane]));
        farthest
    }

    /// One range, widened to hold zero.
    #[inline(always)]
    pub(super) fn with_zero(&self, lane: usize) -> (f32, f32) {
        widen(0.0, self.low[lane], self.high[lane])
    }

    /// Each range times a positive number.
    pub(super) fn times(&self, factors: [f32; LANES]) -> Self {
        let times = |ends: &[f32; LANES]| std::array::from_fn(|lane| ends[lane] * factors[lane]);
        Self { low: times(&self.low), high: times(&self.high) }
    }

    #[inline(always)]
    pub(super) fn set(&mut self, lane: usize, range: Range) {
        (self.low[lane], self.high[lane]) = (range.low, range.high);
    }
}

/// The grids of some blocks.
#[derive(Debug, Clone, Copy)]
pub(super) struct GridLanes {
    pub(super) scale: [f32; LANES],
    pub(super) reciprocal: [f32; LANES],
    pub(super) zero_point: [f32; LANES],
}

impl GridLanes {
    pub(super) const EMPTY: Self =
        Self { scale: [0.0; LANES], reciprocal: [0.0; LANES], zero_point: [0.0; LANES] };

    /// Grids of given scales; zero means that the block is all zeros.
    #[inline(always)]
    pub(super) fn new(scale: [f32; LANES], zero_point: [f32; LANES]) -> Self {
        let mut grids = Self { scale, reciprocal: scale, zero_point };
        for of_lane in &mut grids.reciprocal {
            *of_lane = reciprocal(*of_lane);
        }
        grids
    }

    #[inline(always)]
    pub(super) fn get(&self, lane: usize, top: f32) -> Grid {
        let Self { scale, reciprocal, zero_point } = self;
        Grid { scale: scale[lane], reciprocal: reciprocal[lane], zero_point: zero_point[lane], top }
    }

    /// The grid of each block as ONNX Runtime chooses it; says by zeros which are of use.
    #[inline(always)]
    pub(super) fn nearest(ranges: &RangeLanes, shape: BlockShape) -> (Self, [u32; LANES]) {
        let (mut grids, mut unfit) = (Self::EMPTY, [0; LANES]);
        for (lane, unfit) in unfit.iter_mut().enumerate() {
            let grid = Grid::of_range(ranges.low[lane], ranges.high[lane], shape);
            grids.scale[lane] = grid.scale;
            grids.reciprocal[lane] = grid.reciprocal;
            grids.zero_point[lane] = grid.zero_point;
            *unfit |= u32::from(!grid.scale.is_finite());
        }
        (grids, unfit)
    }
}

wide! {
    /// The grid of each block as ONNX Runtime chooses it; says whether all are of use.
    pub(super) fn nearest(ranges: &[RangeLanes], shape: BlockShape, out: &mut [GridLanes]) -> bool {
        let mut any = [0; LANES];
        for (range, out) in ranges.iter().zip(out) {
            let (grids, unfit) = GridLanes::nearest(range, shape);
            *out = grids;
            (0..LANES).for_each(|lane| any[lane] |= unfit[lane]);
        }
        any == [0; LANES]
    }
}
