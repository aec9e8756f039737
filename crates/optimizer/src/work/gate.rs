//! Judging an artifact: two running servers, the data set, and what came of it.

use std::path::Path;

use serde::Serialize;
use serde_json::json;
use slipway_api::{
    Check,
    job::{Failure, FailureCategory, GateWork, JobResult},
    status::GateStatus,
};
use slipway_artifacts::{Kind, chain};

use super::{
    Context,
    data::bound,
    failure::{disk, fail, of_store},
    judges::{Judges, longest},
    publish::StepOutput,
    roles::refuse_seen_data,
    stage::pulled,
};
use crate::evaluate::{
    EvaluateError, Evaluation, HttpPredictor, Measured, Race, ReplayOptions, Sizes, judge, race, replay,
};

/// The name of the golden samples' file in their artifact.
const ENTRY: &str = "samples.golden";

pub(super) async fn run(work: &GateWork, context: &Context, scratch: &Path) -> Result<StepOutput, Failure> {
    let Some(judges) = &context.judges else {
        return Err(fail(FailureCategory::Internal, "a gate needs two servers to drive"));
    };
    refuse_seen_data(work, context).await?;
    let data = pulled(&work.data_digest, context, &scratch.join("data")).await?;
    let Evaluated { evaluation: Evaluation { tally, recorded }, race, engines } =
        evaluated(work, judges, &data, context).await?;
    let sizes = Sizes {
        candidate: size(&work.candidate, context).await?,
        baseline: size(&work.baseline, context).await?,
    };
    let measured = Measured { tally, sizes, race };
    let status = GateStatus { artifact_digest: Some(work.candidate.clone()), ..judge(&work.gate, &measured) };
    let local = scratch.join(ENTRY);
    let bytes =
        (recorded.golden.to_bytes()).map_err(|error| fail(FailureCategory::Internal, error.to_string()))?;
    std::fs::write(&local, bytes).map_err(disk)?;
    let report = json!({ "gate": work.gate, "status": status, "measured": measured, "engines": engines, "inputs": work });
    Ok(StepOutput {
        kind: Kind::Samples,
        files: vec![(ENTRY.into(), local)],
        entry: ENTRY.into(),
        format: "golden",
        result: JobResult {
            facts: Some(format!("{} samples, {}, {}", status.samples, recorded.words(), engines.words())),
            gate: Some(status),
            ..JobResult::default()
        },
        report,
    })
}

/// What was measured, and in which engines.
struct Evaluated {
    evaluation: Evaluation,
    race: Option<Race>,
    engines: Engines,
}

/// The engines that computed.
#[derive(Serialize)]
struct Engines {
    candidate: String,
    baseline: String,
}

impl Engines {
    fn words(&self) -> String {
        let Self { candidate, baseline } = self;
        format!("candidate in {candidate}, baseline in {baseline}")
    }
}

async fn evaluated(
    work: &GateWork,
    judges: &Judges,
    data: &Path,
    context: &Context,
) -> Result<Evaluated, Failure> {
    let Some(classification) = &work.gate.task.classification else {
        return Err(fail(FailureCategory::Internal, "the gate's task has no kind"));
    };
    let connect = |base: &str, role| {
        let base = base.to_owned();
        async move { HttpPredictor::connect(&base, &work.model_name, role, &classification.output).await }
    };
    let of_evaluation = |error: EvaluateError| of_evaluation(&error);
    let mut candidate =
        connect(&judges.candidate, "candidate").await.map_err(|error| of_evaluation(error.into()))?;
    let mut baseline =
        connect(&judges.baseline, "baseline").await.map_err(|error| of_evaluation(error.into()))?;
    let engines =
        Engines { candidate: candidate.engine().to_owned(), baseline: baseline.engine().to_owned() };
    let samples = bound(data, &work.data, candidate.inputs())?;
    let asked = |kind: fn(&Check) -> bool| work.gate.checks.iter().any(kind);
    let needs_labels = asked(|check| check.accuracy.is_some());
    let options = ReplayOptions { output: &classification.output, needs_labels };
    let done = |_| context.progress.advance(1);
    context.progress.start_counting("judging", u64::try_from(samples.count()).ok());
    let replayed = replay(&samples, &mut candidate, &mut baseline, options, done).await;
    context.progress.finish();
    let evaluation = replayed.map_err(of_evaluation)?;
    if !asked(|check| check.latency.is_some()) {
        return Ok(Evaluated { evaluation, race: None, engines });
    }
    let pairs = Race::PAIRS;
    context.progress.start_counting("timing", u64::try_from(Race::laps(pairs)).ok());
    let before = judges.throttled().await;
    let raced = race(&samples, &mut candidate, &mut baseline, pairs, done).await;
    context.progress.finish();
    let raced = raced.map_err(of_evaluation)?;
    let throttled = raced.throttled.max(longest(&before, &judges.throttled().await));
    Ok(Evaluated { evaluation, race: Some(Race { throttled, ..raced }), engines })
}

fn of_evaluation(error: &EvaluateError) -> Failure {
    let category = if error.is_data() { FailureCategory::InvalidData } else { FailureCategory::Internal };
    Failure { category, retryable: error.is_retryable(), message: chain(error) }
}

async fn size(digest: &str, context: &Context) -> Result<u64, Failure> {
    let digest = digest.parse().map_err(|error| of_store(&error))?;
    let manifest = context.store.manifest(&digest).await.map_err(|error| of_store(&error))?;
    Ok(manifest.size())
}
