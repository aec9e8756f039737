//! Verdicts on times of requests.

use std::time::Duration;

use slipway_api::status::{CheckStatus, Verdict};
use slipway_api::{LatencyCheck, Ratio};
use slipway_kernels::stats::{Confidence, Judgement, control_ratio, judge_time, judge_time_ratio};

use super::super::Race;
use super::super::words::{hundredths, milliseconds, places, time, time_ratio};
use super::{Judge, finite, named, of_bounds, open, signed};

const METHOD: &str = "bootstrap";
/// How many times as slow as itself the baseline may look.
const STEADY: f64 = 1.05;
/// The share of a race for which processor time may be withheld: less reaches no 95th percentile.
const WITHHELD: f64 = 0.01;

impl Judge<'_> {
    pub(super) fn latency(&self, name: &str, check: &LatencyCheck) -> Vec<CheckStatus> {
        let (Some(race), Some(confidence)) = (&self.measured.race, self.confidence) else {
            return vec![open(name, self.why_not_judged("no request was timed"))];
        };
        let Some(baseline) = race.baseline.summary() else {
            return vec![open(
                name,
                "no request was answered within ten minutes: judge on smaller samples".into(),
            )];
        };
        let ratio = check.ratio();
        let both = check.p95.is_some() && ratio.is_some();
        let named = |threshold| named(name, threshold, both);
        let p95 = check.p95.as_ref().map(|wanted| {
            let maximum = wanted.value().as_secs_f64() * 1e3;
            let judged = judge_time(race.candidate.milliseconds(), maximum, confidence);
            unless_throttled(absolute(&named("p95"), &judged, &wanted.to_string()), race, maximum)
        });
        let ratio = ratio.map(|wanted| {
            let check = relative(&named("maxRatio"), race, baseline.p95_ms, &wanted, confidence);
            unless_throttled(check, race, wanted.value() * baseline.p95_ms)
        });
        p95.into_iter().chain(ratio).collect()
    }
}

/// Leaves open what was timed while a limit of processor time paused who measured or was measured; but a candidate that
/// would take more milliseconds than are allowed without the pauses too has failed.
fn unless_throttled(check: CheckStatus, race: &Race, allowed: f64) -> CheckStatus {
    let Race { candidate, took, throttled, .. } = race;
    let Some(paused) = throttled.filter(|paused| paused.as_secs_f64() > took.as_secs_f64() * WITHHELD) else {
        return check;
    };
    if check.verdict == Verdict::Fail && is_slow_without(candidate.milliseconds(), allowed, paused) {
        return check;
    }
    let words = format!(
        "the CPU limit paused a server or the job for {:.1} of {:.1} seconds: raise limits.cpu of serving.resources and \
         jobs.resources, or leave it out",
        paused.as_secs_f64(),
        took.as_secs_f64()
    );
    left_open(check, &words)
}

/// Whether more than 5 % of some times stay above what is allowed, in milliseconds, from whichever of them the pauses of
/// a server and of the job are taken.
fn is_slow_without(times: &[f64], allowed: f64, paused: Duration) -> bool {
    let mut above: Vec<f64> = times.iter().map(|time| time - allowed).filter(|above| *above > 0.0).collect();
    above.sort_by(f64::total_cmp);
    let to_be_shortened = above.len().saturating_sub(times.len() / 20);
    above[..to_be_shortened].iter().sum::<f64>() > 2.0 * 1e3 * paused.as_secs_f64()
}

fn left_open(check: CheckStatus, words: &str) -> CheckStatus {
    let message = format!("{}; not judged: {words}", check.message);
    CheckStatus { verdict: Verdict::Inconclusive, message, ..check }
}

fn absolute(name: &str, judged: &Judgement, wanted: &str) -> CheckStatus {
    CheckStatus {
        measured: finite(judged.measured, milliseconds),
        low: finite(judged.low, milliseconds),
        high: finite(judged.high, milliseconds),
        ..status(name, judged, wanted, time(judged, wanted))
    }
}

fn relative(name: &str, race: &Race, theirs: f64, wanted: &Ratio, confidence: Confidence) -> CheckStatus {
    let Race { candidate, baseline, .. } = race;
    let judged =
        judge_time_ratio(candidate.milliseconds(), baseline.milliseconds(), wanted.value(), confidence);
    let ours = candidate.summary().map_or(theirs, |of| of.p95_ms);
    let check = CheckStatus {
        measured: finite(judged.measured, places),
        low: finite(judged.low, places),
        high: finite(judged.high, places),
        reference: Some(milliseconds(theirs)),
        ..status(name, &judged, wanted.as_str(), time_ratio(&judged, ours, theirs, wanted.as_str()))
    };
    unless_unsteady(check, race, judged.low / wanted.value())
}

/// Leaves two models untold apart where the baseline cannot be told to be itself; but a candidate whose ratio is, by
/// its lower bound, so many times what is allowed as the baseline cannot be of itself has failed.
fn unless_unsteady(check: CheckStatus, race: &Race, times_allowed: f64) -> CheckStatus {
    match control_ratio(race.baseline.milliseconds()) {
        Some(control) if control > STEADY && times_allowed <= control => {
            let words = format!(
                "the baseline looks {} times as slow as itself, more than {}: measure where less else runs",
                hundredths(control),
                hundredths(STEADY)
            );
            left_open(check, &words)
        }
        Some(_) | None => check,
    }
}

fn status(name: &str, judged: &Judgement, wanted: &str, message: String) -> CheckStatus {
    CheckStatus {
        name: name.to_owned(),
        verdict: of_bounds(judged.verdict),
        threshold: Some(wanted.to_owned()),
        method: Some(METHOD.to_owned()),
        n: signed(judged.n),
        message,
        ..CheckStatus::default()
    }
}
