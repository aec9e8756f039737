//! Running a model for the ranges of its activations.

use std::path::{Path, PathBuf};

use serde_json::json;
use slipway_api::{
    Backend, DataSet,
    job::{CalibrateWork, Failure, FailureCategory, JobResult},
    stage::{CalibrationRange, Static},
};
use slipway_artifacts::{Kind, digest_file};
use slipway_server::BackendChoice;

use super::{
    Context, Counted,
    data::bound,
    failure::{disk, fail, of_local, of_store},
    publish::StepOutput,
    stage,
};
use crate::calibrate::{
    CalibrateError, CalibrateOptions, Calibration, Calibrator, CaptureOptions, Percent, Range,
};

/// The name of a calibration's file in its artifact.
const ENTRY: &str = "calibration.json";

pub(super) async fn run(
    work: &CalibrateWork,
    context: &Context,
    scratch: &Path,
) -> Result<StepOutput, Failure> {
    let model = stage::pulled(&work.input, context, &scratch.join("input")).await?;
    let data = stage::pulled(&work.data_digest, context, &scratch.join("data")).await?;
    let mut options = options(&work.calibrate, work.backend);
    options.capture.scratch = scratch.to_owned();
    let (binding, progress) = (work.data.clone(), Counted::new(context.progress.clone(), "calibrating"));
    let calibration =
        tokio::task::spawn_blocking(move || calibrated(&model, &data, &binding, &options, &progress))
            .await
            .map_err(|error| fail(FailureCategory::Internal, error.to_string()))??;
    let local = scratch.join(ENTRY);
    std::fs::write(&local, calibration.to_json()).map_err(disk)?;
    Ok(made(work, &calibration, local))
}

fn made(work: &CalibrateWork, calibration: &Calibration, file: PathBuf) -> StepOutput {
    let (ranges, without) = (calibration.spans().len(), calibration.unusable.len());
    StepOutput {
        kind: Kind::Report,
        files: vec![(ENTRY.into(), file)],
        entry: ENTRY.into(),
        format: "json",
        result: JobResult {
            facts: Some(format!("{ranges} ranges from {} samples, {without} without", calibration.samples)),
            ..JobResult::default()
        },
        report: json!({ "calibrate": work.calibrate, "inputs": work, "calibration": calibration }),
    }
}

fn calibrated(
    model: &Path,
    data: &Path,
    binding: &DataSet,
    options: &CalibrateOptions,
    progress: &Counted,
) -> Result<Calibration, Failure> {
    let calibrator = Calibrator::open(model, options).map_err(|error| of_calibration(&error))?;
    let samples = bound(data, binding, &calibrator.inputs())?;
    let (digest, _) = digest_file(data).map_err(|error| of_store(&error))?;
    calibrator.run(&samples, &digest.to_string(), progress).map_err(|error| of_calibration(&error))
}

fn of_calibration(error: &CalibrateError) -> Failure {
    let category = match error {
        CalibrateError::NothingToCalibrate => FailureCategory::NothingChanged,
        CalibrateError::NoRanges { .. } => FailureCategory::InvalidData,
        CalibrateError::Capture(error) => stage::of_capture(error),
        CalibrateError::Digest(_) | CalibrateError::Read { .. } => FailureCategory::Disk,
        CalibrateError::Invalid { .. } => FailureCategory::InvalidModel,
    };
    of_local(error, error.is_retryable(), category)
}

/// Brings a calibration to a stage that needs it.
pub(super) async fn pulled(
    digest: Option<&str>,
    context: &Context,
    into: &Path,
) -> Result<Option<Calibration>, Failure> {
    let Some(digest) = digest else { return Ok(None) };
    let file = stage::pulled(digest, context, into).await?;
    Calibration::read(&file).map(Some).map_err(|error| of_calibration(&error))
}

/// The share of values that a range by percentile holds unless a user says otherwise, in percent.
const PERCENTILE: &str = "99.99";

/// How a model is calibrated for what a user wrote, and in which engine.
pub fn options(spec: &Static, backend: Backend) -> CalibrateOptions {
    let range = match spec.range {
        CalibrationRange::Entropy => Range::Entropy,
        CalibrationRange::MinMax => Range::MinMax,
        CalibrationRange::Mse => Range::Mse,
        CalibrationRange::Percentile => Range::Percentile(percentile(spec)),
    };
    let samples = usize::try_from(spec.samples).unwrap_or_default().max(1);
    CalibrateOptions { range, samples, capture: capture_options(backend) }
}

/// How a model is run for its values, in which engine.
pub fn capture_options(backend: Backend) -> CaptureOptions {
    let mut options = CaptureOptions::default();
    options.engine.backend = choice(backend);
    options
}

/// The server's word for an engine of the API.
pub fn choice(backend: Backend) -> BackendChoice {
    match backend {
        Backend::Auto => BackendChoice::Auto,
        Backend::Rten => BackendChoice::Rten,
        Backend::Onnxruntime => BackendChoice::OnnxRuntime,
    }
}

fn percentile(spec: &Static) -> Percent {
    let text = spec.percentile.as_ref().map_or(PERCENTILE, slipway_api::Percent::as_str);
    text.parse().unwrap_or_else(|_| PERCENTILE.parse().expect("a share"))
}
