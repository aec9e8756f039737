//! The score bound of a paired difference of two proportions.
//!
//! Source: T. Tango, "Equivalence test and confidence interval for the difference in proportions for the
//! paired-sample design", Statistics in Medicine 17 (1998), 891-908. Holds near zero difference and with no change
//! at all, where the Wald interval has width zero.

use super::counts::{Paired, float};
use super::{Confidence, bisect};

/// The one-sided upper bound of what was truly lost, `-1..=1`.
pub fn tango_upper(pairs: Paired, confidence: Confidence) -> f64 {
    upper(float(pairs.lost()), float(pairs.gained()), float(pairs.n()), confidence.z())
}

/// The one-sided lower bound of what was truly lost, `-1..=1`.
pub fn tango_lower(pairs: Paired, confidence: Confidence) -> f64 {
    -upper(float(pairs.gained()), float(pairs.lost()), float(pairs.n()), confidence.z())
}

/// The upper bound for any counts, whole or not.
pub(super) fn upper(lost: f64, gained: f64, n: f64, z: f64) -> f64 {
    let estimate = (lost - gained) / n;
    // The statistic falls as the assumed loss rises.
    let still_plausible = |assumed: f64| score(lost, gained, n, assumed) >= -z;
    bisect(estimate, 1.0, still_plausible).1
}

/// How many standard errors the observed loss lies above an assumed one.
fn score(lost: f64, gained: f64, n: f64, assumed: f64) -> f64 {
    let excess = lost - gained - n * assumed;
    let variance = n * (2.0 * gain_rate(lost, gained, n, assumed) + assumed * (1.0 - assumed));
    if variance <= 0.0 {
        // Only at an end of the range, or where nothing changed and no loss is assumed.
        return if excess == 0.0 { 0.0 } else { excess.signum() * f64::INFINITY };
    }
    excess / variance.sqrt()
}

/// The most likely rate of gains under an assumed loss (Tango's equation for the restricted estimate).
fn gain_rate(lost: f64, gained: f64, n: f64, assumed: f64) -> f64 {
    let a = 2.0 * n;
    let b = -lost - gained + (2.0 * n - lost + gained) * assumed;
    let c = -gained * assumed * (1.0 - assumed);
    let root = (b * b - 4.0 * a * c).max(0.0).sqrt();
    (root - b) / (2.0 * a)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds(lost: u64, gained: u64, n: u64, level: f64) -> (f64, f64) {
        let (pairs, confidence) = (Paired::new(lost, gained, n).unwrap(), Confidence::new(level).unwrap());
        (tango_lower(pairs, confidence), tango_upper(pairs, confidence))
    }

    /// M. W. Fagerland, S. Lydersen, P. Laake, "Recommended tests and confidence intervals for paired binomial
    /// proportions", Statistics in Medicine 33 (2014), 2850-2875: airway hyper-responsiveness before and after stem
    /// cell transplantation, Tango's interval, two-sided 95 %.
    #[test]
    fn bounds_are_those_of_fagerlands_table() {
        let (low, high) = bounds(1, 7, 21, 0.975);
        assert!((low - -0.517).abs() < 5e-4 && (high - -0.026).abs() < 5e-4, "{low} {high}");
    }

    /// R's `PropCIs::scoreci.mp(25, 28, 618, 0.9)`, which estimates (28 - 25) / 618.
    #[test]
    fn bounds_are_those_of_an_independent_implementation() {
        let (low, high) = bounds(28, 25, 618, 0.95);
        assert!((low - -0.0148).abs() < 5e-5 && (high - 0.0247).abs() < 5e-5, "{low} {high}");
    }

    #[test]
    fn no_change_at_all_still_leaves_room_for_a_loss() {
        let z2 = Confidence::DEFAULT.z().powi(2);
        let (low, high) = bounds(0, 0, 720, 0.95);
        assert!((high - z2 / (720.0 + z2)).abs() < 1e-12, "{high}");
        assert!((low + high).abs() < 1e-15);
    }

    #[test]
    fn bounds_stay_in_range_when_everything_changed() {
        assert!((bounds(5, 0, 5, 0.95).1 - 1.0).abs() < 1e-12);
        assert!((bounds(0, 5, 5, 0.95).0 - -1.0).abs() < 1e-12);
        let (low, high) = bounds(1, 0, 1, 0.95);
        assert!((-1.0..=1.0).contains(&low) && low < 1.0 && high >= low);
    }

    #[test]
    fn each_side_mirrors_the_other() {
        let (low, high) = bounds(9, 4, 300, 0.95);
        let (mirrored_low, mirrored_high) = bounds(4, 9, 300, 0.95);
        assert!((low + mirrored_high).abs() < 1e-12 && (high + mirrored_low).abs() < 1e-12);
    }
}
