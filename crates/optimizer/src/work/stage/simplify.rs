//! `simplify`: the words of the API become options of the library, and its errors failures.

use std::path::Path;

use serde_json::json;
use slipway_api::{
    job::{Failure, FailureCategory},
    stage::Simplify,
};

use super::{Given, Outcome};
use crate::{
    progress::Progress,
    stage::simplify::{self as library, Options, SimplifyError},
    work::failure::of_local,
};

/// Simplifies a model, for any engine.
pub(super) fn apply(
    spec: &Simplify,
    given: Given<'_>,
    output: &Path,
    progress: &dyn Progress,
) -> Result<Outcome, Failure> {
    let Given { model, source, calibration: _, data: _, backend: _ } = given;
    let options = Options { source: Some(source), ..options(spec) };
    let report = library::simplify(model, output, &options, progress).map_err(|error| of_simplify(&error))?;
    Ok(Outcome {
        size: report.size_after,
        facts: format!("{} nodes became {}", report.nodes_before, report.nodes_after),
        report: json!(report),
    })
}

/// The library's options for what a user wrote.
pub fn options(spec: &Simplify) -> Options {
    let Simplify { dims, allow_unchanged } = spec;
    let size = |(name, size): (&String, &i32)| (name.clone(), u64::try_from(*size).unwrap_or_default());
    Options { dims: dims.iter().map(size).collect(), allow_unchanged: *allow_unchanged, ..Options::default() }
}

fn of_simplify(error: &SimplifyError) -> Failure {
    let category = match error {
        SimplifyError::NothingChanged => FailureCategory::NothingChanged,
        SimplifyError::File(_)
        | SimplifyError::Model(_)
        | SimplifyError::Options { .. }
        | SimplifyError::Graph { .. } => FailureCategory::InvalidModel,
    };
    of_local(error, error.is_retryable(), category)
}
