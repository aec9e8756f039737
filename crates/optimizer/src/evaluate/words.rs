//! Numbers and verdicts in words: measured, bound, wanted, and what to do.

use slipway_kernels::stats::{Judgement, Needed, Verdict};

/// A rate, a drop or a ratio with four places.
pub(super) fn places(value: f64) -> String {
    // A drop of nothing is not "-0.0000".
    let text = format!("{value:.4}");
    if text == "-0.0000" { "0.0000".to_owned() } else { text }
}

/// A whole number with a comma before every three digits.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// What a rate counts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counted {
    /// Samples that were as they should be.
    pub(super) successes: u64,
    /// Samples without an answer, since a score was NaN or infinite.
    pub(super) non_finite: u64,
}

/// What a judgement says about something that should be at least its threshold.
pub(super) fn at_least(what: &str, counted: Counted, judged: &Judgement, wanted: &str) -> String {
    let Counted { successes, non_finite } = counted;
    let apart = match non_finite {
        0 => String::new(),
        non_finite => format!(", {} NaN or infinite", grouped(non_finite)),
    };
    let (rate, successes) = (places(judged.measured), grouped(successes));
    let counted = format!("{what} {rate} ({successes} of {}{apart})", grouped(judged.n));
    match judged.verdict {
        Verdict::Pass | Verdict::Inconclusive => {
            format!(
                "{counted}, lower bound {}, wanted at least {wanted}{}",
                places(judged.low),
                advice(judged)
            )
        }
        Verdict::Fail => format!("{counted}, upper bound {}, wanted at least {wanted}", places(judged.high)),
    }
}

/// What a judgement says about a drop that should be at most its threshold.
pub(super) fn at_most(lost: u64, gained: u64, judged: &Judgement, wanted: &str) -> String {
    let counted = format!(
        "drop {} ({} lost, {} gained of {})",
        places(judged.measured),
        grouped(lost),
        grouped(gained),
        grouped(judged.n)
    );
    match judged.verdict {
        Verdict::Pass | Verdict::Inconclusive => {
            format!(
                "{counted}, upper bound {}, wanted at most {wanted}{}",
                places(judged.high),
                advice(judged)
            )
        }
        Verdict::Fail => format!("{counted}, lower bound {}, wanted at most {wanted}", places(judged.low)),
    }
}

/// Milliseconds with two places.
pub(super) fn milliseconds(value: f64) -> String {
    format!("{value:.2}ms")
}

/// What a judgement says about a time that should be at most its threshold.
pub(super) fn time(judged: &Judgement, wanted: &str) -> String {
    within(&format!("p95 {}", milliseconds(judged.measured)), judged, milliseconds, wanted)
}

/// What a judgement says about the ratio of two times, in milliseconds, that should be at most its threshold.
pub(super) fn time_ratio(judged: &Judgement, candidate: f64, baseline: f64, wanted: &str) -> String {
    let times = format!("{} against {}", milliseconds(candidate), milliseconds(baseline));
    within(
        &format!("p95 {} times the baseline's ({times})", hundredths(judged.measured)),
        judged,
        hundredths,
        wanted,
    )
}

/// A ratio with two places.
pub(super) fn hundredths(ratio: f64) -> String {
    format!("{ratio:.2}")
}

fn within(measured: &str, judged: &Judgement, shown: fn(f64) -> String, wanted: &str) -> String {
    let bound = match (judged.verdict, judged.needed) {
        (Verdict::Inconclusive, Needed::Samples(n)) => {
            return format!(
                "{measured}, wanted at most {wanted}; {} requests were timed, {n} are needed: \
                 judge on smaller samples, or give both models more processors",
                judged.n
            );
        }
        (Verdict::Inconclusive, _) if !judged.high.is_finite() => {
            return format!(
                "{measured}, wanted at most {wanted}; so high a confidence has no bound: ask for at most 0.9999"
            );
        }
        (Verdict::Inconclusive, _) => format!("bounds {} and {}", shown(judged.low), shown(judged.high)),
        (Verdict::Pass, _) => format!("upper bound {}", shown(judged.high)),
        (Verdict::Fail, _) => format!("lower bound {}", shown(judged.low)),
    };
    let advice = match judged.verdict {
        Verdict::Inconclusive => "; too near to tell: allow more, or measure where less else runs",
        Verdict::Pass | Verdict::Fail => "",
    };
    format!("{measured}, {bound}, wanted at most {wanted}{advice}")
}

fn advice(judged: &Judgement) -> String {
    match (judged.verdict, judged.needed) {
        (Verdict::Inconclusive, Needed::Samples(n)) => {
            format!("; not enough samples to tell: at this rate about {} are needed", grouped(n))
        }
        (Verdict::Inconclusive, Needed::Unreachable | Needed::Enough) => {
            "; more samples like these do not help: what was measured does not clear it".to_owned()
        }
        (Verdict::Pass | Verdict::Fail, _) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_readable() {
        assert_eq!(places(0.983_333), "0.9833");
        assert_eq!(places(-0.000_01), "0.0000");
        assert_eq!(places(-0.0014), "-0.0014");
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), text);
        }
    }
}
