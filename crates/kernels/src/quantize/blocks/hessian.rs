//! How much an error of each weight matters: the second moments of a layer's inputs.

use crate::wide::wide;

/// Share of the mean diagonal that is added to the diagonal at first, as published.
const DAMPING: f64 = 0.01;
/// How often the damping is raised tenfold before the matrix counts as singular.
const RAISES: i32 = 4;

/// `H = 2 Σ x xᵀ` over the input rows `x` of a layer with `K` inputs.
///
/// Takes 8·K² bytes and, once factored, no more: 128 MiB for 4096 inputs. Sums are of double precision, since
/// thousands of samples are added and the factorisation loses half the digits of a nearly singular matrix.
#[derive(Debug, Clone)]
pub struct Hessian {
    /// Row-major, the strict lower triangle and the diagonal used.
    values: Vec<f64>,
    size: usize,
}

/// A sample with an input that is NaN or infinite.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BadSample {
    /// Which row of those given.
    pub row: usize,
    /// Which input.
    pub input: usize,
    /// Its value.
    pub value: f32,
}

impl std::fmt::Display for BadSample {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { row, input, value } = self;
        write!(f, "input {input} of calibration row {row} is {value}: correct the sample or the model")
    }
}

impl std::error::Error for BadSample {}

impl Hessian {
    /// The sum over no samples of `inputs` values.
    pub fn new(inputs: usize) -> Self {
        Self { values: vec![0.0; inputs * inputs], size: inputs }
    }

    /// Adds input rows; the same bits however they are cut into calls.
    ///
    /// # Errors
    /// [`BadSample`] for the first value that is NaN or infinite; nothing is added then.
    ///
    /// # Panics
    /// When `rows` does not hold whole rows.
    pub fn observe(&mut self, rows: &[f32]) -> Result<(), BadSample> {
        /// Rows of samples that stay in the second-level cache while the matrix passes by.
        const BATCH: usize = 32;
        if rows.is_empty() {
            return Ok(());
        }
        assert_eq!(rows.len() % self.size, 0, "samples must be whole rows");
        if let Some(index) = rows.iter().position(|value| !value.is_finite()) {
            return Err(BadSample { row: index / self.size, input: index % self.size, value: rows[index] });
        }
        for batch in rows.chunks(BATCH * self.size) {
            for (input, line) in self.values.chunks_exact_mut(self.size).enumerate() {
                for sample in batch.chunks_exact(self.size) {
                    accumulate(2.0 * f64::from(sample[input]), &sample[..=input], &mut line[..=input]);
                }
            }
        }
        Ok(())
    }

    /// Adds the samples of another sum over the same inputs.
    ///
    /// # Panics
    /// When the other has another number of inputs.
    pub fn merge(&mut self, other: &Self) {
        assert_eq!(self.size, other.size, "sums over the same inputs");
        self.values.iter_mut().zip(&other.values).for_each(|(sum, value)| *sum += value);
    }

    /// Decomposes the matrix in place.
    ///
    /// An input that was always zero counts with weight 1 and on its own. 1 % of the mean diagonal is added to all, and
    /// ten times more, up to a hundred times the mean, as long as rounding leaves the matrix indefinite.
    ///
    /// # Errors
    /// [`SingularHessian`] where even that does not help: values that differ by more than doubles hold.
    pub fn factor(mut self) -> Result<Factor, SingularHessian> {
        let size = self.size;
        let diagonal: Vec<f64> = (0..size).map(|index| self.values[index * size + index]).collect();
        let alive = diagonal.iter().filter(|value| **value > 0.0);
        let (sum, count) = alive.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
        let mean = if count > 0.0 { sum / count } else { 0.0 };
        for raise in 0..=RAISES {
            let damping = DAMPING * mean * 10_f64.powi(raise);
            for (row, value) in diagonal.iter().enumerate() {
                self.values[row * size + row] = if *value > 0.0 { value + damping } else { 1.0 };
                for column in row + 1..size {
                    self.values[row * size + column] = self.values[column * size + row];
                }
            }
            if decompose(&mut self.values, size) {
                invert(&mut self.values, size);
                return Ok(Factor { values: self.values, diagonal, size });
            }
        }
        Err(SingularHessian)
    }
}

