//! The regularised incomplete beta function, whose inverse gives exact binomial bounds.

/// How close two steps of the continued fraction must be.
const PRECISION: f64 = 1e-15;
/// More steps than any `a` and `b` up to 10⁹ need: about the square root of the larger one.
const MAX_STEPS: u32 = 200_000;
/// Stands for a zero denominator (W. J. Lentz's method as modified by Thompson and Barnett).
const TINY: f64 = 1e-300;

/// The regularised incomplete beta function `I_x(a, b)` for `a, b > 0` and `0 <= x <= 1`.
///
/// For whole `k` and `n`, `I_p(k, n - k + 1)` is the chance of at least `k` successes in `n` samples of rate `p`.
/// Source: Abramowitz and Stegun 26.5.8, evaluated by the modified Lentz method.
pub(super) fn regularised(x: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if x >= 1.0 {
        return 1.0;
    }
    // The fraction converges fast on one side of the mean only.
    if x <= (a + 1.0) / (a + b + 2.0) {
        front(x, a, b) * fraction(x, a, b) / a
    } else {
        1.0 - front(1.0 - x, b, a) * fraction(1.0 - x, b, a) / b
    }
}

/// `x^a (1 - x)^b / B(a, b)`.
fn front(x: f64, a: f64, b: f64) -> f64 {
    (a * x.ln() + b * (-x).ln_1p() - ln_gamma(a) - ln_gamma(b) + ln_gamma(a + b)).exp()
}

fn fraction(x: f64, a: f64, b: f64) -> f64 {
    let nonzero = |value: f64| if value.abs() < TINY { TINY } else { value };
    let mut above = 1.0;
    let mut below = 1.0 / nonzero(1.0 - (a + b) * x / (a + 1.0));
    let mut result = below;
    for step in 1..=MAX_STEPS {
        let m = f64::from(step);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        let mut change = 1.0;
        for coefficient in [even, odd] {
            below = 1.0 / nonzero(1.0 + coefficient * below);
            above = nonzero(1.0 + coefficient / above);
            change = above * below;
            result *= change;
        }
        if (change - 1.0).abs() < PRECISION {
            break;
        }
    }
    result
}

/// The logarithm of the gamma function for `x > 0`: Stirling's series, shifted to where it is exact.
///
/// Source: Abramowitz and Stegun 6.1.41.
fn ln_gamma(x: f64) -> f64 {
    let (mut x, mut shift) = (x, 0.0);
    while x < 15.0 {
        shift += x.ln();
        x += 1.0;
    }
    let inverse = 1.0 / x;
    let square = inverse * inverse;
    let series = [-691.0 / 360_360.0, 1.0 / 1188.0, -1.0 / 1680.0, 1.0 / 1260.0, -1.0 / 360.0, 1.0 / 12.0]
        .iter()
        .fold(0.0, |sum, coefficient| sum * square + coefficient);
    (x - 0.5) * x.ln() - x + 0.5 * std::f64::consts::TAU.ln() + series * inverse - shift
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithm_of_gamma_is_that_of_factorials() {
        let mut factorial = 1.0_f64;
        for n in 1..=20_u32 {
            assert!((ln_gamma(f64::from(n)) - factorial.ln()).abs() < 1e-12, "{n}");
            factorial *= f64::from(n);
        }
        assert!((ln_gamma(0.5) - std::f64::consts::PI.sqrt().ln()).abs() < 1e-13);
    }

    /// The sum of binomial terms, slow and plain.
    fn at_least(k: u32, n: u32, p: f64) -> f64 {
        let term = |successes: u32| {
            let ways = (1..=successes).map(|i| f64::from(n - successes + i) / f64::from(i)).product::<f64>();
            let failures = i32::try_from(n - successes).unwrap();
            ways * p.powi(i32::try_from(successes).unwrap()) * (1.0 - p).powi(failures)
        };
        (k..=n).map(term).sum()
    }

    #[test]
    fn agrees_with_the_sum_of_binomial_terms() {
        for (k, n) in [(1, 1), (1, 10), (5, 10), (10, 10), (17, 40), (39, 40)] {
            for p in [1e-6, 0.01, 0.3, 0.5, 0.77, 0.999] {
                let got = regularised(p, f64::from(k), f64::from(n - k + 1));
                assert!((got - at_least(k, n, p)).abs() < 1e-12, "{k} of {n} at {p}: {got}");
            }
        }
    }

    #[test]
    fn large_parameters_stay_between_zero_and_one_and_rise() {
        let (a, b) = (9_990_000.0, 10_001.0);
        let values: Vec<f64> = (0..=100).map(|i| regularised(0.9985 + f64::from(i) * 1e-5, a, b)).collect();
        assert!(values.iter().all(|value| (0.0..=1.0).contains(value)));
        assert!(values.is_sorted());
        assert!(values[0] < 1e-6 && values[100] > 1.0 - 1e-6);
    }
}
