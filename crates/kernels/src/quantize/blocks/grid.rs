//! The integers of one block: where they lie on the real line, and which of them a value becomes.

use super::range::Range;
use super::shape::BlockShape;
use crate::quantize::lanes::{ROUNDER, clamp};
use crate::quantize::quality::{OUTSIDE, Sums};

/// The real numbers that a block can hold: `(q - zero_point) · scale`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Grid {
    pub(super) scale: f32,
    pub(super) reciprocal: f32,
    /// A whole number.
    pub(super) zero_point: f32,
    /// The largest integer.
    pub(super) top: f32,
}

impl Grid {
    /// A grid of a given scale; zero means that the block is all zeros.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "the loops vectorise only when this is part of them")]
    pub(super) fn new(shape: BlockShape, scale: f32, zero_point: f32) -> Self {
        let reciprocal = if scale == 0.0 { 0.0 } else { 1.0 / scale };
        Self { scale, reciprocal, zero_point, top: shape.bits().top() }
    }

    /// The grid that ONNX Runtime chooses; `None` where the scale is not finite.
    pub(super) fn nearest(range: Range, shape: BlockShape) -> Option<Self> {
        let grid = Self::of_range(range.low, range.high, shape);
        (!range.has_nan() && grid.scale.is_finite()).then_some(grid)
    }

    /// The grid that ONNX Runtime chooses for values between two, whether it is of use or not.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "the loops vectorise only when this is part of them")]
    pub(super) fn of_range(low: f32, high: f32, shape: BlockShape) -> Self {
        if shape.has_zero_points() {
            let (scale, zero_point) = asymmetric(low, high, shape.bits().top());
            Self::new(shape, scale, zero_point)
        } else {
            let middle = f32::from(shape.bits().middle());
            Self::new(shape, -farthest(low, high) / middle, middle)
        }
    }

    /// The whole number of steps above the lowest that stands for a value, `0 ..= top`; 0 for NaN.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "the loops vectorise only when this is part of them")]
    pub(super) fn code(self, value: f32) -> f32 {
        raise(clamp(self.place(value), 0.0, self.top)) - ROUNDER
    }

    /// Where a value lies, in steps above the lowest.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "the loops vectorise only when this is part of them")]
    pub(super) fn place(self, value: f32) -> f32 {
        value * self.reciprocal + self.zero_point
    }

    /// The zero point as it is stored.
    pub(super) fn zero_byte(self) -> u8 {
        byte(self.zero_point)
    }
}

/// The value of largest magnitude with its sign; the lower one of two equal magnitudes.
#[inline(always)]
#[expect(clippy::inline_always, reason = "the loops vectorise only when this is part of them")]
pub(super) fn farthest(low: f32, high: f32) -> f32 {
    if high.abs() > low.abs() { high } else { low }
}

/// A whole number of `0 ..= 255` as a byte.
#[inline(always)]
#[expect(clippy::inline_always, reason = "the loops vectorise only when this is part of them")]
#[expect(clippy::cast_possible_truncation, reason = "the low byte is the integer")]
pub(super) fn byte(code: f32) -> u8 {
    (code + ROUNDER).to_bits() as u8
}

/// Rounds a value of `0 ..= 255`, halves up, and adds [`ROUNDER`].
#[inline(always)]
#[expect(clippy::inline_always, reason = "the loops vectorise only when this is part of them")]
pub(super) fn raise(value: f32) -> f32 {
    let even = value + ROUNDER;
    // The difference is exact; a half that went down to even goes up instead, by the last bit.
    let down = value - (even - ROUNDER) >= 0.5;
    f32::from_bits(even.to_bits() + u32::from(down))
}

/// The code of one value as [`raise`] leaves it, and what it cost, where the grid comes from the range.
///
/// No value is more than a rounding below such a grid, so only those above are looked for.
#[inline(always)]
#[expect(clippy::inline_always, reason = "the loops vectorise only when this is part of them")]
pub(super) fn nearest_code(value: f32, grid: Grid, lane: usize, sums: &mut Sums) -> u32 {
    let place = grid.place(value);
    let raised = raise(clamp(place, 0.0, grid.top));
    let step = raised - (ROUNDER + grid.zero_point);
    sums.add(lane, value, grid.scale, step, place > grid.top + OUTSIDE);
    raised.to_bits()
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "the loops vectorise only when this is part of them")]
fn asymmetric(low: f32, high: f32, top: f32) -> (f32, f32) {
    let (low, high) = (if low < 0.0 { low } else { 0.0 }, if high > 0.0 { high } else { 0.0 });
    let scale = (high - low) / top;
    let zero_point = if scale == 0.0 { 0.0 } else { -low / scale };
    (scale, raise(clamp(zero_point, 0.0, top)) - ROUNDER)
}
