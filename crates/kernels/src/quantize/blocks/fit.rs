//! Ways to choose the scale and the zero point of a block.

use super::half_quadratic::half_quadratic;
use super::lanes::{GridLanes, RangeLanes};
use super::least_squares::least_squares;
use super::shape::BlockShape;
use crate::quantize::lanes::LANES;
use crate::wide::wide;

/// How the scale of a block is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockFit {
    /// From the range, bit for bit as ONNX Runtime: the fastest.
    Nearest,
    /// The scale, and zero point, of the least squared error among shrunk and mirrored ranges, each then set to the
    /// least-squares scale of its integers. Never worse than [`Nearest`](Self::Nearest).
    LeastSquares,
    /// The half-quadratic search for the zero point, which forgives outliers, then the least-squares scale. Without
    /// zero points the same as [`LeastSquares`](Self::LeastSquares). Never worse than [`Nearest`](Self::Nearest).
    ///
    /// Source: H. Badri, A. Shaji, "Half-Quadratic Quantization of Large Machine Learning Models" (2023), with the
    /// norm 0.75 in place of 0.7, since two square roots give the same bits everywhere and a power does not.
    HalfQuadratic,
}

/// Magnitudes below which squares of errors are nothing: such blocks are left to [`BlockFit::Nearest`].
const LEAST: f32 = 1e-30;

/// Fits eight blocks at a time.
pub(super) struct Fitter {
    shape: BlockShape,
    fit: BlockFit,
    /// The blocks in units of a power of two near their largest magnitude, so that no square overflows.
    unit: Vec<[f32; LANES]>,
}

impl Fitter {
    pub(super) fn new(shape: BlockShape, fit: BlockFit) -> Self {
        Self { shape, fit, unit: Vec::new() }
    }

    /// The grids of eight blocks that are not empty, each a column of `rows`; the first that holds what no grid can is
    /// the error.
    pub(super) fn fit(&mut self, rows: &[[f32; LANES]]) -> Result<GridLanes, usize> {
        let (ranges, nan) = scan(rows);
        let (nearest, unfit) = GridLanes::nearest(&ranges, self.shape);
        if let Some(lane) = (0..LANES).find(|lane| nan[*lane] | unfit[*lane] != 0) {
            return Err(lane);
        }
        if self.fit == BlockFit::Nearest {
            return Ok(nearest);
        }
        let farthest = ranges.farthest().map(f32::abs);
        let factors = farthest.map(|farthest| 1.0 / power_of_two(farthest));
        self.unit.resize(rows.len(), [0.0; LANES]);
        multiply(rows, &factors, &mut self.unit);
        let in_units = GridLanes::new(product(nearest.scale, factors), nearest.zero_point);
        let best = if self.fit == BlockFit::HalfQuadratic && self.shape.has_zero_points() {
            half_quadratic(&self.unit, &in_units, self.shape)
        } else {
            least_squares(&self.unit, &in_units, &ranges.times(factors), self.shape)
        };
        let scale = std::array::from_fn(|lane| best.scale[lane] * power_of_two(farthest[lane]));
        let choose = |best: [f32; LANES], nearest: [f32; LANES]| {
            std::array::from_fn(|lane| if farthest[lane] < LEAST { nearest[lane] } else { best[lane] })
        };
        Ok(GridLanes::new(choose(scale, nearest.scale), choose(best.zero_point, nearest.zero_point)))
    }
}

/// The largest power of two that does not exceed a normal magnitude, but not beyond 2¹²⁶, whose reciprocal is normal;
/// 1 for magnitudes that are left alone.
fn power_of_two(magnitude: f32) -> f32 {
    const EXPONENT: u32 = 0x7f80_0000;
    if magnitude < LEAST {
        return 1.0;
    }
    f32::from_bits(magnitude.to_bits() & EXPONENT).min(f32::from_bits(0x7e80_0000))
}

fn product(left: [f32; LANES], right: [f32; LANES]) -> [f32; LANES] {
    std::array::from_fn(|lane| left[lane] * right[lane])
}

wide! {
    fn multiply(rows: &[[f32; LANES]], factors: &[f32; LANES], out: &mut [[f32; LANES]]) {
        for (row, out) in rows.iter().zip(out) {
            (0..LANES).for_each(|lane| out[lane] = row[lane] * factors[lane]);
        }
    }
}

wide! {
    /// The range of each block; says by zeros which hold no NaN.
    fn scan(rows: &[[f32; LANES]]) -> (RangeLanes, [u32; LANES]) {
        let mut nan = [0; LANES];
        for row in rows {
            (0..LANES).for_each(|lane| nan[lane] |= u32::from(row[lane].is_nan()));
        }
        (rows.iter().fold(RangeLanes::EMPTY, RangeLanes::widen), nan)
    }
}
