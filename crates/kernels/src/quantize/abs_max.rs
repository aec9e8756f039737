//! The largest magnitude of a slice, or of each column of a matrix.

use crate::wide::wide;

const SIGN: u32 = 0x8000_0000;

/// The larger of two magnitudes, by their bits: NaN above infinity above every number.
#[inline(always)]
#[expect(clippy::inline_always, reason = "the loops vectorise only when this is part of them")]
#[expect(clippy::cast_possible_wrap, reason = "the sign bit is cleared, so signed order is the order")]
fn larger(magnitude: u32, value: f32) -> u32 {
    let other = value.to_bits() & !SIGN;
    if other as i32 > magnitude as i32 { other } else { magnitude }
}

/// The largest magnitude; NaN when any value is NaN, else infinite when any value is.
///
/// One scan finds the range and everything that is not a number. Empty: 0.
pub fn abs_max(values: &[f32]) -> f32 {
    const LANES: usize = 32;
    let mut lanes = [0_u32; LANES];
    let chunks = values.chunks_exact(LANES);
    let tail = chunks.remainder();
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane = larger(*lane, *value);
        }
    }
    let lanes = lanes.into_iter().map(f32::from_bits);
    f32::from_bits(lanes.chain(tail.iter().copied()).fold(0, larger))
}

wide! {
    /// Raises `maxima[c]` to the largest magnitude of column `c` of a row-major matrix.
    ///
    /// The matrix has `maxima.len()` columns; call it with one part of the rows after the other,
    /// starting from zeros. NaN and infinity stick, as in [`abs_max`].
    ///
    /// # Panics
    /// When `values` does not hold whole rows.
    pub fn abs_max_columns(values: &[f32], maxima: &mut [f32]) {
        if values.is_empty() {
            return;
        }
        assert_eq!(values.len() % maxima.len(), 0, "values must be whole rows");
        for row in values.chunks_exact(maxima.len()) {
            for (maximum, value) in maxima.iter_mut().zip(row) {
                *maximum = f32::from_bits(larger(maximum.to_bits(), *value));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::quantize::testing::{any_floats, finite_floats};

    fn reference(values: &[f32]) -> f32 {
        if values.iter().any(|value| value.is_nan()) {
            return f32::NAN;
        }
        values.iter().fold(0.0, |maximum, value| value.abs().max(maximum))
    }

    fn same(left: f32, right: f32) -> bool {
        left == right || (left.is_nan() && right.is_nan())
    }

    proptest! {
        #[test]
        fn equals_the_reference_on_anything(values in any_floats(100)) {
            prop_assert!(same(abs_max(&values), reference(&values)));
        }

        #[test]
        fn columns_equal_one_scan_a_column(values in finite_floats(90), columns in 1_usize..9, cut in 0_usize..10) {
            let rows = values.len() / columns;
            let values = &values[..rows * columns];
            let mut maxima = vec![0.0; columns];
            let (first, second) = values.split_at(cut.min(rows) * columns);
            abs_max_columns(first, &mut maxima);
            abs_max_columns(second, &mut maxima);
            for (column, maximum) in maxima.iter().enumerate() {
                let of_column: Vec<f32> = values.iter().skip(column).step_by(columns).copied().collect();
                prop_assert_eq!(*maximum, reference(&of_column));
            }
        }
    }

    #[test]
    fn nan_and_infinity_are_seen_wherever_they_are() {
        for length in [1, 7, 32, 33, 100] {
            for place in 0..length {
                let mut values = vec![1.0; length];
                values[place] = f32::NEG_INFINITY;
                assert_eq!(abs_max(&values), f32::INFINITY);
                values[place] = -f32::NAN;
                values[length - 1 - place] =
                    if length - 1 - place == place { f32::NAN } else { f32::INFINITY };
                assert!(abs_max(&values).is_nan());
            }
        }
    }

    #[test]
    fn nothing_has_magnitude_zero() {
        assert_eq!(abs_max(&[]), 0.0);
        assert_eq!(abs_max(&[-0.0]).to_bits(), 0);
        abs_max_columns(&[], &mut []);
    }
}
