//! The range of one block.

use super::grid::farthest;
use super::lanes::RangeLanes;
use crate::wide::wide;

/// The smallest and the largest of some values, in the order they came.
///
/// Where all values are zeros, the first of them is kept, whose sign shows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Range {
    pub(super) low: f32,
    pub(super) high: f32,
    /// Not 0 where a value was NaN.
    pub(super) nan: u32,
}

impl Range {
    pub(super) const EMPTY: Self = Self { low: f32::INFINITY, high: f32::NEG_INFINITY, nan: 0 };

    fn add(&mut self, value: f32) {
        (self.low, self.high, self.nan) = widen(value, self.low, self.high, self.nan);
    }

    pub(super) fn has_nan(self) -> bool {
        self.nan != 0
    }

    /// The value of largest magnitude with its sign; the lower one of two equal magnitudes.
    pub(super) fn farthest(self) -> f32 {
        farthest(self.low, self.high)
    }

    /// The range of a slice.
    pub(super) fn of(values: &[f32]) -> Self {
        scan(values)
    }
}

/// A range that also holds `value`.
#[inline(always)]
#[expect(clippy::inline_always, reason = "the loops vectorise only when this is part of them")]
pub(super) fn widen(value: f32, low: f32, high: f32, nan: u32) -> (f32, f32, u32) {
    let lower = if value < low { value } else { low };
    let higher = if value > high { value } else { high };
    (lower, higher, nan.wrapping_add(u32::from(value.is_nan())))
}

wide! {
    fn scan(values: &[f32]) -> Range {
        let (chunks, tail) = values.as_chunks();
        let mut range = chunks.iter().fold(RangeLanes::EMPTY, RangeLanes::widen).fold();
        for value in tail {
            range.add(*value);
        }
        range
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::quantize::testing::any_floats;

    fn reference(values: &[f32]) -> Range {
        values.iter().fold(Range::EMPTY, |mut range, value| {
            range.add(*value);
            range
        })
    }

    proptest! {
        #[test]
        fn equals_the_reference_on_anything(values in any_floats(70)) {
            let (found, wanted) = (Range::of(&values), reference(&values));
            prop_assert_eq!(found.nan != 0, wanted.nan != 0);
            if found.nan == 0 {
                prop_assert_eq!(found.low, wanted.low);
                prop_assert_eq!(found.high, wanted.high);
            }
        }

        #[test]
        fn the_first_zero_decides_the_sign(negative in prop::collection::vec(any::<bool>(), 1..40)) {
            let values: Vec<f32> = negative.iter().map(|negative| if *negative { -0.0 } else { 0.0 }).collect();
            prop_assert_eq!(Range::of(&values).farthest().to_bits(), reference(&values).farthest().to_bits());
        }
    }
}
