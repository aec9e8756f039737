//! How much of an activation's range its weight can take over.
//!
//! Source: G. Xiao, J. Lin, M. Seznec, H. Wu, J. Demouth, S. Han, "`SmoothQuant`: Accurate and Efficient Post-Training
//! Quantization for Large Language Models" (2023): channel `k` of the activation is divided by `s[k]` and row `k` of the
//! weight multiplied by it, which changes nothing but the ranges.

/// Factors beyond these would trade one extreme range for another.
const LEAST: f64 = 1e-5;
const MOST: f64 = 1e5;

/// A channel whose range is NaN, infinite or negative.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BadRange {
    /// Which input channel.
    pub channel: usize,
    /// The largest magnitude of its activations.
    pub activation: f32,
    /// The largest magnitude of its weights.
    pub weight: f32,
}

impl std::fmt::Display for BadRange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { channel, activation, weight } = self;
        write!(
            f,
            "channel {channel} has activations up to {activation} and weights up to {weight}: correct the sample or \
             the model, these have no ratio"
        )
    }
}

impl std::error::Error for BadRange {}

/// Writes `s = activation^alpha / weight^(1 - alpha)` for each input channel, from largest magnitudes.
///
/// `alpha`, `0..=1`, is the share of the difficulty that moves to the weight, 0.5 in the paper. A channel whose
/// activations or weights are all zero keeps 1, since there is nothing to move. Computed in double precision and then
/// rounded, so that platforms whose powers differ in the last bit agree.
///
/// # Errors
/// [`BadRange`] for the first channel that is not finite or is negative.
///
/// # Panics
/// When the slices differ in length or `alpha` lies outside `0..=1`.
pub fn smooth_scales(
    activations: &[f32],
    weights: &[f32],
    alpha: f64,
    out: &mut [f32],
) -> Result<(), BadRange> {
    assert!(activations.len() == weights.len() && weights.len() == out.len(), "one factor a channel");
    assert!((0.0..=1.0).contains(&alpha), "alpha is a share");
    for (channel, ((activation, weight), out)) in activations.iter().zip(weights).zip(out).enumerate() {
        let is_range = |value: f32| value.is_finite() && value >= 0.0;
        if !is_range(*activation) || !is_range(*weight) {
            return Err(BadRange { channel, activation: *activation, weight: *weight });
        }
        *out = scale(f64::from(*activation), f64::from(*weight), alpha);
    }
    Ok(())
}

#[expect(clippy::cast_possible_truncation, reason = "a factor is single precision, as what it multiplies")]
fn scale(activation: f64, weight: f64, alpha: f64) -> f32 {
    if activation == 0.0 || weight == 0.0 {
        return 1.0;
    }
    (activation.powf(alpha) / weight.powf(1.0 - alpha)).clamp(LEAST, MOST) as f32
}

/// Multiplies each row of a weight `[K, N]` by the factor of its channel; one part of the rows after the other.
///
/// # Panics
/// When `values` does not hold a row for each factor.
pub fn scale_rows(values: &mut [f32], factors: &[f32]) {
    if factors.is_empty() {
        assert!(values.is_empty(), "a row for each factor");
        return;
    }
    assert_eq!(values.len() % factors.len(), 0, "a row for each factor");
    let columns = values.len() / factors.len();
    for (row, factor) in values.chunks_exact_mut(columns.max(1)).zip(factors) {
        for value in row {
            *value *= factor;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn half_makes_both_ranges_equal(ranges in prop::collection::vec((1e-3_f32..1e3, 1e-3_f32..1e3), 1..30)) {
            let (activations, weights): (Vec<f32>, Vec<f32>) = ranges.into_iter().unzip();
            let mut factors = vec![0.0; weights.len()];
            smooth_scales(&activations, &weights, 0.5, &mut factors).unwrap();
            for ((activation, weight), factor) in activations.iter().zip(&weights).zip(&factors) {
                prop_assert!((activation / factor / (weight * factor) - 1.0).abs() < 1e-5);
            }
        }

        #[test]
        fn any_ranges_give_usable_factors(
            activation in 0.0_f32..f32::MAX, weight in 0.0_f32..f32::MAX, alpha in 0.0_f64..=1.0,
        ) {
            let mut factors = [0.0];
            smooth_scales(&[activation], &[weight], alpha, &mut factors).unwrap();
            prop_assert!(factors[0].is_normal() && factors[0] > 0.0);
        }
    }

    #[test]
    fn the_ends_move_all_or_flatten_the_weight() {
        let mut factors = [0.0; 2];
        smooth_scales(&[4.0, 8.0], &[0.5, 2.0], 1.0, &mut factors).unwrap();
        assert_eq!(factors, [4.0, 8.0]);
        smooth_scales(&[4.0, 8.0], &[0.5, 2.0], 0.0, &mut factors).unwrap();
        assert_eq!(factors, [2.0, 0.5]);
        let mut weight = [1.0, 2.0, 3.0, 4.0];
        scale_rows(&mut weight, &factors);
        assert_eq!(weight, [2.0, 4.0, 1.5, 2.0]);
    }

    #[test]
    fn channels_of_zeros_stay_and_what_is_no_range_is_an_error() {
        let mut factors = [0.0; 3];
        smooth_scales(&[0.0, 3.0, 0.0], &[2.0, 0.0, 0.0], 0.5, &mut factors).unwrap();
        assert_eq!(factors, [1.0; 3]);
        for bad in [f32::NAN, f32::INFINITY, -1.0] {
            let error = smooth_scales(&[1.0, bad], &[1.0, 1.0], 0.5, &mut factors[..2]).unwrap_err();
            assert_eq!(error.channel, 1);
            assert!(smooth_scales(&[1.0, 1.0], &[bad, 1.0], 0.5, &mut factors[..2]).is_err());
        }
        scale_rows(&mut [], &[]);
        scale_rows(&mut [], &[1.0]);
    }
}
