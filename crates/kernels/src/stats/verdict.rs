//! Verdicts: what a bound says about a threshold.

use super::counts::float;
use super::needed::fewest;
use super::{Confidence, Paired, Proportion, clopper_pearson, tango, tango_lower, tango_upper, wilson};

/// What a bound says about a threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The bound clears the threshold.
    Pass,
    /// The bound excludes the threshold.
    Fail,
    /// The threshold lies between the bounds: more samples are needed.
    Inconclusive,
}

/// How the bound of a rate is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// The score bound; for rates anywhere.
    Wilson,
    /// The exact bound; for rates near 1.
    ClopperPearson,
}

impl Bound {
    /// The name for reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Wilson => "wilson",
            Self::ClopperPearson => "clopper-pearson",
        }
    }

    /// The one-sided lower bound of the true rate.
    pub fn lower(self, count: Proportion, confidence: Confidence) -> f64 {
        self.lower_of(float(count.successes()), float(count.n()), confidence)
    }

    /// The one-sided upper bound of the true rate.
    pub fn upper(self, count: Proportion, confidence: Confidence) -> f64 {
        1.0 - self.lower_of(float(count.n() - count.successes()), float(count.n()), confidence)
    }

    pub(super) fn lower_of(self, successes: f64, n: f64, confidence: Confidence) -> f64 {
        match self {
            Self::Wilson => wilson::lower(successes / n, n, confidence.z()),
            Self::ClopperPearson => clopper_pearson::lower(successes, n, confidence),
        }
    }
}

/// How many samples a check would need to pass, if further ones are like those that were seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needed {
    /// No more: it passed.
    Enough,
    /// So many in all.
    Samples(u64),
    /// No number helps: what was measured does not itself meet the threshold, or meets it too closely.
    Unreachable,
}

/// A verdict with everything that it rests on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Judgement {
    /// What the bounds say.
    pub verdict: Verdict,
    /// The estimate: a rate in `0..=1`, a drop in `-1..=1`, a time, or a ratio of times.
    pub measured: f64,
    /// The one-sided lower bound; -∞ where there is none.
    pub low: f64,
    /// The one-sided upper bound, at the same confidence; ∞ where there is none.
    pub high: f64,
    /// What was wanted.
    pub threshold: f64,
    /// How many samples were judged.
    pub n: u64,
    /// How many would be needed.
    pub needed: Needed,
}

/// Judges whether a rate is at least `minimum`.
///
/// It passes when the lower bound reaches the minimum and fails when the upper bound stays below it.
pub fn judge_rate(count: Proportion, minimum: f64, bound: Bound, confidence: Confidence) -> Judgement {
    let (low, high) = (bound.lower(count, confidence), bound.upper(count, confidence));
    let verdict = verdict(low >= minimum, high < minimum);
    let rate = count.rate();
    let needed = needed(verdict, rate > minimum, count.n(), |n| {
        bound.lower_of(rate * float(n), float(n), confidence) >= minimum
    });
    Judgement { verdict, measured: rate, low, high, threshold: minimum, n: count.n(), needed }
}

/// Judges whether at most `maximum` was lost, by Tango's bound of `(lost - gained) / n`.
///
/// It passes when the upper bound stays within the maximum and fails when the lower bound exceeds it.
pub fn judge_drop(pairs: Paired, maximum: f64, confidence: Confidence) -> Judgement {
    let (low, high) = (tango_lower(pairs, confidence), tango_upper(pairs, confidence));
    let verdict = verdict(high <= maximum, low > maximum);
    let share = |part: u64| float(part) / float(pairs.n());
    let needed = needed(verdict, pairs.drop() < maximum, pairs.n(), |n| {
        let n = float(n);
        tango::upper(share(pairs.lost()) * n, share(pairs.gained()) * n, n, confidence.z()) <= maximum
    });
    Judgement { verdict, measured: pairs.drop(), low, high, threshold: maximum, n: pairs.n(), needed }
}

pub(super) fn verdict(clears: bool, excludes: bool) -> Verdict {
    match (clears, excludes) {
        (true, _) => Verdict::Pass,
        (false, true) => Verdict::Fail,
        (false, false) => Verdict::Inconclusive,
    }
}

