//! How often values of each magnitude occurred.

use super::Span;

/// Bins on each side of zero; the largest magnitude lies in the outer half of them.
pub(super) const SIDE: usize = 2048;
const SIDE_BITS: i32 = 11;

/// A histogram of floats whose bins are a power of two wide and grow with the range.
///
/// When a value lies beyond the bins, each two of them become one, which is exact: what lies in `[i·w, (i+1)·w)` lies in
/// `[⌊i/2⌋·2w, (⌊i/2⌋+1)·2w)`. So a bin is always between 1/1024 and 1/2048 of the largest magnitude, and the state is
/// that of a histogram that had known the range from the start. Zeros are counted apart, since they cost no precision
/// at any scale, as are the exact ends of the range.
#[derive(Debug, Clone, PartialEq)]
pub struct Histogram {
    /// Bins of `[-SIDE·w, SIDE·w)` for the width `w = 2^exponent`.
    bins: Box<[u64]>,
    exponent: i32,
    zeros: u64,
    count: u64,
    low: f32,
    high: f32,
}

/// A value that no range holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NotFinite {
    /// Its place in the slice.
    pub index: usize,
    /// NaN or an infinity.
    pub value: f32,
}

impl std::fmt::Display for NotFinite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { index, value } = self;
        write!(f, "the activation is {value} at {index}: correct the sample or the model, no range holds it")
    }
}

impl std::error::Error for NotFinite {}

impl Default for Histogram {
    fn default() -> Self {
        let bins = vec![0; 2 * SIDE].into_boxed_slice();
        Self { bins, exponent: LEAST_EXPONENT, zeros: 0, count: 0, low: 0.0, high: 0.0 }
    }
}

/// The width that holds the smallest float apart from zero.
const LEAST_EXPONENT: i32 = -149;

impl Histogram {
    /// Counts values.
    ///
    /// # Errors
    /// [`NotFinite`] for the first NaN or infinity; nothing is counted then.
    pub fn observe(&mut self, values: &[f32]) -> Result<(), NotFinite> {
        if let Some(index) = values.iter().position(|value| !value.is_finite()) {
            return Err(NotFinite { index, value: values[index] });
        }
        let (mut low, mut high) = (self.low, self.high);
        for value in values {
            low = if *value < low { *value } else { low };
            high = if *value > high { *value } else { high };
        }
        self.widen(low, high);
        let per_bin = power_of_two(-self.exponent);
        for value in values {
            if *value == 0.0 {
                self.zeros += 1;
            } else {
                self.bins[bin(*value, per_bin)] += 1;
            }
        }
        self.count += values.len() as u64;
        Ok(())
    }

    /// Adds what another histogram counted.
    pub fn merge(&mut self, other: &Self) {
        let Self { bins, exponent, zeros, count, low, high } = other;
        self.widen(self.low.min(*low), self.high.max(*high));
        let shift = self.exponent.abs_diff(*exponent);
        for (index, amount) in bins.iter().enumerate() {
            self.bins[halved(index, shift)] += amount;
        }
        self.zeros += zeros;
        self.count += count;
    }

    /// How many values were counted.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The smallest span that holds every value.
    pub fn min_max(&self) -> Span {
        Span::new(self.low, self.high)
    }

    /// Raises the range, and the width of the bins until they hold it.
    fn widen(&mut self, low: f32, high: f32) {
        (self.low, self.high) = (low, high);
        let exponent = width_exponent(high.max(-low));
        let Ok(shift @ 1..) = u32::try_from(exponent - self.exponent) else { return };
        let narrow = std::mem::replace(&mut self.bins, vec![0; 2 * SIDE].into_boxed_slice());
        for (index, amount) in narrow.iter().enumerate() {
            self.bins[halved(index, shift)] += amount;
        }
        self.exponent = exponent;
    }

    pub(super) fn bins(&self) -> &[u64] {
        &self.bins
    }

    /// The width of a bin.
    pub(super) fn width(&self) -> f64 {
        power_of_two(self.exponent)
    }
}

/// The exponent of the smallest bins that hold a magnitude.
fn width_exponent(magnitude: f32) -> i32 {
    let mut exponent = LEAST_EXPONENT;
    if magnitude > 0.0 {
        // The bits of a double hold the exponent of every float, subnormal or not.
        let bits = f64::from(magnitude).to_bits() >> 52;
        let above = i32::try_from(bits).expect("eleven bits of an exponent") - 1022;
        exponent = exponent.max(above - SIDE_BITS);
    }
    exponent
}

