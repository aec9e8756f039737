//! The shift that quantized weights put on a layer's outputs.
//!
//! Errors of a weight do not cancel where the mean of its input is not zero: output `n` is expected to be off by
//! `Σ mean[k] · (quantized[k, n] - weight[k, n])`, and a bias that is less by as much restores its mean.
//! Source: M. Nagel, M. van Baalen, T. Blankevoort, M. Welling, "Data-Free Quantization Through Weight Equalization and
//! Bias Correction" (2019).

/// The mean of what each weight of an output meets, over samples as they come: of a row, an input; of a kernel, an input
/// channel at one of its taps, channel after channel.
#[derive(Debug, Clone, PartialEq)]
pub struct InputMeans {
    sums: Vec<f64>,
    count: u64,
}

impl InputMeans {
    /// The means of no samples, for so many weights of an output.
    pub fn new(weights: usize) -> Self {
        Self { sums: vec![0.0; weights], count: 0 }
    }

    /// Adds rows of one value a weight; the same bits however they are cut into calls.
    ///
    /// Values are finite, as [`Histogram`](crate::calibrate::Histogram) made sure.
    ///
    /// # Panics
    /// When `rows` does not hold whole rows.
    pub fn observe(&mut self, rows: &[f32]) {
        if rows.is_empty() {
            return;
        }
        assert_eq!(rows.len() % self.sums.len(), 0, "samples must be whole rows");
        for row in rows.chunks_exact(self.sums.len()) {
            self.sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += f64::from(*value));
            self.count += 1;
        }
    }

    /// Adds planes of `points` values a channel, one channel after the other and again from the first, over which a kernel
    /// moves to `outputs` places: at `inside[tap]` of them its tap lies on a value, else on padding, which is zero.
    ///
    /// The mean of its plane stands for the values that a tap meets.
    ///
    /// # Panics
    /// When `planes` does not hold whole planes of every channel, or the taps are not those of the weights.
    pub fn observe_planes(&mut self, planes: &[f32], points: usize, inside: &[u64], outputs: u64) {
        if planes.is_empty() {
            return;
        }
        assert_eq!(self.sums.len() % inside.len(), 0, "every channel has every tap");
        let channels = self.sums.len() / inside.len();
        assert_eq!(planes.len() % (channels * points), 0, "samples must be whole planes");
        for sample in planes.chunks_exact(channels * points) {
            for (plane, sums) in sample.chunks_exact(points).zip(self.sums.chunks_exact_mut(inside.len())) {
                let mean = plane.iter().copied().map(f64::from).sum::<f64>() / count(points as u64);
                sums.iter_mut().zip(inside).for_each(|(sum, inside)| *sum += mean * count(*inside));
            }
            self.count += outputs;
        }
    }

    /// The mean that each weight meets; nothing where no sample came.
    pub fn means(&self) -> Option<Vec<f64>> {
        (self.count > 0).then(|| self.sums.iter().map(|sum| sum / count(self.count)).collect())
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn count(number: u64) -> f64 {
    number as f64
}

/// Adds `Σ mean[k] · weight[k, n]` to `sums[n]`, for a weight that holds a row of all `n` for each mean.
///
/// Call it with one part of the rows after the other, starting from zeros.
///
/// # Panics
/// When the weight does not hold a row for each mean.
pub fn expected_of_columns(weight: &[f32], means: &[f64], sums: &mut [f64]) {
    assert_eq!(weight.len(), means.len() * sums.len(), "a row for each mean");
    for (row, mean) in weight.chunks_exact(sums.len().max(1)).zip(means) {
        for (sum, weight) in sums.iter_mut().zip(row) {
            *sum += mean * f64::from(*weight);
        }
    }
}

/// The expected value `Σ mean[k] · weight[k]` of an output whose weights lie side by side.
///
/// # Panics
/// When there is not a weight for each mean.
pub fn expected_of_row(weight: &[f32], means: &[f64]) -> f64 {
    assert_eq!(weight.len(), means.len(), "a weight for each mean");
    weight.iter().zip(means).map(|(weight, mean)| mean * f64::from(*weight)).sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_shift_is_that_of_the_outputs_means(
            rows in prop::collection::vec(prop::collection::vec(-4.0_f32..9.0, 3), 1..20),
            weights in prop::collection::vec((-1.0_f32..1.0, -0.1_f32..0.1), 6),
            cut in 0_usize..=3,
        ) {
            let weight: Vec<f32> = weights.iter().map(|(weight, _)| *weight).collect();
            let quantized: Vec<f32> = weights.iter().map(|(weight, error)| weight + error).collect();
            let mut inputs = InputMeans::new(3);
            for row in &rows {
                inputs.observe(row);
            }
            let means = inputs.means().unwrap();
            let mut shifts = [0.0; 2];
            for (weights, sign) in [(&quantized, 1.0), (&weight, -1.0)] {
                let mut sums = [0.0; 2];
                expected_of_columns(&weights[..2 * cut], &means[..cut], &mut sums);
                expected_of_columns(&weights[2 * cut..], &means[cut..], &mut sums);
                for (column, sum) in sums.iter().enumerate() {
                    let row: Vec<f32> = weights.iter().skip(column).step_by(2).copied().collect();
                    prop_assert!((expected_of_row(&row, &means) - sum).abs() < 1e-12);
                    shifts[column] += sign * sum;
                }
            }
            for (column, shift) in shifts.iter().enumerate() {
                let output = |weight: &[f32]| -> f64 {
                    let of = |row: &Vec<f32>| -> f64 {
                        (0..3).map(|k| f64::from(row[k]) * f64::from(weight[2 * k + column])).sum()
                    };
                    rows.iter().map(of).sum::<f64>() / rows.len() as f64
                };
                prop_assert!((output(&quantized) - output(&weight) - shift).abs() < 1e-9);
            }
        }
    }

    #[test]
    fn means_add_up_and_none_are_nothing() {
        let mut means = InputMeans::new(2);
        assert_eq!(means.means(), None);
        means.observe(&[]);
        means.observe(&[1.0, 2.0, 3.0, 6.0]);
        assert_eq!(means.means(), Some(vec![2.0, 4.0]));
        means.observe_planes(&[], 3, &[3], 3);
        // Two samples of two channels with three points each, which one tap meets all.
        let planes = [1.0, 2.0, 3.0, 7.0, 8.0, 9.0, 4.0, 5.0, 6.0, 1.0, 1.0, 1.0];
        means.observe_planes(&planes, 3, &[3], 3);
        assert_eq!(means.means(), Some(vec![25.0 / 8.0, 35.0 / 8.0]));
        expected_of_columns(&[], &[1.0], &mut []);
    }

    #[test]
    fn a_tap_on_padding_meets_zeros() {
        let mut means = InputMeans::new(2 * 3);
        // A kernel of three over two points with padding on both sides: two places, and its outer taps leave at one each.
        means.observe_planes(&[1.0, 3.0, -4.0, -6.0], 2, &[1, 2, 1], 2);
        assert_eq!(means.means(), Some(vec![1.0, 2.0, 1.0, -2.5, -5.0, -2.5]));
    }
}
