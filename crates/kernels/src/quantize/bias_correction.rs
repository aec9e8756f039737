//! The shift that quantized weights put on a layer's outputs.
//!
//! Source: M. Nagel, M. van Baalen, T. Blankevoort, M. Welling, "Data-Free Quantization Through Weight Equalization and
//! Bias Correction" (2019): errors of a weight do not cancel where its input's mean is not zero.

/// The mean of each input channel of a layer, over samples as they come.
#[derive(Debug, Clone, PartialEq)]
pub struct InputMeans {
    sums: Vec<f64>,
    rows: u64,
}

impl InputMeans {
    /// The means of no samples, of `inputs` channels.
    pub fn new(inputs: usize) -> Self {
        Self { sums: vec![0.0; inputs], rows: 0 }
    }

    /// Adds rows of one value a channel; the same bits however they are cut into calls.
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
            self.rows += 1;
        }
    }

    /// Adds the samples of other means of as many channels.
    ///
    /// # Panics
    /// When the other has another number of channels.
    pub fn merge(&mut self, other: &Self) {
        assert_eq!(self.sums.len(), other.sums.len(), "means of the same channels");
        self.sums.iter_mut().zip(&other.sums).for_each(|(sum, value)| *sum += value);
        self.rows += other.rows;
    }

    /// The mean of each channel; nothing where no sample came.
    pub fn means(&self) -> Option<Vec<f64>> {
        #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
        let rows = self.rows as f64;
        (self.rows > 0).then(|| self.sums.iter().map(|sum| sum / rows).collect())
    }
}

/// Adds to `shifts[n]` what output `n` is expected to be off by: `Σ mean[k] · (quantized[k, n] - weight[k, n])`.
///
/// Both weights hold a row of `shifts.len()` values for each mean; call it with one part of the rows after the other,
/// starting from zeros. The bias, less the shift, restores the mean of each output.
///
/// # Panics
/// When a weight does not hold a row for each mean.
pub fn output_shift(weight: &[f32], quantized: &[f32], means: &[f64], shifts: &mut [f64]) {
    assert_eq!(weight.len(), means.len() * shifts.len(), "a row for each mean");
    assert_eq!(quantized.len(), weight.len(), "weights of one shape");
    let rows = weight.chunks_exact(shifts.len().max(1)).zip(quantized.chunks_exact(shifts.len().max(1)));
    for ((weight, quantized), mean) in rows.zip(means) {
        for ((shift, weight), quantized) in shifts.iter_mut().zip(weight).zip(quantized) {
            *shift += mean * (f64::from(*quantized) - f64::from(*weight));
        }
    }
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
            output_shift(&weight[..2 * cut], &quantized[..2 * cut], &means[..cut], &mut shifts);
            output_shift(&weight[2 * cut..], &quantized[2 * cut..], &means[cut..], &mut shifts);
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
        let mut other = InputMeans::new(2);
        other.observe(&[5.0, 4.0]);
        means.merge(&other);
        assert_eq!(means.means(), Some(vec![3.0, 4.0]));
        output_shift(&[], &[], &[1.0], &mut []);
    }
}