fn power_of_two(exponent: i32) -> f64 {
    let bits = u64::try_from(1023 + exponent).expect("exponents of floats are normal in doubles");
    f64::from_bits(bits << 52)
}

/// The bin of a value that the bins hold.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "within the bins, which the range checked"
)]
#[expect(clippy::cast_precision_loss, reason = "2048")]
fn bin(value: f32, per_bin: f64) -> usize {
    ((f64::from(value) * per_bin).floor() + SIDE as f64) as usize
}

/// Where a bin goes when the width grows by `2^shift`.
fn halved(index: usize, shift: u32) -> usize {
    if index >= SIDE {
        SIDE + (index - SIDE).checked_shr(shift).unwrap_or(0)
    } else {
        SIDE - 1 - (SIDE - 1 - index).checked_shr(shift).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(values: &[f32]) -> Histogram {
        let mut histogram = Histogram::default();
        histogram.observe(values).unwrap();
        histogram
    }

    fn finite() -> impl Strategy<Value = Vec<f32>> {
        let any_bits = any::<u32>().prop_map(f32::from_bits).prop_filter("finite", |value| value.is_finite());
        prop::collection::vec(
            prop_oneof![any_bits, -1.0_f32..1.0, Just(0.0), Just(-0.0), -1e-38_f32..1e-38],
            0..60,
        )
    }

    proptest! {
        #[test]
        fn state_does_not_depend_on_cuts_or_order(
            values in finite(), cut in 0_usize..60, swap in any::<bool>(), reverse in any::<bool>(),
        ) {
            let whole = of(&values);
            let (first, second) = values.split_at(cut.min(values.len()));
            let mut streamed = of(first);
            streamed.observe(second).unwrap();
            prop_assert_eq!(&streamed, &whole);
            let (mut merged, other) = if swap { (of(second), of(first)) } else { (of(first), of(second)) };
            merged.merge(&other);
            prop_assert_eq!(&merged, &whole);
            let mut values = values;
            if reverse {
                values.reverse();
            }
            let mut one_by_one = Histogram::default();
            for value in values {
                one_by_one.merge(&of(&[value]));
            }
            prop_assert_eq!(&one_by_one, &whole);
        }

        #[test]
        fn every_value_lies_in_its_bin(values in finite()) {
            let histogram = of(&values);
            let mut wanted = vec![0; 2 * SIDE];
            for value in values.iter().filter(|value| **value != 0.0) {
                let index = (f64::from(*value) / histogram.width()).floor();
                wanted[(index + 2048.0) as usize] += 1;
            }
            prop_assert_eq!(histogram.bins(), &wanted[..]);
            prop_assert_eq!(histogram.bins().iter().sum::<u64>() + histogram.zeros, histogram.count());
        }

        #[test]
        fn the_largest_magnitude_lies_in_the_outer_half(values in finite()) {
            let histogram = of(&values);
            let span = histogram.min_max();
            let magnitude = f64::from(span.high().max(-span.low())) / histogram.width();
            prop_assert!(magnitude <= 2048.0);
            prop_assert!(magnitude >= 1024.0 || histogram.exponent == LEAST_EXPONENT);
        }
    }

    #[test]
    fn what_is_not_finite_is_an_error_that_says_where_and_counts_nothing() {
        let mut histogram = of(&[1.0]);
        for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let error = histogram.observe(&[5.0, value]).unwrap_err();
            assert_eq!(error.index, 1);
            assert!(error.to_string().contains(&format!("{value} at 1")), "{error}");
        }
        assert_eq!(histogram, of(&[1.0]));
    }

    #[test]
    fn nothing_and_zeros_have_the_span_of_zero() {
        assert_eq!(Histogram::default().min_max(), Span::default());
        assert_eq!(of(&[0.0, -0.0]).min_max(), Span::default());
        assert_eq!(of(&[2.0, 3.0]).min_max(), Span::new(0.0, 3.0));
        assert_eq!(of(&[-2.0, -3.0]).min_max(), Span::new(-3.0, 0.0));
        assert_eq!(of(&[f32::MAX, f32::MIN]).min_max(), Span::new(f32::MIN, f32::MAX));
    }
}
