//! How many samples a check needs before it can pass.

use super::counts::float;
use super::{Bound, Confidence, tango};

/// The most samples that are ever asked for; a check that needs more is called unreachable.
pub const MOST_SAMPLES: u64 = 10_000_000;

/// The fewest samples with which `misses` failures among them still prove a rate of at least `minimum`.
///
/// With no miss this is what a perfect result needs: a gate with fewer samples cannot pass. Nothing where no number
/// up to [`MOST_SAMPLES`] does, as for a minimum of 1.
pub fn samples_if_misses(bound: Bound, misses: u64, minimum: f64, confidence: Confidence) -> Option<u64> {
    let from = misses.saturating_add(1);
    fewest(from, |n| bound.lower_of(float(n - misses), float(n), confidence) >= minimum)
}

/// The fewest samples that prove a loss of at most `maximum` when not one answer changed.
///
/// Fewer can be enough only where the new answers are better than the old ones. Nothing where no number up to
/// [`MOST_SAMPLES`] does, as for a maximum of 0.
pub fn samples_if_unchanged(maximum: f64, confidence: Confidence) -> Option<u64> {
    fewest(1, |n| tango::upper(0.0, 0.0, float(n), confidence.z()) <= maximum)
}

/// The fewest samples, at least `from`, from which on a property holds.
pub(super) fn fewest(from: u64, enough: impl Fn(u64) -> bool) -> Option<u64> {
    let (mut below, mut above) = (from.saturating_sub(1), from.max(1));
    while !enough(above) {
        if above >= MOST_SAMPLES {
            return None;
        }
        below = above;
        above = above.saturating_mul(2).min(MOST_SAMPLES);
    }
    while above - below > 1 {
        let middle = below + (above - below) / 2;
        if enough(middle) {
            above = middle;
        } else {
            below = middle;
        }
    }
    Some(above)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sample sizes of the exact binomial "rule of three" family: at most 1 % at 95 %.
    #[test]
    fn exact_sample_sizes_are_the_tabulated_ones() {
        for (misses, n) in [(0, 299), (1, 473), (2, 628), (4, 913)] {
            let got = samples_if_misses(Bound::ClopperPearson, misses, 0.99, Confidence::DEFAULT);
            assert_eq!(got, Some(n), "{misses} misses");
        }
    }

    #[test]
    fn a_perfect_result_needs_the_closed_form_of_wilson_and_tango() {
        // n / (n + z²) >= 0.93 and z² / (n + z²) <= 0.02, with z² = 2.7055.
        assert_eq!(samples_if_misses(Bound::Wilson, 0, 0.93, Confidence::DEFAULT), Some(36));
        assert_eq!(samples_if_unchanged(0.02, Confidence::DEFAULT), Some(133));
    }

    #[test]
    fn certainty_is_out_of_reach() {
        for bound in [Bound::Wilson, Bound::ClopperPearson] {
            assert_eq!(samples_if_misses(bound, 0, 1.0, Confidence::DEFAULT), None);
            assert_eq!(samples_if_misses(bound, u64::MAX, 0.5, Confidence::DEFAULT), None);
            assert_eq!(samples_if_misses(bound, 0, 0.0, Confidence::DEFAULT), Some(1));
        }
        assert_eq!(samples_if_unchanged(0.0, Confidence::DEFAULT), None);
        assert_eq!(samples_if_unchanged(1.0, Confidence::DEFAULT), Some(1));
    }
}
