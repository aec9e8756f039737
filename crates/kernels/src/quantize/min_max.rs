//! The smallest and the largest value of a slice.

use super::abs_max::abs_max;

const LANES: usize = 16;

/// The smallest and the largest value; both NaN when any value is NaN. Empty: `None`.
pub fn min_max(values: &[f32]) -> Option<(f32, f32)> {
    let first = *values.first()?;
    let mut low = [first; LANES];
    let mut high = [first; LANES];
    let chunks = values.chunks_exact(LANES);
    let tail = chunks.remainder();
    for chunk in chunks {
        for lane in 0..LANES {
            low[lane] = if chunk[lane] < low[lane] { chunk[lane] } else { low[lane] };
            high[lane] = if chunk[lane] > high[lane] { chunk[lane] } else { high[lane] };
        }
    }
    if abs_max(values).is_nan() {
        return Some((f32::NAN, f32::NAN));
    }
    let low = low.iter().chain(tail).copied().fold(first, f32::min);
    let high = high.iter().chain(tail).copied().fold(first, f32::max);
    Some((low, high))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::quantize::testing::any_floats;

    fn reference(values: &[f32]) -> Option<(f32, f32)> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f32::total_cmp);
        let any_nan = values.iter().any(|value| value.is_nan());
        let ends = (*sorted.first()?, *sorted.last()?);
        Some(if any_nan { (f32::NAN, f32::NAN) } else { ends })
    }

    proptest! {
        #[test]
        fn equals_the_reference_on_anything(values in any_floats(70)) {
            match (min_max(&values), reference(&values)) {
                (Some((low, high)), Some((wanted_low, wanted_high))) => {
                    prop_assert!(low == wanted_low || low.is_nan() && wanted_low.is_nan());
                    prop_assert!(high == wanted_high || high.is_nan() && wanted_high.is_nan());
                }
                (found, wanted) => prop_assert_eq!(found, wanted),
            }
        }
    }
}
