//! The exact binomial bound of one proportion.
//!
//! Source: C. J. Clopper and E. S. Pearson, "The Use of Confidence or Fiducial Limits Illustrated in the Case of the
//! Binomial", Biometrika 26 (1934), 404-413. Never too short on average, at the price of some width: right for an
//! agreement near 1, where few samples disagree and normal approximations fail.

use super::beta::regularised;
use super::counts::{Proportion, float};
use super::{Confidence, bisect};

/// The one-sided lower bound of the true rate; 0 where nothing succeeded.
pub fn clopper_pearson_lower(count: Proportion, confidence: Confidence) -> f64 {
    lower(float(count.successes()), float(count.n()), confidence)
}

/// The one-sided upper bound of the true rate; 1 where everything succeeded.
pub fn clopper_pearson_upper(count: Proportion, confidence: Confidence) -> f64 {
    1.0 - lower(float(count.n() - count.successes()), float(count.n()), confidence)
}

/// The lower bound for any number of successes, whole or not.
pub(super) fn lower(successes: f64, n: f64, confidence: Confidence) -> f64 {
    if successes <= 0.0 {
        return 0.0;
    }
    if successes >= n {
        return confidence.alpha().powf(1.0 / n);
    }
    // The chance of at least so many successes rises with the rate.
    let too_low = |rate: f64| regularised(rate, successes, n - successes + 1.0) <= confidence.alpha();
    bisect(0.0, successes / n, too_low).0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Newcombe (1998), table I, method 5: two-sided 95 %, so one-sided 97.5 %.
    #[test]
    fn bounds_are_those_of_newcombes_table() {
        let confidence = Confidence::new(0.975).unwrap();
        for (successes, n, low, high) in [
            (81, 263, 0.2527, 0.3676),
            (15, 148, 0.0578, 0.1617),
            (0, 20, 0.0, 0.1684),
            (1, 29, 0.0009, 0.1776),
        ] {
            let count = Proportion::new(successes, n).unwrap();
            assert!((clopper_pearson_lower(count, confidence) - low).abs() < 5e-5, "{successes}/{n}");
            assert!((clopper_pearson_upper(count, confidence) - high).abs() < 5e-5, "{successes}/{n}");
        }
    }

    #[test]
    fn no_success_in_few_samples_says_nothing() {
        let count = Proportion::new(0, 1).unwrap();
        assert!(clopper_pearson_lower(count, Confidence::DEFAULT).abs() < f64::EPSILON);
        assert!((clopper_pearson_upper(count, Confidence::DEFAULT) - 0.95).abs() < 1e-12);
    }

    #[test]
    fn ten_million_samples_are_bounded_closely() {
        let count = Proportion::new(9_990_000, 10_000_000).unwrap();
        let low = clopper_pearson_lower(count, Confidence::DEFAULT);
        let high = clopper_pearson_upper(count, Confidence::DEFAULT);
        assert!(low < 0.999 && 0.999 < high && high - low < 4e-5, "{low} {high}");
    }
}
