//! The integers of one block: where they lie on the real line, and which of them a value becomes.

use super::range::Range;
use super::shape::BlockShape;
use crate::quantize::lanes::{ROUNDER, clamp};

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
    pub(super) fn new(shape: BlockShape, scale: f32, zero_point: f32) -> Self {
        let reciprocal = if scale == 0.0 { 0.0 } else { 1.0 / scale };
        Self { scale, reciprocal, zero_point, top: shape.bits().top() }
    }

    /// The grid that ONNX Runtime chooses; `None` where the scale is not finite.
    pub(super) fn nearest(range: Range, shape: BlockShape) -> Option<Self> {
        let grid = if shape.has_zero_points() {
            let (scale, zero_point) = asymmetric(range, shape);
            Self::new(shape, scale, zero_point)
        } else {
            let middle = f32::from(shape.bits().middle());
            Self::new(shape, -range.farthest() / middle, middle)
        };
        (!range.has_nan() && grid.scale.is_finite()).then_some(grid)
    }

    /// The whole number of steps above the lowest that stands for a value, `0 ..= top`; 0 for NaN.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "the loops vectorise only when this is part of them")]
    pub(super) fn code(self, value: f32) -> f32 {
        let shifted = clamp(value * self.reciprocal + self.zero_point, 0.0, self.top);
        let even = (shifted + ROUNDER) - ROUNDER;
        // The difference is exact; a tie that went down to even goes up instead.
        even + if shifted - even >= 0.5 { 1.0 } else { 0.0 }
    }

    /// The zero point as it is stored.
    pub(super) fn zero_byte(self) -> u8 {
        byte(self.zero_point)
    }
}

/// A whole number of `0 ..= 255` as a byte.
#[inline(always)]
#[expect(clippy::inline_always, reason = "the loops vectorise only when this is part of them")]
#[expect(clippy::cast_possible_truncation, reason = "the low byte is the integer")]
pub(super) fn byte(code: f32) -> u8 {
    (code + ROUNDER).to_bits() as u8
}

fn asymmetric(range: Range, shape: BlockShape) -> (f32, f32) {
    let (low, high) = (range.low.min(0.0), range.high.max(0.0));
    let scale = (high - low) / shape.bits().top();
    let zero_point = if scale == 0.0 { 0.0 } else { -low / scale };
    (scale, zero_point.clamp(0.0, shape.bits().top()).round())
}
