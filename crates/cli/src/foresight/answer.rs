//! What a step answers when all goes well, with placeholders for what only its run can tell.

use slipway_api::{
    job::{GateWork, JobResult, JobSpec, Work},
    status::{CheckStatus, GateStatus, Verdict},
};
use slipway_optimizer::work::TOOL;

use super::placeholder;

/// The answer of a step that succeeded.
pub(super) fn success(spec: &JobSpec) -> JobResult {
    let base = JobResult {
        report: Some(placeholder::digest("report", &spec.step)),
        tool: Some(TOOL.into()),
        ..JobResult::default()
    };
    match &spec.work {
        Work::Gate(work) => JobResult {
            golden: Some(placeholder::digest("golden samples", &spec.step)),
            gate: Some(passed(work)),
            ..base
        },
        Work::Source { .. } | Work::Data { .. } | Work::Calibrate(_) | Work::Stage { .. } => {
            JobResult { output: Some(placeholder::digest("output", &spec.step)), ..base }
        }
    }
}

fn passed(work: &GateWork) -> GateStatus {
    let check = |name: &String| CheckStatus {
        name: name.clone(),
        verdict: Verdict::Pass,
        measured: Some("<measured>".into()),
        message: "<what was measured>".into(),
        ..CheckStatus::default()
    };
    GateStatus {
        verdict: Verdict::Pass,
        samples: work.gate.min_samples,
        accuracy: work.data.labels.is_some().then(|| "<accuracy that gate measures>".into()),
        artifact_digest: Some(work.candidate.clone()),
        checks: work.gate.checks.iter().map(|one| check(&one.name)).collect(),
    }
}
