//! The zero point by half-quadratic splitting.

use super::grid::Grid;
use super::score::Best;
use super::shape::BlockShape;
use crate::quantize::lanes::ROUNDER;
use crate::quantize::lanes::clamp;

/// Rounds, the weight of the coupling, and its growth a round, as published.
const ROUNDS: usize = 20;
const COUPLING: f32 = 10.0;
const GROWTH: f32 = 1.01;

/// Offers the whole zero points on both sides of the one that the splitting finds, then refines the best.
///
/// Works in steps of the first grid: `x` becomes `q = round(x + z)`, the residual `r = x - (q - z)` is split into
/// outliers `e = shrink(r)` and the rest, and `z` is the mean of `q - (x - e)`.
pub(super) fn half_quadratic(best: &mut Best<'_>, start: Grid, shape: BlockShape) {
    let mut zero_point = start.zero_point;
    let mut coupling = COUPLING;
    for _ in 0..ROUNDS {
        zero_point = update(best.values(), start, zero_point, coupling);
        coupling *= GROWTH;
    }
    for whole in [zero_point.floor(), zero_point.ceil()] {
        let grid = Grid::new(shape, start.scale, clamp(whole, 0.0, start.top));
        let mut candidate = Best::new(best.values(), grid);
        candidate.refine(shape);
        best.offer(candidate.grid());
    }
    best.refine(shape);
}

fn update(values: &[f32], grid: Grid, zero_point: f32, coupling: f32) -> f32 {
    let mut sum = 0.0;
    for value in values {
        let x = value * grid.reciprocal;
        let q = (clamp(x + zero_point, 0.0, grid.top) + ROUNDER) - ROUNDER;
        sum += q - x + shrink(x - (q - zero_point), coupling);
    }
    #[expect(clippy::cast_precision_loss, reason = "a block is small")]
    let count = values.len() as f32;
    sum / count
}

/// The generalised soft threshold of the norm 0.75: `sign(r) · max(0, |r| - |r|^-0.25 / coupling)`.
fn shrink(residual: f32, coupling: f32) -> f32 {
    let magnitude = residual.abs();
    let kept = magnitude - 1.0 / (coupling * magnitude.sqrt().sqrt());
    if kept > 0.0 { kept.copysign(residual) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_residuals_vanish_and_large_ones_nearly_stay() {
        assert_eq!(shrink(0.0, COUPLING), 0.0);
        assert_eq!(shrink(0.1, COUPLING), 0.0);
        assert!((shrink(-16.0, COUPLING) - -15.95).abs() < 1e-6);
    }
}
