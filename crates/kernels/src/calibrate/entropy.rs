//! The span that loses least information.
//!
//! Source: S. Migacz, "8-bit Inference with `TensorRT`" (GTC 2017): of many thresholds, take that whose quantized
//! distribution diverges least (Kullback and Leibler) from the distribution clipped at it. Unlike ONNX Runtime's
//! calibrator, which by default tries the full range alone, every eighth bin is tried.

use super::histogram::SIDE;
use super::{Histogram, Span};

/// Bins between two thresholds.
const STRIDE: usize = 8;

/// The largest share of the values that a threshold may clip. A distribution that is clipped to a single bin does not
/// diverge from itself at all, though nothing is left of it: so it is where values lie away from zero.
const MOST_CLIPPED: f64 = 0.05;

impl Histogram {
    /// The span of the magnitude at which `levels` integers lose least information, cut to the range of the values.
    ///
    /// Values of both signs share the integers; of one sign alone they have all. Zeros do not count, since they are
    /// exact at any scale. The result does not depend on how values came, but on the logarithm of the platform, whose
    /// last bit may decide between two thresholds that are equally good.
    pub fn entropy(&self, levels: usize) -> Span {
        let all = self.min_max();
        let both = all.low() < 0.0 && all.high() > 0.0;
        let levels = if both { levels / 2 } else { levels }.max(1);
        let magnitudes = self.magnitudes();
        let used = magnitudes.iter().rposition(|amount| *amount > 0.0).map_or(0, |last| last + 1);
        let mut best = (f64::INFINITY, used);
        // From the full range down, so that of equals the widest is kept.
        for bins in (levels.min(used)..=used).rev().step_by(STRIDE) {
            let divergence = divergence(&magnitudes, bins, levels);
            if divergence < best.0 {
                best = (divergence, bins);
            }
        }
        let threshold = self.edge(SIDE + best.1);
        Span::new(all.low().max(-threshold), all.high().min(threshold))
    }

    /// Counts of bins of magnitude, both signs together.
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
    fn magnitudes(&self) -> Vec<f64> {
        let (negative, positive) = self.bins().split_at(SIDE);
        negative.iter().rev().zip(positive).map(|(negative, positive)| (negative + positive) as f64).collect()
    }
}

/// The divergence of the distribution of the first `bins`, all beyond being moved to the last of them that is filled,
/// from itself in `levels` steps; infinite where none is filled or too much is moved.
fn divergence(magnitudes: &[f64], bins: usize, levels: usize) -> f64 {
    let (inside, outside) = magnitudes.split_at(bins);
    let Some(last) = inside.iter().rposition(|amount| *amount > 0.0) else { return f64::INFINITY };
    let (kept, clipped) = (inside.iter().sum::<f64>(), outside.iter().sum::<f64>());
    if clipped > MOST_CLIPPED * (kept + clipped) {
        return f64::INFINITY;
    }
    let levels = levels.min(bins);
    let mut divergence = 0.0;
    for level in 0..levels {
        let (start, end) = (level * bins / levels, (level + 1) * bins / levels);
        // A step spreads its amount evenly over those of its bins that had any.
        let filled = inside[start..end].iter().filter(|amount| **amount > 0.0);
        let (sum, count) = filled.fold((0.0, 0.0), |(sum, count), amount| (sum + amount, count + 1.0));
        let each = sum / count / kept;
        for (amount, bin) in inside[start..end].iter().zip(start..) {
            let amount = if bin == last { amount + clipped } else { *amount };
            if amount > 0.0 {
                let share = amount / (kept + clipped);
                divergence += share * (share / each).ln();
            }
        }
    }
    divergence
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values that are roughly normal, of standard deviation 1.
    fn normal(count: u32) -> Vec<f32> {
        let mut state = 1_u64;
        let mut uniform = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f64 / f64::from(1 << 24)
        };
        (0..count).map(|_| ((0..12).map(|_| uniform()).sum::<f64>() - 6.0) as f32).collect()
    }

    #[test]
    fn an_outlier_does_not_set_the_range() {
        let mut values = normal(100_000);
        values.push(40.0);
        let mut histogram = Histogram::default();
        histogram.observe(&values).unwrap();
        let span = histogram.entropy(256);
        assert!(span.high() < 10.0 && span.high() > 2.0, "{span:?}");
        assert_eq!(histogram.min_max().high(), 40.0);
    }

    #[test]
    fn values_that_fill_their_range_keep_it() {
        let mut histogram = Histogram::default();
        let values: Vec<f32> = (0..=u16::MAX).map(|index| f32::from(index) / 65_535.0).collect();
        histogram.observe(&values).unwrap();
        assert!(histogram.entropy(256).high() > 0.98);
    }

    #[test]
    fn values_away_from_zero_are_not_clipped_to_the_few_nearest_it() {
        let mut histogram = Histogram::default();
        let values: Vec<f32> = normal(10_000).iter().map(|value| 2.0 + value / 4.0).collect();
        histogram.observe(&values).unwrap();
        let most = histogram.percentile(0.95).high();
        let span = histogram.entropy(256);
        assert!(span.high() >= most, "{span:?} cuts below {most}");
    }

    #[test]
    fn signs_share_the_threshold_and_ends_stay_inside_the_values() {
        let mut histogram = Histogram::default();
        histogram.observe(&normal(50_000)).unwrap();
        histogram.observe(&[-30.0]).unwrap();
        let (span, all) = (histogram.entropy(256), histogram.min_max());
        assert!(span.low() > -10.0 && span.low() < -2.0, "{span:?}");
        assert!(span.high() <= all.high());
    }

    #[test]
    fn few_values_and_none_have_their_own_range() {
        assert_eq!(Histogram::default().entropy(256), Span::default());
        let mut histogram = Histogram::default();
        histogram.observe(&[3.0]).unwrap();
        assert_eq!(histogram.entropy(256), Span::new(0.0, 3.0));
        histogram.observe(&[f32::MAX, f32::MIN]).unwrap();
        let span = histogram.entropy(256);
        assert!(span.high().is_finite() && span.low().is_finite());
    }
}
