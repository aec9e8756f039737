//! The grids of least squared error among shrunk ranges.
#![expect(clippy::inline_always, reason = "loops vectorise only when what they call is part of them")]

use super::lanes::{GridLanes, RangeLanes};
use super::score::Best;
use super::shape::BlockShape;
use crate::quantize::lanes::{LANES, ROUNDER, clamp};
use crate::wide::wide;

/// Ranges tried, in fortieths of the full one: a little wider, since other values may fall on better integers, down
/// to where clipping has long cost more than it gains.
const FORTIETHS: std::ops::RangeInclusive<u8> = 24..=44;

wide! {
    /// The best grids after every candidate was offered and the best of them refined.
    pub(super) fn least_squares(
        rows: &[[f32; LANES]],
        nearest: &GridLanes,
        ranges: &RangeLanes,
        shape: BlockShape,
    ) -> GridLanes {
        let mut best = Best::new(rows, *nearest, shape);
        for fortieths in FORTIETHS.rev() {
            let factor = f32::from(fortieths) / 40.0;
            if shape.has_zero_points() {
                asymmetric(&mut best, ranges, shape, factor);
            } else {
                symmetric(&mut best, ranges, shape, factor);
            }
        }
        best.refine();
        best.grids()
    }
}

/// The far end at the lowest integer, and at the highest.
#[inline(always)]
fn symmetric(best: &mut Best<'_>, ranges: &RangeLanes, shape: BlockShape, factor: f32) {
    let middle = f32::from(shape.bits().middle());
    let farthest = ranges.farthest();
    for steps in [-middle, middle - 1.0] {
        let mut scale = farthest;
        for scale in &mut scale {
            *scale = *scale * factor / steps;
        }
        best.offer(&GridLanes::new(scale, [middle; LANES]));
    }
}

/// The range shrunk around its middle, with the zero point nearest to it and those beside.
#[inline(always)]
fn asymmetric(best: &mut Best<'_>, ranges: &RangeLanes, shape: BlockShape, factor: f32) {
    let (mut scale, mut zero_point) = ([0.0; LANES], [0.0; LANES]);
    for lane in 0..LANES {
        let (low, high) = ranges.with_zero(lane);
        let (middle, half) = ((low + high) * 0.5, (high - low) * 0.5 * factor);
        scale[lane] = 2.0 * half / shape.bits().top();
        zero_point[lane] = ((half - middle) / scale[lane] + ROUNDER) - ROUNDER;
    }
    for beside in [0.0, -1.0, 1.0] {
        let mut zero_point = zero_point;
        for zero in &mut zero_point {
            *zero = clamp(*zero + beside, 0.0, shape.bits().top());
        }
        best.offer(&GridLanes::new(scale, zero_point));
    }
}
