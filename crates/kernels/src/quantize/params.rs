//! Scales and zero points from ranges.

use super::Scheme;

/// The scale that maps `abs_max` to the end of a symmetric scheme.
///
/// At least the smallest normal float, so that dividing by it neither overflows the scheme nor
/// loses bits; 1.0 for a tensor of zeros. `abs_max` is finite and not negative.
#[expect(clippy::cast_precision_loss, reason = "within ±255")]
pub fn symmetric_scale(abs_max: f32, scheme: Scheme) -> f32 {
    debug_assert!(abs_max.is_finite() && abs_max >= 0.0, "the range must be checked first");
    if abs_max == 0.0 {
        return 1.0;
    }
    (abs_max / (scheme.highest - scheme.zero_point) as f32).max(f32::MIN_POSITIVE)
}

/// Scale and scheme of asymmetric `uint8` for values between `low` and `high`.
///
/// The arithmetic of ONNX `DynamicQuantizeLinear` (opset 11): the range is widened to hold zero,
/// and the zero point is an integer, so zero is exact. Both ends are finite.
#[expect(clippy::cast_possible_truncation, reason = "clamped to 0 … 255 before")]
pub fn asymmetric(low: f32, high: f32) -> (f32, Scheme) {
    let (low, high) = (low.min(0.0), high.max(0.0));
    // Divided first: the difference of two finite floats may be infinite.
    let range = high / 255.0 - low / 255.0;
    let scale = if range == 0.0 { 1.0 } else { range.max(f32::MIN_POSITIVE) };
    let zero_point = (-low / scale).clamp(0.0, 255.0).round_ties_even() as i32;
    (scale, Scheme { zero_point, lowest: 0, highest: 255 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extremes_give_usable_scales() {
        for abs_max in [f32::MAX, 1.0, f32::MIN_POSITIVE, f32::from_bits(1)] {
            let scale = symmetric_scale(abs_max, Scheme::INT8_REDUCED);
            assert!(scale.is_normal(), "{abs_max}");
            assert!(abs_max / scale <= 64.5);
        }
        assert_eq!(symmetric_scale(0.0, Scheme::INT8), 1.0);
    }

    #[test]
    fn asymmetric_ranges_always_hold_zero() {
        assert_eq!(asymmetric(2.0, 5.1), (0.02, Scheme { zero_point: 0, lowest: 0, highest: 255 }));
        assert_eq!(asymmetric(-5.1, -2.0).1.zero_point, 255);
        assert_eq!(asymmetric(0.0, 0.0).0, 1.0);
        let (scale, scheme) = asymmetric(f32::MIN, f32::MAX);
        assert!(scale.is_finite());
        assert_eq!(scheme.zero_point, 128);
    }
}
