//! Quantization of a slice with one scale.

use super::lanes::{LANES, ROUNDER, clamp};
use super::quality::{BLOCK, OUTSIDE, Sums};
use super::{Quality, Scheme};
use crate::wide::wide;

/// Quantizes `values` with one scale into bytes and says how well it went.
///
/// `scale` is a positive normal float. Infinite values saturate; NaN becomes the lowest integer
/// (find it first, with [`abs_max`](super::abs_max)). The error of a value inside the range is at
/// most `scale / 2`, give or take one rounding of the quotient.
///
/// # Panics
/// When the slices differ in length.
pub fn quantize(values: &[f32], scale: f32, scheme: Scheme, out: &mut [u8]) -> Quality {
    assert_eq!(values.len(), out.len(), "one byte a value");
    let mut quality = Quality::default();
    for (values, out) in values.chunks(BLOCK).zip(out.chunks_mut(BLOCK)) {
        quality.merge(block(values, scale, scheme, out));
    }
    quality
}

wide! {
    fn block(values: &[f32], scale: f32, scheme: Scheme, out: &mut [u8]) -> Quality {
        let mut sums = Sums::default();
        let (values, value_tail) = values.as_chunks::<LANES>();
        let (outs, out_tail) = out.as_chunks_mut::<LANES>();
        for (values, out) in values.iter().zip(outs) {
            for lane in 0..LANES {
                out[lane] = one(values[lane], scale, scheme, lane, &mut sums);
            }
        }
        for (lane, (value, out)) in value_tail.iter().zip(out_tail).enumerate() {
            *out = one(*value, scale, scheme, lane, &mut sums);
        }
        sums.quality()
    }
}

/// One value of the fast path: clamp, then let an addition round.
#[inline(always)]
#[expect(clippy::inline_always, reason = "the loops vectorise only when this is part of them")]
#[expect(clippy::cast_possible_truncation, reason = "the low byte is the integer")]
pub(super) fn one(value: f32, scale: f32, scheme: Scheme, lane: usize, sums: &mut Sums) -> u8 {
    let (low, high) = scheme.steps();
    let quotient = value / scale;
    let rounded = clamp(quotient, low, high) + ROUNDER;
    let step = rounded - ROUNDER;
    sums.add(lane, value, scale, step, (quotient - step).abs() > OUTSIDE);
    (rounded.to_bits() as u8).wrapping_add(scheme.zero_byte())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::quantize::testing::{any_floats, finite_floats, reference, schemes};
    use crate::quantize::{abs_max, dequantize, symmetric_scale};
    use crate::wide::testing::both;

    proptest! {
        #[test]
        fn equals_the_reference_on_anything(values in any_floats(2100), scale in 1e-30_f32..1e30, scheme in schemes()) {
            let mut out = vec![0; values.len()];
            quantize(&values, scale, scheme, &mut out);
            let wanted: Vec<u8> = values.iter().map(|value| reference(*value, scale, scheme)).collect();
            prop_assert_eq!(out, wanted);
        }

        #[test]
        fn the_error_is_half_a_step_at_most(values in finite_floats(300), scheme in schemes()) {
            let scale = symmetric_scale(abs_max(&values), scheme);
            let mut out = vec![0; values.len()];
            let quality = quantize(&values, scale, scheme, &mut out);
            prop_assert!(quality.max_error <= scale * 0.500_01, "{} of {}", quality.max_error, scale);
            prop_assert_eq!(quality.saturated, 0);
            let mut back = vec![0.0; values.len()];
            dequantize(&out, scale, scheme, &mut back);
            let worst = values.iter().zip(&back).map(|(value, back)| (value - back).abs()).fold(0.0, f32::max);
            prop_assert_eq!(worst, quality.max_error);
        }

        #[test]
        fn quantizing_twice_changes_nothing(values in finite_floats(100), scheme in schemes()) {
            let scale = symmetric_scale(abs_max(&values), scheme);
            let mut once = vec![0; values.len()];
            quantize(&values, scale, scheme, &mut once);
            let mut back = vec![0.0; values.len()];
            dequantize(&once, scale, scheme, &mut back);
            let mut twice = vec![0; values.len()];
            quantize(&back, scale, scheme, &mut twice);
            prop_assert_eq!(once, twice);
        }

        #[test]
        fn sums_equal_double_precision(values in prop::collection::vec(-10.0_f32..10.0, 1..3000)) {
            let mut out = vec![0; values.len()];
            let quality = quantize(&values, 0.1, Scheme::INT8, &mut out);
            let wanted: f64 = values.iter().map(|value| f64::from(*value).powi(2)).sum();
            prop_assert!((quality.squared_value - wanted).abs() <= wanted * 1e-5 + 1e-12);
        }
    }

    proptest! {
        #[test]
        fn instruction_sets_agree_bit_for_bit(values in finite_floats(2100), scale in 1e-10_f32..1e30, scheme in schemes()) {
            let (portable, widest) = both(|| {
                let mut out = vec![0; values.len()];
                let quality = quantize(&values, scale, scheme, &mut out);
                (out, quality.max_error.to_bits(), quality.squared_error.to_bits(), quality.saturated)
            });
            prop_assert_eq!(portable, widest);
        }
    }

    #[test]
    fn every_length_has_a_right_tail() {
        for length in 0..70_u8 {
            let values: Vec<f32> = (0..length).map(|index| f32::from(index) - 35.0).collect();
            let mut out = vec![0; values.len()];
            quantize(&values, 1.0, Scheme::INT8, &mut out);
            let wanted: Vec<u8> = values.iter().map(|value| reference(*value, 1.0, Scheme::INT8)).collect();
            assert_eq!(out, wanted);
        }
    }

    #[test]
    fn halves_round_to_even_and_zero_is_exact() {
        let mut out = [0; 6];
        quantize(&[0.5, 1.5, 2.5, -0.5, -1.5, -0.0], 1.0, Scheme::UINT8, &mut out);
        assert_eq!(out, [128, 130, 130, 128, 126, 128]);
    }

    #[test]
    fn what_lies_outside_is_counted() {
        let mut out = [0; 4];
        let quality = quantize(&[64.4, 66.0, -1e30, f32::INFINITY], 1.0, Scheme::INT8_REDUCED, &mut out);
        assert_eq!(out.map(u8::cast_signed), [64, 64, -64, 64]);
        assert_eq!(quality.saturated, 3);
    }
}
