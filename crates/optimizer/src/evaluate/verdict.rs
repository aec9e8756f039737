//! From counts and times to the gate's verdicts, each with its numbers and words. Pure.

mod latency;

use serde::Serialize;
use slipway_api::status::{CheckStatus, GateStatus, Verdict};
use slipway_api::{AccuracyCheck, Check, CheckKind, Gate, ParityCheck, SizeCheck};
use slipway_kernels::stats::{self, Bound, Confidence, Judgement, Proportion, judge_drop, judge_rate};

use super::words::{Counted, at_least, at_most, grouped, places};
use super::{Race, Tally};

/// Everything that was measured.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Measured {
    /// The counts.
    pub tally: Tally,
    /// Bytes of the two artifacts.
    pub sizes: Sizes,
    /// The times of both, where somebody wants to know.
    pub race: Option<Race>,
}

/// Bytes of all files of the two artifacts, uncompressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Sizes {
    /// Of the artifact that is judged.
    pub candidate: u64,
    /// Of the artifact that it is compared with.
    pub baseline: u64,
}

/// Judges every check of a gate, in order.
///
/// A check with several thresholds gives several results, named `check.threshold`. Too few samples make every check
/// that counts samples inconclusive. A candidate's score that is NaN or infinite fails the gate, whatever its checks, as
/// the check `answers.finite`. `artifact_digest` is left to the caller.
pub fn judge(gate: &Gate, measured: &Measured) -> GateStatus {
    let judge = Judge { gate, measured, confidence: Confidence::new(gate.confidence.value()) };
    let checks = gate.checks.iter().flat_map(|check| judge.check(check));
    let checks: Vec<_> = no_numbers(&measured.tally).into_iter().chain(checks).collect();
    GateStatus {
        verdict: overall(&checks),
        samples: signed(measured.tally.samples),
        accuracy: measured.tally.accuracy().map(|accuracy| places(accuracy.rate())),
        artifact_digest: None,
        checks,
    }
}

/// The name under which answers that are no numbers are told; no check of a user's can have it.
const FINITE: &str = "answers.finite";

/// The failure that no check can overrule.
fn no_numbers(tally: &Tally) -> Option<CheckStatus> {
    let Tally { samples, non_finite, .. } = *tally;
    (non_finite > 0).then(|| CheckStatus {
        name: FINITE.to_owned(),
        verdict: Verdict::Fail,
        n: signed(samples),
        message: format!("{} of {} answers are NaN or infinite", grouped(non_finite), grouped(samples)),
        ..CheckStatus::default()
    })
}

/// The verdict on some checks together: one failure fails the gate, and no check at all is not a pass.
pub fn overall(checks: &[CheckStatus]) -> Verdict {
    let has = |verdict| checks.iter().any(|check| check.verdict == verdict);
    if has(Verdict::Fail) {
        Verdict::Fail
    } else if has(Verdict::Inconclusive) || checks.is_empty() {
        Verdict::Inconclusive
    } else {
        Verdict::Pass
    }
}

struct Judge<'a> {
    gate: &'a Gate,
    measured: &'a Measured,
    confidence: Option<Confidence>,
}

