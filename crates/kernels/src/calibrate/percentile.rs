//! The span that leaves out a share of the values.

use super::histogram::SIDE;
use super::{Histogram, Span};

impl Histogram {
    /// The span that holds `share` of the values, `0..=1`: as many are left out at either end.
    ///
    /// Ends are edges of bins, outwards, so they lie within 1/1024 of the largest magnitude of the exact percentile,
    /// and never beyond [`min_max`](Self::min_max).
    pub fn percentile(&self, share: f64) -> Span {
        #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
        let outside = (1.0 - share.clamp(0.0, 1.0)) / 2.0 * self.count() as f64;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a part of a count")]
        let outside = outside.floor() as u64;
        let all = self.min_max();
        Span::new(self.rising(outside).max(all.low()), self.falling(outside).min(all.high()))
    }

    /// The lower edge of the bin in which the value after the `outside` smallest lies.
    fn rising(&self, outside: u64) -> f32 {
        let mut seen = 0;
        for (index, amount) in self.bins()[..SIDE].iter().enumerate() {
            seen += amount;
            if seen > outside {
                return self.edge(index);
            }
        }
        0.0
    }

    /// The upper edge of the bin in which the value before the `outside` largest lies.
    fn falling(&self, outside: u64) -> f32 {
        let mut seen = 0;
        for (index, amount) in self.bins().iter().enumerate().skip(SIDE).rev() {
            seen += amount;
            if seen > outside {
                return self.edge(index + 1);
            }
        }
        0.0
    }

    /// The lower edge of a bin; infinite only above every float.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        reason = "a whole multiple of a power of two"
    )]
    pub(super) fn edge(&self, index: usize) -> f32 {
        ((index as f64 - SIDE as f64) * self.width()) as f32
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn ends_lie_within_a_bin_of_the_exact_ones(
            values in prop::collection::vec(-8.0_f32..20.0, 1..400), share in 0.5_f64..=1.0,
        ) {
            let mut histogram = Histogram::default();
            histogram.observe(&values).unwrap();
            let mut sorted = values;
            sorted.sort_by(f32::total_cmp);
            let outside = ((1.0 - share) / 2.0 * sorted.len() as f64).floor() as usize;
            let exact = Span::new(sorted[outside], sorted[sorted.len() - 1 - outside]);
            let span = histogram.percentile(share);
            let width = histogram.width() as f32;
            prop_assert!(span.low() <= exact.low() && span.low() >= exact.low() - width);
            prop_assert!(span.high() >= exact.high() && span.high() <= exact.high() + width);
        }
    }

    #[test]
    fn an_outlier_is_left_out_and_everything_is_kept_at_one() {
        let mut values: Vec<f32> = (0..10_000).map(|index| f32::from(index as u16) / 10_000.0).collect();
        values.push(1e6);
        values.push(f32::MAX);
        let mut histogram = Histogram::default();
        histogram.observe(&values[..10_001]).unwrap();
        assert!(histogram.percentile(0.999).high() < 1000.0);
        histogram.observe(&values[10_001..]).unwrap();
        assert_eq!(histogram.percentile(1.0), Span::new(0.0, f32::MAX));
        assert_eq!(Histogram::default().percentile(0.9), Span::default());
    }
}
