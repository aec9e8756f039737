//! `quantize`: the words of the API become options of the library, and its errors failures.

use std::path::Path;

use serde_json::json;
use slipway_api::{
    job::{Failure, FailureCategory},
    stage::{BlockFit, Dynamic, Granularity, Quantize, QuantizeMethod, StoredType, WeightOnly, WeightType},
};
use slipway_artifacts::chain;

use super::Outcome;
use crate::{
    calibrate::Calibration,
    progress::Progress,
    stage::quantize::{self as library, HalfFloat, Method, Options, QuantizeError},
    work::failure::fail,
};

/// Quantizes the model at `model`, which is the artifact `source`.
pub(super) fn apply(
    spec: &Quantize,
    source: &str,
    calibration: Option<Calibration>,
    model: &Path,
    output: &Path,
    progress: &dyn Progress,
) -> Result<Outcome, Failure> {
    let options =
        options(spec).ok_or_else(|| fail(FailureCategory::Internal, "a stage's quantize has no method"))?;
    let options = Options { source: Some(source.to_owned()), calibration, ..options };
    let report = library::quantize(model, output, &options, progress).map_err(|error| of_quantize(&error))?;
    Ok(Outcome {
        size: report.size_after,
        facts: format!("{} tensors quantized, {} left", report.tensors.len(), report.skipped.len()),
        report: json!(report),
    })
}

/// The quantizer's options for what a user wrote; `None` where no method is there, which the CRD refuses.
pub fn options(spec: &Quantize) -> Option<Options> {
    let method = match spec.method()? {
        QuantizeMethod::Dynamic(Dynamic { weights: WeightType::Int8, granularity: of }) => {
            Method::Dynamic { granularity: granularity(*of), reduce_range: true }
        }
        QuantizeMethod::Static(spec) => {
            Method::Static { granularity: granularity(spec.granularity), reduce_range: true }
        }
        QuantizeMethod::WeightOnly(WeightOnly { weights, granularity: of, block, fit: by }) => {
            match weights {
                StoredType::Int8 => Method::Eight { granularity: granularity(*of) },
                StoredType::Int4 => {
                    Method::Four { block: block.unsigned_abs(), zero_points: false, fit: fit(*by) }
                }
                StoredType::Float16 => Method::Half { float: HalfFloat::Float16 },
            }
        }
    };
    Some(Options { method, rules: spec.rules.iter().map(rule).collect(), ..Options::default() })
}

fn granularity(granularity: Granularity) -> library::Granularity {
    match granularity {
        Granularity::PerChannel => library::Granularity::PerChannel,
        Granularity::PerTensor => library::Granularity::PerTensor,
    }
}

fn fit(fit: BlockFit) -> library::Fit {
    match fit {
        BlockFit::LeastSquares => library::Fit::LeastSquares,
        BlockFit::Nearest => library::Fit::Nearest,
    }
}

fn rule(rule: &slipway_api::stage::Rule) -> library::Rule {
    let slipway_api::stage::Rule { matches, keep_float } = rule;
    library::Rule { matches: matches.clone(), keep_float: *keep_float }
}

fn of_quantize(error: &QuantizeError) -> Failure {
    let category = match error {
        QuantizeError::NothingChanged { .. } | QuantizeError::Bigger { .. } => {
            FailureCategory::NothingChanged
        }
        QuantizeError::File(error) => super::of_file(error),
        _ => FailureCategory::InvalidModel,
    };
    Failure { category, retryable: error.is_retryable(), message: chain(error) }
}
