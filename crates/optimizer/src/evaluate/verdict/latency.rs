//! Verdicts on times of requests.

use slipway_api::status::CheckStatus;
use slipway_api::{LatencyCheck, Ratio};
use slipway_kernels::stats::{Confidence, Judgement, judge_time, judge_time_ratio};

use super::super::Race;
use super::super::words::{milliseconds, places, time, time_ratio};
use super::{Judge, named, of_bounds, open, signed};

const METHOD: &str = "bootstrap";

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
        p95.into_iter().chain(ratio).collect()
    }
}

fn absolute(name: &str, judged: &Judgement, wanted: &str) -> CheckStatus {
    CheckStatus {
        measured: Some(milliseconds(judged.measured)),
        low: Some(milliseconds(judged.low)),
        high: Some(milliseconds(judged.high)),
        ..status(name, judged, wanted, time(judged, wanted))
    }
}

fn relative(name: &str, race: &Race, theirs: f64, wanted: &Ratio, confidence: Confidence) -> CheckStatus {
    let Race { candidate, baseline } = race;
    let judged =
        judge_time_ratio(candidate.milliseconds(), baseline.milliseconds(), wanted.value(), confidence);
    let ours = candidate.summary().map_or(theirs, |of| of.p95_ms);
    CheckStatus {
        measured: Some(places(judged.measured)),
        low: Some(places(judged.low)),
        high: Some(places(judged.high)),
        reference: Some(milliseconds(theirs)),
        ..status(name, &judged, wanted.as_str(), time_ratio(&judged, ours, theirs, wanted.as_str()))
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
