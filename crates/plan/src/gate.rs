//! The gate's answer, read: from measured checks to one phase.

use slipway_api::{
    Gate, OnInconclusive,
    condition::reason,
    status::{CheckStatus, GateStatus, Verdict},
};

use crate::Phase;

/// Whether the artifact may serve, from what its gate measured.
///
/// Judged here and not only by the job, so that `onInconclusive` can change without judging again.
pub(crate) fn phase(gate: &Gate, status: &GateStatus) -> Phase {
    let failed = with(status, Verdict::Fail);
    // The stated verdict counts as well: an answer has room for few checks.
    if !failed.is_empty() || status.verdict == Verdict::Fail {
        return Phase::failed(reason::CHECK_FAILED, sentences(&failed));
    }
    let open = with(status, Verdict::Inconclusive);
    if !status.checks.iter().any(is_measured) {
        let why = if open.is_empty() { String::new() } else { format!(": {}", sentences(&open)) };
        return Phase::failed(reason::INCONCLUSIVE, format!("no check was measured{why}"));
    }
    if !open.is_empty() {
        return match gate.on_inconclusive {
            OnInconclusive::Fail => Phase::failed(reason::INCONCLUSIVE, sentences(&open)),
            OnInconclusive::Pass => Phase::done(
                reason::PASSED,
                format!("no check failed; inconclusive and let pass: {}", sentences(&open)),
            ),
        };
    }
    let passed = with(status, Verdict::Pass);
    Phase::done(reason::PASSED, format!("{} samples: {}", status.samples, sentences(&passed)))
}

/// Whether a check rests on a measurement: what is open for want of one tells nothing of the artifact.
fn is_measured(check: &CheckStatus) -> bool {
    check.verdict != Verdict::Inconclusive || check.measured.is_some()
}

fn with(status: &GateStatus, verdict: Verdict) -> Vec<&CheckStatus> {
    status.checks.iter().filter(|check| check.verdict == verdict).collect()
}

fn sentences(checks: &[&CheckStatus]) -> String {
    let words: Vec<_> = checks.iter().map(|check| words(check)).collect();
    if words.is_empty() { "the report of the gate's job has its checks".into() } else { words.join("; ") }
}

/// A check in words; from its numbers where the words were too long for the job's answer.
fn words(check: &CheckStatus) -> String {
    if !check.message.is_empty() {
        return format!("{}: {}", check.name, check.message);
    }
    let CheckStatus {
        name,
        verdict: _,
        measured,
        low,
        high,
        reference: _,
        threshold,
        method: _,
        n,
        message: _,
    } = check;
    let part = |label: &str, value: &Option<String>| value.as_ref().map(|value| format!("{label} {value}"));
    let parts = [part("measured", measured), part("low", low), part("high", high), part("wanted", threshold)];
    format!("{name}: {}, n {n}", parts.into_iter().flatten().collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use slipway_api::condition::reason;

    fn gate(on_inconclusive: &str) -> Gate {
        let task = json!({ "classification": { "output": "p" } });
        serde_json::from_value(json!({
            "data": "holdout", "task": task, "onInconclusive": on_inconclusive, "checks": [],
        }))
        .unwrap()
    }

    fn status(verdicts: &[Verdict]) -> GateStatus {
        let check = |(index, verdict): (usize, &Verdict)| CheckStatus {
            name: format!("check{index}"),
            verdict: *verdict,
            message: format!("words{index}"),
            ..CheckStatus::default()
        };
        GateStatus { checks: verdicts.iter().enumerate().map(check).collect(), ..GateStatus::default() }
    }

    #[test]
    fn one_failed_check_blocks_and_only_its_words_are_said() {
        let phase = phase(&gate("Fail"), &status(&[Verdict::Pass, Verdict::Fail, Verdict::Inconclusive]));
        assert!(phase.is_failed());
        assert_eq!((phase.reason, phase.message.as_str()), (reason::CHECK_FAILED, "check1: words1"));
    }

    #[test]
    fn inconclusive_blocks_unless_the_user_lets_it_pass() {
        let inconclusive = status(&[Verdict::Pass, Verdict::Inconclusive]);
        assert_eq!(phase(&gate("Fail"), &inconclusive).reason, reason::INCONCLUSIVE);
        assert!(phase(&gate("Pass"), &inconclusive).is_done());
    }

    #[test]
    fn a_stated_failure_blocks_whatever_checks_were_told_with_it() {
        let stated = GateStatus { verdict: Verdict::Fail, ..status(&[Verdict::Inconclusive]) };
        let phase = phase(&gate("Pass"), &stated);
        assert_eq!((phase.is_failed(), phase.reason), (true, reason::CHECK_FAILED));
    }

    #[test]
    fn a_failure_behind_many_open_checks_blocks_after_the_answer_was_cut_to_its_room() {
        let mut many = status(&[Verdict::Inconclusive; 48]);
        many.checks[47].verdict = Verdict::Fail;
        many.checks.iter_mut().for_each(|check| check.message = "words ".repeat(60));
        let result = slipway_api::job::JobResult { gate: Some(many), ..Default::default() };
        let told: slipway_api::job::JobResult = serde_json::from_str(&result.to_message()).unwrap();
        let phase = phase(&gate("Pass"), &told.gate.unwrap());
        assert_eq!((phase.is_failed(), phase.reason), (true, reason::CHECK_FAILED));
    }

    #[test]
    fn no_measured_check_is_not_a_pass() {
        assert!(phase(&gate("Fail"), &status(&[])).is_failed());
        assert!(phase(&gate("Pass"), &status(&[])).is_failed());
        let mut open = status(&[Verdict::Inconclusive; 2]);
        let told = phase(&gate("Pass"), &open);
        assert_eq!((told.is_failed(), told.reason), (true, reason::INCONCLUSIVE));
        assert_eq!(told.message, "no check was measured: check0: words0; check1: words1");
        open.checks[1].measured = Some("0.99".into());
        assert!(phase(&gate("Pass"), &open).is_done());
    }

    #[test]
    fn a_reported_measurement_blocks_nothing() {
        assert!(phase(&gate("Fail"), &status(&[Verdict::Pass, Verdict::Reported])).is_done());
    }

    #[test]
    fn words_that_did_not_fit_are_said_again_from_the_numbers() {
        let mut failed = status(&[Verdict::Fail]);
        failed.checks[0] = CheckStatus {
            message: String::new(),
            measured: Some("0.9".into()),
            threshold: Some("0.95".into()),
            n: 720,
            ..failed.checks[0].clone()
        };
        assert_eq!(phase(&gate("Fail"), &failed).message, "check0: measured 0.9, wanted 0.95, n 720");
    }
}
