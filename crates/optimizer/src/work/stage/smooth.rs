//! `smooth`: the words of the API become options of the library, and its errors failures.

use std::path::Path;

use serde_json::json;
use slipway_api::{
    job::{Failure, FailureCategory},
    stage::Smooth,
};

use super::{Given, Outcome};
use crate::{
    progress::Progress,
    stage::smooth::{self as library, Options, SmoothError},
    work::failure::{fail, of_local},
};

/// Smooths a model, for any engine.
pub(super) fn apply(
    spec: &Smooth,
    given: Given<'_>,
    output: &Path,
    progress: &dyn Progress,
) -> Result<Outcome, Failure> {
    let Given { model, source, calibration: _, data, backend: _ } = given;
    let data = data.ok_or_else(|| fail(FailureCategory::Internal, "a stage's smooth has no data"))?;
    let options = Options { source: Some(source), ..options(spec) };
    let report =
        library::smooth(model, output, &data, &options, progress).map_err(|error| of_smooth(&error))?;
    Ok(Outcome {
        size: report.size_after,
        facts: format!(
            "{} activations smoothed, {} products left",
            report.smoothed.len(),
            report.skipped.len()
        ),
        report: json!(report),
    })
}

/// The library's options for what a user wrote.
pub fn options(spec: &Smooth) -> Options {
    let Smooth { data: _, alpha, samples: _ } = spec;
    let default = Options::default();
    let alpha = alpha.as_ref().and_then(|alpha| alpha.as_str().parse().ok()).unwrap_or(default.alpha);
    Options { alpha, ..default }
}

fn of_smooth(error: &SmoothError) -> Failure {
    let category = match error {
        SmoothError::NothingChanged { .. } => FailureCategory::NothingChanged,
        SmoothError::Capture(error) => super::of_capture(error),
        SmoothError::File(_)
        | SmoothError::Model(_)
        | SmoothError::Alpha { .. }
        | SmoothError::Opset { .. } => FailureCategory::InvalidModel,
    };
    of_local(error, error.is_retryable(), category)
}
