//! Verdicts on times of requests.

use slipway_api::status::CheckStatus;
use slipway_api::status::Verdict;
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
            let judged =
                judge_time(race.candidate.milliseconds(), wanted.value().as_secs_f64() * 1e3, confidence);
            absolute(&named("p95"), &judged, &wanted.to_string())
        });
        let ratio =
            ratio.map(|wanted| relative(&named("maxRatio"), race, baseline.p95_ms, &wanted, confidence));
        let checks = p95.into_iter().chain(ratio);
        match throttled(race) {
            Some(words) => checks.map(|check| left_open(check, &words)).collect(),
            None => checks.collect(),
        }
    }
}

/// Why no time of a race counts, where a limit of processor time held it up.
fn throttled(race: &Race) -> Option<String> {
    let Race { took, throttled, .. } = race;
    (throttled.as_secs_f64() > took.as_secs_f64() * WITHHELD).then(|| {
        format!(
            "the CPU limit held it up for {:.1} of {:.1} seconds: raise limits.cpu of serving.resources and jobs.resources, or \
             leave it out",
            throttled.as_secs_f64(),
            took.as_secs_f64()
        )
    })
}

/// Why two models cannot be told apart, where the baseline cannot be told to be itself.
fn unsteady(race: &Race) -> Option<String> {
    let control = control_ratio(race.baseline.milliseconds()).filter(|control| *control > STEADY)?;
    Some(format!(
        "the baseline looks {} times as slow as itself, more than {}: measure where less else runs",
        hundredths(control),
        hundredths(STEADY)
    ))
}

fn left_open(check: CheckStatus, words: &str) -> CheckStatus {
    let message = format!("{}; it does not count, since {words}", check.message);
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
    match unsteady(race) {
        Some(words) => left_open(check, &words),
        None => check,
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
