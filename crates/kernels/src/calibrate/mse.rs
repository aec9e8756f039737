//! The span of the least squared error.

use super::histogram::SIDE;
use super::{Histogram, Span};

/// Ends tried on each side, as parts of the farthest.
const PARTS: u8 = 64;
/// Times that both ends are searched in turn.
const ROUNDS: usize = 3;

impl Histogram {
    /// The span whose `levels` integers give the least mean squared error, rounding and clipping together.
    ///
    /// Searches either end in 64 parts of the range while the other stays, three times; a value counts as the middle
    /// of its bin. Never worse by that measure than [`min_max`](Self::min_max).
    pub fn least_squares(&self, levels: usize) -> Span {
        let all = self.min_max();
        let mut best = (self.squared_error(all, levels), all);
        for _ in 0..ROUNDS {
            let before = best.1;
            for part in (0..PARTS).map(|part| f32::from(part) / f32::from(PARTS)) {
                let span = Span::new(best.1.low(), all.high() * part);
                self.offer(&mut best, span, levels);
            }
            for part in (0..PARTS).map(|part| f32::from(part) / f32::from(PARTS)) {
                let span = Span::new(all.low() * part, best.1.high());
                self.offer(&mut best, span, levels);
            }
            if best.1 == before {
                break;
            }
        }
        best.1
    }

    fn offer(&self, best: &mut (f64, Span), span: Span, levels: usize) {
        let error = self.squared_error(span, levels);
        if error < best.0 {
            *best = (error, span);
        }
    }

    /// The sum of squared errors, in squares of bins.
    #[expect(clippy::cast_precision_loss, reason = "counts and indices stay far below 2^53")]
    fn squared_error(&self, span: Span, levels: usize) -> f64 {
        let (low, high) = (f64::from(span.low()) / self.width(), f64::from(span.high()) / self.width());
        let scale = (high - low) / (levels.max(2) - 1) as f64;
        // A span of nothing makes zeros of all.
        let per_step = if scale > 0.0 { 1.0 / scale } else { 0.0 };
        let (lowest, highest) = ((low * per_step).round(), (high * per_step).round());
        let bins = self.bins().iter().enumerate().filter(|(_, amount)| **amount > 0);
        bins.map(|(index, amount)| {
            let value = index as f64 - SIDE as f64 + 0.5;
            let step = (value * per_step).round_ties_even().clamp(lowest, highest);
            (value - step * scale).powi(2) * *amount as f64
        })
        .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: impl IntoIterator<Item = f32>) -> Histogram {
        let mut histogram = Histogram::default();
        histogram.observe(&values.into_iter().collect::<Vec<_>>()).unwrap();
        histogram
    }

    fn measured(values: &[f32], span: Span) -> f64 {
        let scale = f64::from(span.high() - span.low()) / 255.0;
        let error = |value: f32| {
            let clipped = f64::from(value.clamp(span.low(), span.high()));
            f64::from(value) - (clipped / scale).round_ties_even() * scale
        };
        values.iter().map(|value| error(*value).powi(2)).sum()
    }

    #[test]
    fn a_rare_outlier_is_clipped_and_the_error_falls() {
        let mut values: Vec<f32> =
            (0..200_000_u32).map(|index| (index.wrapping_mul(2_654_435_761) as f32 / 4e9).powi(3)).collect();
        values.push(6.0);
        let histogram = of(values.iter().copied());
        let span = histogram.least_squares(256);
        assert!(span.high() < 6.0, "{span:?}");
        assert!(measured(&values, span) < measured(&values, histogram.min_max()));
    }

    #[test]
    fn a_frequent_end_is_kept() {
        let histogram = of((0..1000).flat_map(|index| [f32::from(index as u16) / 1000.0, -7.0]));
        assert!(histogram.least_squares(256).low() < -6.8);
    }

    #[test]
    fn few_values_none_and_extremes_have_a_finite_span() {
        assert_eq!(Histogram::default().least_squares(256), Span::default());
        let span = of([f32::MAX, f32::MIN, 1.0]).least_squares(256);
        assert!(span.low().is_finite() && span.high().is_finite());
        let span = of([f32::from_bits(1), -f32::from_bits(1)]).least_squares(256);
        assert!(span.high() >= 0.0 && span.low() <= 0.0);
    }
}
