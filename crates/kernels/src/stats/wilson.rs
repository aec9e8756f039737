//! The Wilson score bound of one proportion.
//!
//! Source: E. B. Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", JASA 22 (1927),
//! 209-212, without continuity correction (method 3 of R. G. Newcombe, Statistics in Medicine 17 (1998), 857-872).

use super::Confidence;
use super::counts::{Proportion, float};

/// The one-sided lower bound of the true rate; 0 where nothing succeeded.
pub fn wilson_lower(count: Proportion, confidence: Confidence) -> f64 {
    lower(count.rate(), float(count.n()), confidence.z())
}

/// The one-sided upper bound of the true rate; 1 where everything succeeded.
pub fn wilson_upper(count: Proportion, confidence: Confidence) -> f64 {
    1.0 - lower(1.0 - count.rate(), float(count.n()), confidence.z())
}

/// The lower bound for any rate, also one that no whole number of successes has.
pub(super) fn lower(rate: f64, n: f64, z: f64) -> f64 {
    let z2 = z * z;
    let centre = rate + z2 / (2.0 * n);
    let spread = z * (rate * (1.0 - rate) / n + z2 / (4.0 * n * n)).sqrt();
    ((centre - spread) / (1.0 + z2 / n)).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Newcombe (1998), table I, method 3: two-sided 95 %, so one-sided 97.5 %.
    #[test]
    fn bounds_are_those_of_newcombes_table() {
        let confidence = Confidence::new(0.975).unwrap();
        for (successes, n, low, high) in [
            (81, 263, 0.2553, 0.3662),
            (15, 148, 0.0624, 0.1605),
            (0, 20, 0.0, 0.1611),
            (1, 29, 0.0061, 0.1718),
        ] {
            let count = Proportion::new(successes, n).unwrap();
            assert!((wilson_lower(count, confidence) - low).abs() < 5e-5, "{successes}/{n}");
            assert!((wilson_upper(count, confidence) - high).abs() < 5e-5, "{successes}/{n}");
        }
    }

    #[test]
    fn all_or_nothing_touches_the_edge_and_no_further() {
        let all = Proportion::new(30, 30).unwrap();
        let none = Proportion::new(0, 30).unwrap();
        assert!((wilson_upper(all, Confidence::DEFAULT) - 1.0).abs() < 1e-15);
        assert!(wilson_lower(none, Confidence::DEFAULT) < 1e-15);
        // n / (n + z²), the closed form for a perfect result.
        let z2 = Confidence::DEFAULT.z().powi(2);
        assert!((wilson_lower(all, Confidence::DEFAULT) - 30.0 / (30.0 + z2)).abs() < 1e-12);
    }

    #[test]
    fn at_even_odds_the_bound_is_the_estimate() {
        let count = Proportion::new(7, 9).unwrap();
        let even = Confidence::new(0.5).unwrap();
        assert!((wilson_lower(count, even) - count.rate()).abs() < 1e-12);
    }
}