/// Second moments that no damping makes definite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SingularHessian;

impl std::fmt::Display for SingularHessian {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "the calibration inputs differ too much in size for GPTQ: use another method for this layer"
        )
    }
}

impl std::error::Error for SingularHessian {}

/// The upper triangular `U` with `H⁻¹ = Uᵀ U`, for a damped `H`, and `H` itself.
#[derive(Debug, Clone)]
pub struct Factor {
    /// `U` with its diagonal; below it `H` without its own.
    values: Vec<f64>,
    diagonal: Vec<f64>,
    size: usize,
}

impl Factor {
    /// Inputs of the layer, `K`.
    pub fn inputs(&self) -> usize {
        self.size
    }

    /// The squared error that a change of one column of the weight makes in the layer's output, summed over the samples.
    ///
    /// # Panics
    /// When the change is not `K` long.
    pub fn output_error(&self, change: &[f32]) -> f64 {
        assert_eq!(change.len(), self.size, "a change of each weight of a column");
        let mut sum = 0.0;
        for (row, value) in change.iter().enumerate() {
            let value = f64::from(*value);
            let line = &self.values[row * self.size..row * self.size + row];
            let cross: f64 = line.iter().zip(change).map(|(moment, other)| moment * f64::from(*other)).sum();
            sum += value * (cross + value * self.diagonal[row] / 2.0);
        }
        sum
    }

    /// The row of `U` from its diagonal on.
    pub(super) fn row(&self, row: usize) -> &[f64] {
        &self.values[row * self.size + row..(row + 1) * self.size]
    }
}

wide! {
    fn accumulate(factor: f64, sample: &[f32], out: &mut [f64]) {
        for (out, value) in out.iter_mut().zip(sample) {
            *out += factor * f64::from(*value);
        }
    }
}

/// Replaces the upper triangle of a symmetric matrix by the upper triangular `R` with `R Rᵀ` equal to the matrix; false
/// where it is not positive definite.
///
/// A Cholesky decomposition from the last row up, which spares an inversion: `H⁻¹ = R⁻ᵀ R⁻¹`.
fn decompose(values: &mut [f64], size: usize) -> bool {
    for row in (0..size).rev() {
        let (above, own) = values.split_at_mut(row * size);
        let own = &mut own[..size];
        let pivot = own[row] - dot(&own[row + 1..], &own[row + 1..]);
        if pivot.is_nan() || pivot <= 0.0 || pivot.is_infinite() {
            return false;
        }
        own[row] = pivot.sqrt();
        for line in above.chunks_exact_mut(size) {
            line[row] = (line[row] - dot(&line[row + 1..], &own[row + 1..])) / own[row];
        }
    }
    true
}

wide! {
    fn dot(left: &[f64], right: &[f64]) -> f64 {
        const LANES: usize = 8;
        let mut sums = [0.0; LANES];
        let (left, left_tail) = left.as_chunks::<LANES>();
        let (right, right_tail) = right.as_chunks::<LANES>();
        for (left, right) in left.iter().zip(right) {
            for lane in 0..LANES {
                sums[lane] += left[lane] * right[lane];
            }
        }
        for (lane, (left, right)) in left_tail.iter().zip(right_tail).enumerate() {
            sums[lane] += left * right;
        }
        sums.iter().sum()
    }
}

/// Inverts an upper triangular matrix in its place.
fn invert(values: &mut [f64], size: usize) {
    let mut line = vec![0.0; size];
    for row in (0..size).rev() {
        let (above, below) = values.split_at_mut((row + 1) * size);
        let own = &mut above[row * size..];
        let pivot = 1.0 / own[row];
        line[row + 1..].copy_from_slice(&own[row + 1..]);
        own[row] = pivot;
        own[row + 1..].fill(0.0);
        for (other, below) in below.chunks_exact(size).enumerate() {
            let other = row + 1 + other;
            subtract(line[other] * pivot, &below[other..], &mut own[other..]);
        }
    }
}

