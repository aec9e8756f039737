//! Zero points by half-quadratic splitting.
#![expect(clippy::inline_always, reason = "loops vectorise only when what they call is part of them")]

use super::lanes::GridLanes;
use super::score::Best;
use super::shape::BlockShape;
use crate::quantize::lanes::{LANES, ROUNDER, clamp};
use crate::wide::wide;

/// Rounds, the weight of the coupling, and its growth a round, as published.
const ROUNDS: usize = 20;
const COUPLING: f32 = 10.0;
const GROWTH: f32 = 1.01;

wide! {
    /// The best grids with one of the whole zero points on both sides of the one that the splitting finds, refined.
    ///
    /// Works in steps of the first grid: `x` becomes `q = round(x + z)`, the residual `r = x - (q - z)` is split into
    /// outliers `e = shrink(r)` and the rest, and `z` is the mean of `q - (x - e)`.
    pub(super) fn half_quadratic(rows: &[[f32; LANES]], start: &GridLanes, shape: BlockShape) -> GridLanes {
        let mut best = Best::new(rows, *start, shape);
        let (mut zero_point, mut coupling) = (start.zero_point, COUPLING);
        for _ in 0..ROUNDS {
            zero_point = update(rows, start, zero_point, coupling, shape.bits().top());
            coupling *= GROWTH;
        }
        for whole in [zero_point.map(f32::floor), zero_point.map(f32::ceil)] {
            let zero_point = whole.map(|whole| clamp(whole, 0.0, shape.bits().top()));
            let mut candidate = Best::new(rows, GridLanes::new(start.scale, zero_point), shape);
            candidate.refine();
            best.offer(&candidate.grids());
        }
        best.refine();
        best.grids()
    }
}

#[inline(always)]
fn update(
    rows: &[[f32; LANES]],
    grids: &GridLanes,
    zero_point: [f32; LANES],
    coupling: f32,
    top: f32,
) -> [f32; LANES] {
    let mut sum = [0.0; LANES];
    for row in rows {
        for lane in 0..LANES {
            let x = row[lane] * grids.reciprocal[lane];
            let q = (clamp(x + zero_point[lane], 0.0, top) + ROUNDER) - ROUNDER;
            sum[lane] += q - x + shrink(x - (q - zero_point[lane]), coupling);
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "a block is small")]
    let count = rows.len() as f32;
    sum.map(|sum| sum / count)
}

/// The generalised soft threshold of the norm 0.75: `sign(r) · max(0, |r| - |r|^-0.25 / coupling)`.
#[inline(always)]
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
