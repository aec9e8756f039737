//! The range of one block.

use super::lanes::RangeLanes;
use crate::wide::wide;

/// The smallest and the largest of some values, in the order they came.
///
/// Where all values are zeros, the first of them is kept, whose sign shows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Range {
    pub(super) low: f32,
    pub(super) high: f32,
}

impl Range {
    pub(super) const EMPTY: Self = Self { low: f32::INFINITY, high: f32::NEG_INFINITY };

    /// The range of a slice; `None` where it holds NaN.
    pub(super) fn of(values: &[f32]) -> Option<Self> {
        scan(values)
    }
}

/// A range that also holds `value`, unless that is NaN.
#[inline(always)]
#[expect(clippy::inline_always, reason = "the loops vectorise only when this is part of them")]
pub(super) fn widen(value: f32, low: f32, high: f32) -> (f32, f32) {
    let lower = if value < low { value } else { low };
    let higher = if value > high { value } else { high };
    (lower, higher)
}

wide! {
    fn scan(values: &[f32]) -> Option<Range> {
        let (chunks, tail) = values.as_chunks();
        let Range { mut low, mut high } = chunks.iter().fold(RangeLanes::EMPTY, RangeLanes::widen).fold();
        for value in tail {
            (low, high) = widen(*value, low, high);
        }
        let nan = values.iter().fold(false, |nan, value| nan | value.is_nan());
        (!nan).then_some(Range { low, high })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::quantize::blocks::grid::farthest;
    use crate::quantize::testing::any_floats;

    fn reference(values: &[f32]) -> Option<Range> {
        let add = |Range { low, high }, value: &f32| {
            let (low, high) = widen(*value, low, high);
            (!value.is_nan()).then_some(Range { low, high })
        };
        values.iter().try_fold(Range::EMPTY, add)
    }

    proptest! {
        #[test]
        fn equals_the_reference_on_anything(values in any_floats(70)) {
            prop_assert_eq!(Range::of(&values), reference(&values));
        }

        #[test]
        fn the_first_zero_decides_the_sign(negative in prop::collection::vec(any::<bool>(), 1..40)) {
            let values: Vec<f32> = negative.iter().map(|negative| if *negative { -0.0 } else { 0.0 }).collect();
            let sign = |range: Option<Range>| range.map(|range| farthest(range.low, range.high).to_bits());
            prop_assert_eq!(sign(Range::of(&values)), sign(reference(&values)));
        }
    }
}