wide! {
    fn subtract(factor: f64, values: &[f64], out: &mut [f64]) {
        for (out, value) in out.iter_mut().zip(values) {
            *out -= factor * value;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn samples(inputs: usize) -> impl Strategy<Value = Vec<f32>> {
        prop::collection::vec(prop::collection::vec(-2.0_f32..2.0, inputs), 0..40)
            .prop_map(|rows| rows.concat())
    }

    proptest! {
        #[test]
        fn the_factor_inverts_the_damped_matrix(rows in samples(9)) {
            let mut hessian = Hessian::new(9);
            hessian.observe(&rows).unwrap();
            let moment = |row: usize, column: usize| -> f64 {
                rows.chunks(9).map(|x| 2.0 * f64::from(x[row]) * f64::from(x[column])).sum()
            };
            let mean = (0..9).map(|row| moment(row, row)).sum::<f64>() / 9.0;
            let factor = hessian.factor().unwrap();
            let upper = |row: usize, column: usize| if column < row { 0.0 } else { factor.row(row)[column - row] };
            for row in 0..9 {
                for column in 0..9 {
                    // (Uᵀ U) H is the identity.
                    let inverse = |row: usize, column: usize| -> f64 {
                        (0..9).map(|inner| upper(inner, row) * upper(inner, column)).sum()
                    };
                    let damped = |row: usize, column: usize| {
                        let damping = if row != column { 0.0 } else if mean > 0.0 { 0.01 * mean } else { 1.0 };
                        moment(row, column) + damping
                    };
                    let product: f64 = (0..9).map(|inner| inverse(row, inner) * damped(inner, column)).sum();
                    prop_assert!((product - f64::from(u8::from(row == column))).abs() < 1e-8, "{product}");
                }
            }
        }

        #[test]
        fn sums_do_not_depend_on_cuts(rows in samples(5), cut in 0_usize..40) {
            let (first, second) = rows.split_at((cut * 5).min(rows.len()));
            let mut whole = Hessian::new(5);
            whole.observe(&rows).unwrap();
            let mut cut = Hessian::new(5);
            cut.observe(first).unwrap();
            cut.observe(second).unwrap();
            prop_assert_eq!(cut.values, whole.values);
        }

        #[test]
        fn output_error_is_that_of_the_samples(rows in samples(5), change in prop::collection::vec(-1.0_f32..1.0, 5)) {
            let mut hessian = Hessian::new(5);
            hessian.observe(&rows).unwrap();
            let output = |x: &[f32]| x.iter().zip(&change).map(|(x, w)| f64::from(*x) * f64::from(*w)).sum::<f64>();
            let wanted: f64 = rows.chunks(5).map(|x| output(x).powi(2)).sum();
            prop_assert!((hessian.factor().unwrap().output_error(&change) - wanted).abs() < 1e-6);
        }
    }

    #[test]
    fn what_is_not_finite_is_an_error_that_says_where() {
        let mut hessian = Hessian::new(3);
        let error = hessian.observe(&[1.0, 2.0, 3.0, 4.0, f32::NAN, 6.0]).unwrap_err();
        assert_eq!((error.row, error.input), (1, 1));
        assert!(error.to_string().contains("input 1 of calibration row 1 is NaN"), "{error}");
        assert!(hessian.values.iter().all(|value| *value == 0.0));
    }

    #[test]
    fn dead_inputs_and_dependent_ones_are_damped() {
        let mut hessian = Hessian::new(4);
        // The second is twice the first, the third is never there.
        hessian.observe(&[1.0, 2.0, 0.0, 0.5, 3.0, 6.0, 0.0, -0.5]).unwrap();
        let factor = hessian.factor().unwrap();
        assert_eq!(factor.row(2), [1.0, 0.0]);
        assert!(factor.row(0).iter().all(|value| value.is_finite()));
    }

    #[test]
    fn extreme_inputs_are_an_answer_or_an_error() {
        let mut hessian = Hessian::new(2);
        hessian.observe(&[f32::MAX, 1e-30]).unwrap();
        assert!(hessian.factor().is_ok());
    }

    #[test]
    fn merging_adds() {
        let (mut left, mut right, mut both) = (Hessian::new(2), Hessian::new(2), Hessian::new(2));
        left.observe(&[1.0, 2.0]).unwrap();
        right.observe(&[3.0, 4.0]).unwrap();
        both.observe(&[1.0, 2.0, 3.0, 4.0]).unwrap();
        left.merge(&right);
        assert_eq!(left.values, both.values);
    }
}