impl Judge<'_> {
    fn check(&self, check: &Check) -> Vec<CheckStatus> {
        let name = &check.name;
        match check.kind() {
            Some(CheckKind::Accuracy(accuracy)) => self.accuracy(name, accuracy),
            Some(CheckKind::Parity(parity)) => vec![self.agreement(name, parity)],
            Some(CheckKind::Latency(latency)) => self.latency(name, latency),
            Some(CheckKind::Size(size)) => vec![self.size(name, size)],
            None => vec![open(name, "the check has no kind".to_owned())],
        }
    }

    fn accuracy(&self, name: &str, check: &AccuracyCheck) -> Vec<CheckStatus> {
        let AccuracyCheck { minimum, max_drop } = check;
        let named = |threshold| named(name, threshold, minimum.is_some() && max_drop.is_some());
        let minimum =
            minimum.as_ref().map(|wanted| self.minimum(&named("minimum"), wanted.as_str(), wanted.value()));
        let drop =
            max_drop.as_ref().map(|wanted| self.drop(&named("maxDrop"), wanted.as_str(), wanted.value()));
        minimum.into_iter().chain(drop).collect()
    }

    fn minimum(&self, name: &str, wanted: &str, minimum: f64) -> CheckStatus {
        let tally = &self.measured.tally;
        let (Some(accuracy), Some(confidence)) = (tally.accuracy(), self.confidence) else {
            return self.not_judged(name, wanted);
        };
        let judged = judge_rate(accuracy, minimum, Bound::Wilson, confidence);
        let counted = Counted { successes: accuracy.successes(), non_finite: tally.labelled_non_finite };
        let message = at_least("accuracy", counted, &judged, wanted);
        let reference = tally.baseline_accuracy().map(|baseline| places(baseline.rate()));
        self.counted(CheckStatus {
            reference,
            ..status(name, &judged, wanted, Bound::Wilson.name(), message)
        })
    }

    fn drop(&self, name: &str, wanted: &str, maximum: f64) -> CheckStatus {
        let tally = &self.measured.tally;
        let (Some(pairs), Some(confidence)) = (tally.paired(), self.confidence) else {
            return self.not_judged(name, wanted);
        };
        let judged = judge_drop(pairs, maximum, confidence);
        let message = at_most(pairs.lost(), pairs.gained(), &judged, wanted);
        let reference = tally.baseline_accuracy().map(|baseline| places(baseline.rate()));
        let check =
            self.counted(CheckStatus { reference, ..status(name, &judged, wanted, "tango", message) });
        self.against_baseline(check)
    }

    fn agreement(&self, name: &str, check: &ParityCheck) -> CheckStatus {
        let ParityCheck { top1_agreement } = check;
        let wanted = top1_agreement.as_str();
        let Tally { samples, agreed, non_finite, baseline_non_finite, .. } = self.measured.tally;
        let agreement = Proportion::new(agreed + baseline_non_finite, samples);
        let (Some(agreement), Some(confidence)) = (agreement, self.confidence) else {
            return self.not_judged(name, wanted);
        };
        let judged = judge_rate(agreement, top1_agreement.value(), Bound::ClopperPearson, confidence);
        let counted = Counted { successes: agreement.successes(), non_finite };
        let message = at_least("top-1 agreement", counted, &judged, wanted);
        let check = self.counted(status(name, &judged, wanted, Bound::ClopperPearson.name(), message));
        self.against_baseline(check)
    }

    fn size(&self, name: &str, check: &SizeCheck) -> CheckStatus {
        let SizeCheck { max_ratio } = check;
        let Sizes { candidate, baseline } = self.measured.sizes;
        if baseline == 0 {
            return open(name, "the baseline has no bytes to compare with".to_owned());
        }
        #[expect(clippy::cast_precision_loss, reason = "sizes of files stay below 2^53")]
        let ratio = candidate as f64 / baseline as f64;
        let passes = ratio <= max_ratio.value();
        let bytes = format!("{} of {} bytes", grouped(candidate), grouped(baseline));
        CheckStatus {
            name: name.to_owned(),
            verdict: if passes { Verdict::Pass } else { Verdict::Fail },
            measured: Some(places(ratio)),
            reference: Some(baseline.to_string()),
            threshold: Some(max_ratio.as_str().to_owned()),
            method: Some("exact".to_owned()),
            n: 1,
            message: format!("size ratio {} ({bytes}), wanted at most {max_ratio}", places(ratio)),
            ..CheckStatus::default()
        }
    }

    /// Too few samples leave open what was counted.
    fn counted(&self, check: CheckStatus) -> CheckStatus {
        if check.n < self.gate.min_samples {
            let message =
                format!("{} samples, minSamples wants {}; {}", check.n, self.gate.min_samples, check.message);
            return CheckStatus { verdict: Verdict::Inconclusive, message, ..check };
        }
        check
    }

    /// Leaves open what compares with a baseline that does not answer, since what it lacks is no gain of the
    /// candidate's; but a check that fails where such answers count as if the candidate's were the same has failed.
    fn against_baseline(&self, check: CheckStatus) -> CheckStatus {
        let Tally { samples, baseline_non_finite: broken, .. } = self.measured.tally;
        if broken == 0 {
            return check;
        }
        let (broken, all) = (grouped(broken), grouped(samples));
        let answers = format!("{broken} of {all} answers of the baseline are NaN or infinite");
        if check.verdict == Verdict::Fail {
            let message =
                format!("{}; {answers}, and count as if the candidate's were the same", check.message);
            return CheckStatus { message, ..check };
        }
        let message = format!(
            "{answers}, so nothing can be compared with them: give data that it answers, or take another baseline"
        );
        CheckStatus { threshold: check.threshold, n: signed(samples), ..open(&check.name, message) }
    }

    fn not_judged(&self, name: &str, wanted: &str) -> CheckStatus {
        let samples = self.measured.tally.samples;
        let missing = if samples == 0 { "there are no samples" } else { "there are no labels" };
        CheckStatus { threshold: Some(wanted.to_owned()), ..open(name, self.why_not_judged(missing)) }
    }

    /// That the confidence means nothing, or else that something is missing.
    fn why_not_judged(&self, missing: &str) -> String {
        match self.confidence {
            None => format!("confidence {} is not at least 0.5 and below 1", self.gate.confidence),
            Some(_) => missing.to_owned(),
        }
    }
}

/// The name of one threshold's result: the check's own, unless it has several.
fn named(check: &str, threshold: &str, several: bool) -> String {
    if several { format!("{check}.{threshold}") } else { check.to_owned() }
}

fn open(name: &str, message: String) -> CheckStatus {
    CheckStatus { name: name.to_owned(), verdict: Verdict::Inconclusive, message, ..CheckStatus::default() }
}

fn status(name: &str, judged: &Judgement, wanted: &str, method: &str, message: String) -> CheckStatus {
    let Judgement { verdict, measured, low, high, threshold: _, n, needed: _ } = judged;
    CheckStatus {
        name: name.to_owned(),
        verdict: of_bounds(*verdict),
        measured: Some(places(*measured)),
        low: finite(*low, places),
        high: finite(*high, places),
        reference: None,
        threshold: Some(wanted.to_owned()),
        method: Some(method.to_owned()),
        n: signed(*n),
        message,
    }
}

/// A number in words; nothing where there is none, as for a bound that does not exist.
fn finite(value: f64, shown: fn(f64) -> String) -> Option<String> {
    value.is_finite().then(|| shown(value))
}

fn of_bounds(verdict: stats::Verdict) -> Verdict {
    match verdict {
        stats::Verdict::Pass => Verdict::Pass,
        stats::Verdict::Fail => Verdict::Fail,
        stats::Verdict::Inconclusive => Verdict::Inconclusive,
    }
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