fn needed(verdict: Verdict, reachable: bool, n: u64, enough: impl Fn(u64) -> bool) -> Needed {
    match verdict {
        Verdict::Pass => Needed::Enough,
        Verdict::Fail => Needed::Unreachable,
        Verdict::Inconclusive if !reachable => Needed::Unreachable,
        Verdict::Inconclusive => fewest(n, enough).map_or(Needed::Unreachable, Needed::Samples),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(successes: u64, n: u64, minimum: f64, bound: Bound) -> Judgement {
        judge_rate(Proportion::new(successes, n).unwrap(), minimum, bound, Confidence::DEFAULT)
    }

    fn drop_of(lost: u64, gained: u64, n: u64, maximum: f64) -> Judgement {
        judge_drop(Paired::new(lost, gained, n).unwrap(), maximum, Confidence::DEFAULT)
    }

    #[test]
    fn a_rate_passes_fails_or_stays_open_by_its_bounds() {
        assert_eq!(rate(708, 720, 0.93, Bound::Wilson).verdict, Verdict::Pass);
        assert_eq!(rate(600, 720, 0.93, Bound::Wilson).verdict, Verdict::Fail);
        // 95 % measured, 93 % wanted: right on average, not yet shown.
        let open = rate(95, 100, 0.93, Bound::Wilson);
        assert_eq!(open.verdict, Verdict::Inconclusive);
        assert!(open.low < 0.93 && 0.93 < open.measured && open.measured < open.high);
    }

    #[test]
    fn the_number_of_samples_asked_for_is_the_first_that_passes() {
        for bound in [Bound::Wilson, Bound::ClopperPearson] {
            let Needed::Samples(n) = rate(95, 100, 0.93, bound).needed else { panic!("{bound:?}") };
            let passes = |n: f64| bound.lower_of(0.95 * n, n, Confidence::DEFAULT) >= 0.93;
            assert!(passes(float(n)) && !passes(float(n - 1)), "{n}");
            assert!((300..600).contains(&n), "{n}");
        }
        let Needed::Samples(n) = drop_of(4, 2, 200, 0.02).needed else { panic!("drop") };
        assert!(n > 200);
        assert_eq!(
            drop_of(4 * n.div_ceil(200), 2 * n.div_ceil(200), 200 * n.div_ceil(200), 0.02).verdict,
            Verdict::Pass
        );
    }

    #[test]
    fn no_number_of_samples_is_promised_where_none_helps() {
        // Exactly at the threshold, and below it.
        assert_eq!(rate(93, 100, 0.93, Bound::Wilson).needed, Needed::Unreachable);
        assert_eq!(rate(92, 100, 0.93, Bound::Wilson).verdict, Verdict::Inconclusive);
        assert_eq!(rate(92, 100, 0.93, Bound::Wilson).needed, Needed::Unreachable);
        assert_eq!(rate(5, 5, 1.0, Bound::ClopperPearson).verdict, Verdict::Inconclusive);
        assert_eq!(rate(5, 5, 1.0, Bound::ClopperPearson).needed, Needed::Unreachable);
        assert_eq!(drop_of(3, 0, 100, 0.03).needed, Needed::Unreachable);
    }

    #[test]
    fn a_drop_is_judged_on_the_same_samples() {
        assert_eq!(drop_of(0, 1, 720, 0.02).verdict, Verdict::Pass);
        assert_eq!(drop_of(5, 0, 720, 0.02).verdict, Verdict::Pass);
        assert_eq!(drop_of(60, 10, 720, 0.02).verdict, Verdict::Fail);
        // "Not significant" is not "no worse": few samples cannot show it.
        assert_eq!(drop_of(0, 0, 50, 0.02).verdict, Verdict::Inconclusive);
        assert_eq!(drop_of(0, 0, 50, 0.02).needed, Needed::Samples(133));
    }

    #[test]
    fn agreement_needs_more_samples_than_its_face_value() {
        assert_eq!(rate(13, 13, 0.97, Bound::ClopperPearson).verdict, Verdict::Inconclusive);
        assert_eq!(rate(719, 720, 0.97, Bound::ClopperPearson).verdict, Verdict::Pass);
        assert_eq!(rate(600, 720, 0.97, Bound::ClopperPearson).verdict, Verdict::Fail);
    }
}
