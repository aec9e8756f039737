//! Which of several grids is the best for a block, for eight blocks side by side.
#![expect(clippy::inline_always, reason = "loops vectorise only when what they call is part of them")]

use super::grid::Grid;
use super::lanes::GridLanes;
use super::shape::BlockShape;
use crate::quantize::lanes::LANES;

/// Rounds of refinement at most; each lowers the error, and few blocks take more than three.
const ROUNDS: usize = 8;

/// Rows summed before the sum is added to that of the others, so that rounding does not grow with the block.
const PART: usize = 16;

/// The best grids so far.
pub(super) struct Best<'a> {
    rows: &'a [[f32; LANES]],
    top: f32,
    grids: GridLanes,
    errors: [f32; LANES],
}

impl<'a> Best<'a> {
    #[inline(always)]
    pub(super) fn new(rows: &'a [[f32; LANES]], grids: GridLanes, shape: BlockShape) -> Self {
        let top = shape.bits().top();
        Self { rows, top, grids, errors: errors(rows, &grids, top) }
    }

    pub(super) fn grids(&self) -> GridLanes {
        self.grids
    }

    /// Takes each grid that is better; says whether any was.
    ///
    /// A scale that is zero, infinite or NaN is never taken: its error is that of zeros, or NaN.
    #[inline(always)]
    pub(super) fn offer(&mut self, grids: &GridLanes) -> bool {
        let errors = errors(self.rows, grids, self.top);
        let before = self.errors;
        for lane in 0..LANES {
            let choose = |new: f32, old: f32| if errors[lane] < before[lane] { new } else { old };
            self.errors[lane] = choose(errors[lane], before[lane]);
            self.grids.scale[lane] = choose(grids.scale[lane], self.grids.scale[lane]);
            self.grids.reciprocal[lane] = choose(grids.reciprocal[lane], self.grids.reciprocal[lane]);
            self.grids.zero_point[lane] = choose(grids.zero_point[lane], self.grids.zero_point[lane]);
        }
        let mut fell = [0; LANES];
        (0..LANES).for_each(|lane| fell[lane] = u32::from(errors[lane] < before[lane]));
        fell != [0; LANES]
    }

    /// Sets scales to those of least squares for the integers they give, as long as that helps any.
    #[inline(always)]
    pub(super) fn refine(&mut self) {
        for _ in 0..ROUNDS {
            let scale = least_squares(self.rows, &self.grids, self.top);
            if !self.offer(&GridLanes::new(scale, self.grids.zero_point)) {
                return;
            }
        }
    }
}

/// What a value becomes, in units of the scale.
#[inline(always)]
fn step(grid: Grid, value: f32) -> f32 {
    grid.step(grid.code(value))
}

/// The sum of squared errors of each block.
#[inline(always)]
fn errors(rows: &[[f32; LANES]], grids: &GridLanes, top: f32) -> [f32; LANES] {
    let mut sums = [0.0; LANES];
    for rows in rows.chunks(PART) {
        let mut part = [0.0; LANES];
        for row in rows {
            for lane in 0..LANES {
                let grid = grids.get(lane, top);
                let distance = row[lane] - step(grid, row[lane]) * grid.scale;
                part[lane] += distance * distance;
            }
        }
        (0..LANES).for_each(|lane| sums[lane] += part[lane]);
    }
    sums
}

/// The scale of each block that is the best for the integers of a grid; 0 where they are all zeros.
#[inline(always)]
fn least_squares(rows: &[[f32; LANES]], grids: &GridLanes, top: f32) -> [f32; LANES] {
    let (mut products, mut squares) = ([0.0; LANES], [0.0; LANES]);
    for rows in rows.chunks(PART) {
        let (mut product, mut square) = ([0.0; LANES], [0.0; LANES]);
        for row in rows {
            for lane in 0..LANES {
                let step = step(grids.get(lane, top), row[lane]);
                product[lane] += row[lane] * step;
                square[lane] += step * step;
            }
        }
        for lane in 0..LANES {
            products[lane] += product[lane];
            squares[lane] += square[lane];
        }
    }
    for lane in 0..LANES {
        products[lane] = if squares[lane] > 0.0 { products[lane] / squares[lane] } else { 0.0 };
    }
    products
}
