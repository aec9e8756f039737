//! Which of several grids is the best for a block.

use super::grid::Grid;
use super::shape::BlockShape;
use crate::quantize::lanes::LANES;
use crate::quantize::quality::BLOCK;
use crate::wide::wide;

/// Rounds of refinement at most; each lowers the error, and few blocks take more than three.
const ROUNDS: usize = 8;

/// The best grid so far.
pub(super) struct Best<'a> {
    values: &'a [f32],
    grid: Grid,
    score: Score,
}

impl<'a> Best<'a> {
    pub(super) fn new(values: &'a [f32], grid: Grid) -> Self {
        Self { values, grid, score: Score::of(values, grid) }
    }

    pub(super) fn grid(&self) -> Grid {
        self.grid
    }

    pub(super) fn values(&self) -> &'a [f32] {
        self.values
    }

    /// Takes a grid if it is better; says whether it was.
    pub(super) fn offer(&mut self, grid: Grid) -> bool {
        if !grid.scale.is_normal() || !grid.reciprocal.is_normal() {
            return false;
        }
        let score = Score::of(self.values, grid);
        let better = score.error < self.score.error;
        if better {
            (self.grid, self.score) = (grid, score);
        }
        better
    }

    /// Sets the scale to the one of least squares for the integers it gives, as long as that helps.
    pub(super) fn refine(&mut self, shape: BlockShape) {
        for _ in 0..ROUNDS {
            let Some(scale) = self.score.least_squares() else { return };
            if !self.offer(Grid::new(shape, scale, self.grid.zero_point)) {
                return;
            }
        }
    }
}

/// What a grid makes of a block.
#[derive(Clone, Copy)]
struct Score {
    /// Sum of squared errors.
    error: f64,
    /// Sums of values times steps, and of squared steps.
    product: f64,
    square: f64,
}

impl Score {
    fn of(values: &[f32], grid: Grid) -> Self {
        let mut score = Self { error: 0.0, product: 0.0, square: 0.0 };
        for values in values.chunks(BLOCK) {
            let [error, product, square] = sums(values, grid);
            let sum = |lanes: [f32; LANES]| lanes.into_iter().map(f64::from).sum::<f64>();
            score.error += sum(error);
            score.product += sum(product);
            score.square += sum(square);
        }
        score
    }

    #[expect(clippy::cast_possible_truncation, reason = "a scale is single precision")]
    fn least_squares(self) -> Option<f32> {
        (self.square > 0.0).then(|| (self.product / self.square) as f32)
    }
}

wide! {
    /// The sums of a [`Score`], lane by lane.
    fn sums(values: &[f32], grid: Grid) -> [[f32; LANES]; 3] {
        let (mut error, mut product, mut square) = ([0.0_f32; LANES], [0.0_f32; LANES], [0.0_f32; LANES]);
        let (chunks, tail) = values.as_chunks::<LANES>();
        let mut rest = [0.0; LANES];
        rest[..tail.len()].copy_from_slice(tail);
        // A zero more costs nothing where zero is exact, as it is in every grid.
        let rest = if tail.is_empty() { &[][..] } else { std::slice::from_ref(&rest) };
        for chunk in chunks.iter().chain(rest) {
            for lane in 0..LANES {
                let value = chunk[lane];
                let step = grid.step(grid.code(value));
                let distance = value - step * grid.scale;
                error[lane] += distance * distance;
                product[lane] += value * step;
                square[lane] += step * step;
            }
        }
        [error, product, square]
    }
}
