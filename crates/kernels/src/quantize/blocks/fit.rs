//! Ways to choose the scale and the zero point of a block.

use super::grid::Grid;
use super::half_quadratic::half_quadratic;
use super::least_squares::least_squares;
use super::range::Range;
use super::score::Best;
use super::shape::BlockShape;

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

/// Fits one block after the other.
pub(super) struct Fitter {
    shape: BlockShape,
    fit: BlockFit,
    /// The block in units of a power of two near its largest magnitude, so that no square overflows.
    unit: Vec<f32>,
}

impl Fitter {
    pub(super) fn new(shape: BlockShape, fit: BlockFit) -> Self {
        Self { shape, fit, unit: Vec::new() }
    }

    /// The grid of a block that is not empty; `None` where it holds what no grid can.
    pub(super) fn fit(&mut self, values: &[f32]) -> Option<Grid> {
        let range = Range::of(values)?;
        let nearest = Grid::nearest(range, self.shape)?;
        let farthest = range.farthest().abs();
        if self.fit == BlockFit::Nearest || farthest < LEAST {
            return Some(nearest);
        }
        let power = power_of_two(farthest);
        self.unit.clear();
        self.unit.extend(values.iter().map(|value| value / power));
        let range = Range { low: range.low / power, high: range.high / power };
        let nearest = Grid::new(self.shape, nearest.scale / power, nearest.zero_point);
        let mut best = Best::new(&self.unit, nearest);
        if self.fit == BlockFit::HalfQuadratic && self.shape.has_zero_points() {
            half_quadratic(&mut best, nearest, self.shape);
        } else {
            least_squares(&mut best, range, self.shape);
        }
        let best = best.grid();
        Some(Grid::new(self.shape, best.scale * power, best.zero_point))
    }
}

/// The largest power of two that does not exceed a normal magnitude, but not beyond 2¹²⁶, whose reciprocal is normal.
fn power_of_two(magnitude: f32) -> f32 {
    const EXPONENT: u32 = 0x7f80_0000;
    f32::from_bits(magnitude.to_bits() & EXPONENT).min(f32::from_bits(0x7e80_0000))
}
