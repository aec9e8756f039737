//! The integers of one block: where they lie on the real line, and which of them a value becomes.
#![expect(clippy::inline_always, reason = "loops vectorise only when what they call is part of them")]

use super::range::Range;
use super::shape::BlockShape;
use crate::quantize::lanes::clamp;
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
    pub(super) fn new(shape: BlockShape, scale: f32, zero_point: f32) -> Self {
        Self { scale, reciprocal: reciprocal(scale), zero_point, top: shape.bits().top() }
    }

    /// The grid that ONNX Runtime chooses; `None` where the scale is not finite.
    pub(super) fn nearest(range: Range, shape: BlockShape) -> Option<Self> {
        let grid = Self::of_range(range.low, range.high, shape);
        grid.scale.is_finite().then_some(grid)
    }

    /// The grid that ONNX Runtime chooses for values between two, whether it is of use or not.
    #[inline(always)]
    pub(super) fn of_range(low: f32, high: f32, shape: BlockShape) -> Self {
        if shape.has_zero_points() {
            let (scale, zero_point) = asymmetric(low, high, shape.bits().top());
            Self::new(shape, scale, zero_point)
        } else {
            let middle = f32::from(shape.bits().middle());
            Self::new(shape, -farthest(low, high) / middle, middle)
        }
    }

    /// The code of a value; 0 for NaN.
    #[inline(always)]
    pub(super) fn code(self, value: f32) -> i32 {
        round(self.place(value), self.top)
    }

    /// What a code stands for, in units of the scale.
    #[inline(always)]
    #[expect(clippy::cast_precision_loss, reason = "a code has eight bits at most")]
    pub(super) fn step(self, code: i32) -> f32 {
        code as f32 - self.zero_point
    }

    /// Where a value lies, in steps above the lowest.
    #[inline(always)]
    pub(super) fn place(self, value: f32) -> f32 {
        value * self.reciprocal + self.zero_point
    }

    /// The zero point as it is stored.
    pub(super) fn zero_byte(self) -> u8 {
        byte(round(self.zero_point, self.top))
    }
}

/// What values are multiplied with in place of a division by a scale; 0 for a scale of 0.
#[inline(always)]
pub(super) fn reciprocal(scale: f32) -> f32 {
    if scale == 0.0 { 0.0 } else { 1.0 / scale }
}

/// The value of largest magnitude with its sign; the lower one of two equal magnitudes.
#[inline(always)]
pub(super) fn farthest(low: f32, high: f32) -> f32 {
    if high.abs() > low.abs() { high } else { low }
}

/// A code as it is stored.
#[inline(always)]
pub(super) fn byte(code: i32) -> u8 {
    code.to_le_bytes()[0]
}

/// Clamps to `0 ..= top`, a number of eight bits, NaN to 0, and rounds halves up.
#[inline(always)]
fn round(place: f32, top: f32) -> i32 {
    // The last float below one half: a half itself would lift that float to 1.
    const HALF: f32 = 0.5_f32.next_down();
    let raised = clamp(place, 0.0, top) + HALF;
    #[expect(unsafe_code, reason = "a checked conversion is no single instruction")]
    // SAFETY: `clamp` leaves numbers of `0 ..= top` only, and `top` is at most 255.
    unsafe {
        raised.to_int_unchecked()
    }
}

/// The code of one value, and what it cost, where the grid comes from the range.
///
/// No value is more than a rounding below such a grid, so only those above are looked for.
#[inline(always)]
pub(super) fn nearest_code(value: f32, grid: Grid, lane: usize, sums: &mut Sums) -> i32 {
    let code = grid.code(value);
    sums.add(lane, value, grid.scale, grid.step(code), grid.place(value) > grid.top + OUTSIDE);
    code
}

#[inline(always)]
fn asymmetric(low: f32, high: f32, top: f32) -> (f32, f32) {
    let (low, high) = (if low < 0.0 { low } else { 0.0 }, if high > 0.0 { high } else { 0.0 });
    let scale = (high - low) / top;
    let zero_point = if scale == 0.0 { 0.0 } else { -low / scale };
    #[expect(clippy::cast_precision_loss, reason = "a code has eight bits at most")]
    (scale, round(zero_point, top) as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_round_up_and_nothing_below_them_does() {
        for code in 0..=255_u8 {
            let (half, top) = (f32::from(code) + 0.5, 255.0);
            assert_eq!(round(half.next_down(), top), i32::from(code));
            assert_eq!(round(half, top), i32::from(code.saturating_add(1)));
        }
        let extremes = [-0.0, -1.0, f32::NEG_INFINITY, f32::NAN, f32::INFINITY, f32::MAX];
        assert_eq!(extremes.map(|place| round(place, 15.0)), [0, 0, 0, 0, 15, 15]);
    }
}
