//! Applying one stage to one artifact; each kind brings its options, its failures and its words.

mod look;
pub mod quantize;
pub mod simplify;
pub mod smooth;

use std::path::{Path, PathBuf};

use serde_json::Value;
use slipway_api::{
    Backend, Stage, StageKind,
    job::{Failure, FailureCategory, JobResult, StageData},
};
use slipway_artifacts::Kind;
use slipway_model::onnx::OnnxModel;

use super::{
    Context, calibrate,
    failure::{disk, fail, of_store},
    publish::StepOutput,
    source::{of_model, refuse_unknown_operators},
};
use crate::{
    calibrate::{Calibration, CaptureError, CaptureOptions, Data},
    progress::Progress,
};

/// The name of the model's file in a stage's output.
const ENTRY: &str = "model.onnx";

/// What a stage says of its work.
struct Outcome {
    /// Bytes of all files of the output.
    size: u64,
    /// One line for a person.
    facts: String,
    report: Value,
}

/// What goes into a stage, by digest.
#[derive(Clone, Copy)]
pub(super) struct Artifacts<'a> {
    pub(super) input: &'a str,
    pub(super) calibration: Option<&'a str>,
    pub(super) data: Option<&'a StageData>,
}

/// What a kind works on.
struct Given<'a> {
    /// The model's file.
    model: &'a Path,
    /// The artifact that it is.
    source: String,
    calibration: Option<Calibration>,
    /// What the stage looks at, where it does.
    data: Option<Data>,
    /// The engine that has to load what comes out.
    backend: Backend,
}

pub(super) async fn run(
    stage: &Stage,
    artifacts: Artifacts<'_>,
    backend: Backend,
    context: &Context,
    scratch: &Path,
) -> Result<StepOutput, Failure> {
    let Artifacts { input, calibration, data: looked_at } = artifacts;
    let calibration = calibrate::pulled(calibration, context, &scratch.join("calibration")).await?;
    let model = pulled(input, context, &scratch.join("input")).await?;
    let data = look::pulled(looked_at, context, &scratch.join("data")).await?;
    let folder = scratch.join("output");
    std::fs::create_dir_all(&folder).map_err(disk)?;
    let output = folder.join(ENTRY);
    let progress = super::Forward::new(context.progress.clone(), stage.kind().map_or("working", doing));
    let (stage, source, scratch) = (stage.clone(), input.to_owned(), scratch.to_owned());
    let work = move || {
        let capture = CaptureOptions { scratch, ..calibrate::capture_options(backend) };
        let data = data.map(|data| data.open(&stage, &model, capture)).transpose()?;
        let given = Given { model: &model, source, calibration, data, backend };
        let outcome = apply(&stage, given, &output, &progress)?;
        Ok((outcome, files(&output, backend)?))
    };
    let (outcome, files) = tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| fail(FailureCategory::Internal, error.to_string()))??;
    Ok(made(outcome, files))
}

/// Does what the kind of a stage says.
fn apply(
    stage: &Stage,
    given: Given<'_>,
    output: &Path,
    progress: &dyn Progress,
) -> Result<Outcome, Failure> {
    match stage.kind() {
        Some(StageKind::Quantize(spec)) => quantize::apply(spec, given, output, progress),
        Some(StageKind::Smooth(spec)) => smooth::apply(spec, given, output, progress),
        Some(StageKind::Simplify(spec)) => simplify::apply(spec, given, output, progress),
        None => Err(fail(FailureCategory::Internal, format!("stage {} has no kind", stage.name))),
    }
}

/// What progress says that a kind does.
fn doing(kind: StageKind<'_>) -> &'static str {
    match kind {
        StageKind::Quantize(_) => "quantizing",
        StageKind::Simplify(_) => "simplifying",
        StageKind::Smooth(_) => "smoothing",
    }
}

fn made(outcome: Outcome, files: Vec<(String, PathBuf)>) -> StepOutput {
    let Outcome { size, facts, report } = outcome;
    StepOutput {
        kind: Kind::Model,
        files,
        entry: ENTRY.into(),
        format: "onnx",
        result: JobResult {
            size_bytes: i64::try_from(size).ok(),
            facts: Some(facts),
            ..JobResult::default()
        },
        report,
    }
}

/// The files of an output, once the engine that serves knows all of its operators.
fn files(output: &Path, backend: Backend) -> Result<Vec<(String, PathBuf)>, Failure> {
    let written = OnnxModel::open(output).map_err(|error| of_model(&error))?;
    refuse_unknown_operators(output, backend)?;
    let files = written.files().into_iter().map(|file| {
        let name = file.file_name().map_or_else(|| ENTRY.into(), |name| name.to_string_lossy().into_owned());
        (name, file)
    });
    Ok(files.collect())
}

/// The category of a model that could not be run for its values, where the disk is not to blame.
pub(super) fn of_capture(error: &CaptureError) -> FailureCategory {
    match error {
        CaptureError::Run { .. }
        | CaptureError::Sample { .. }
        | CaptureError::NoSamples
        | CaptureError::Refused { .. } => FailureCategory::InvalidData,
        CaptureError::Load(_) => FailureCategory::UnsupportedOperator,
        CaptureError::Scratch { .. } => FailureCategory::Disk,
        CaptureError::File(_) | CaptureError::Model(_) | CaptureError::NoValue { .. } => {
            FailureCategory::InvalidModel
        }
    }
}

/// Brings an artifact of the object's repository to a folder; the path of its model file.
pub(super) async fn pulled(digest: &str, context: &Context, into: &Path) -> Result<PathBuf, Failure> {
    let digest = digest.parse().map_err(|error| of_store(&error))?;
    let pulled = (context.store.pull(&digest, into, &context.fetch.limits, &context.progress).await)
        .map_err(|error| of_store(&error))?;
    pulled.entry_path().ok_or_else(|| {
        fail(
            FailureCategory::ArtifactMissing,
            format!("artifact {digest} does not say which of its files matters"),
        )
    })
}
