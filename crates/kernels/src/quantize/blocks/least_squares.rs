//! The grid of least squared error among shrunk ranges.

use super::grid::Grid;
use super::range::Range;
use super::score::Best;
use super::shape::BlockShape;

/// Ranges tried, in fortieths of the full one: a little wider, since other values may fall on better integers, down
/// to where clipping has long cost more than it gains.
const FORTIETHS: std::ops::RangeInclusive<u8> = 24..=44;

/// Offers every candidate, then refines the best.
pub(super) fn least_squares(best: &mut Best<'_>, range: Range, shape: BlockShape) {
    for fortieths in FORTIETHS.rev() {
        let factor = f32::from(fortieths) / 40.0;
        if shape.has_zero_points() {
            asymmetric(best, range, shape, factor);
        } else {
            symmetric(best, range, shape, factor);
        }
    }
    best.refine(shape);
}

/// The far end at the lowest integer, and at the highest.
fn symmetric(best: &mut Best<'_>, range: Range, shape: BlockShape, factor: f32) {
    let middle = f32::from(shape.bits().middle());
    let far = range.farthest() * factor;
    best.offer(Grid::new(shape, -far / middle, middle));
    best.offer(Grid::new(shape, far / (middle - 1.0), middle));
}

/// The range shrunk around its middle, with the zero point nearest to it and those beside.
fn asymmetric(best: &mut Best<'_>, range: Range, shape: BlockShape, factor: f32) {
    let (low, high) = (range.low.min(0.0), range.high.max(0.0));
    let (middle, half) = (f32::midpoint(low, high), (high - low) / 2.0 * factor);
    let scale = 2.0 * half / shape.bits().top();
    let zero_point = ((half - middle) / scale).round();
    for beside in [0.0, -1.0, 1.0] {
        let zero_point = (zero_point + beside).clamp(0.0, shape.bits().top());
        best.offer(Grid::new(shape, scale, zero_point));
    }
}
