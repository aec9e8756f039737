//! `quantize`: the words of the API become options of the library, and its errors failures.

use std::path::Path;

use serde_json::json;
use slipway_api::{
    Backend,
    job::{Failure, FailureCategory},
    stage::{BlockFit, Dynamic, Granularity, Quantize, QuantizeMethod, StoredType, WeightOnly, WeightType},
};

use super::{Given, Outcome};
use crate::{
    calibrate::CalibrateError,
    progress::Progress,
    stage::quantize::{self as library, Engine, HalfFloat, Method, Options, QuantizeError},
    work::failure::{fail, of_local},
};

/// Quantizes a model.
pub(super) fn apply(
    spec: &Quantize,
    given: Given<'_>,
    output: &Path,
    progress: &dyn Progress,
) -> Result<Outcome, Failure> {
    let Given { model, source, calibration, data, backend } = given;
    let options = options(spec, backend)
        .ok_or_else(|| fail(FailureCategory::Internal, "a stage's quantize has no method"))?;
    let (data, bias_correction) = if spec.bias_correction.is_some() { (None, data) } else { (data, None) };
    let options = Options { source: Some(source), calibration, data, bias_correction, ..options };
    let report = library::quantize(model, output, &options, progress).map_err(|error| of_quantize(&error))?;
    Ok(Outcome {
        size: report.size_after,
        facts: format!("{} tensors quantized, {} left", report.tensors.len(), report.skipped.len()),
        report: json!(report),
    })
}

/// The quantizer's options for what a user wrote and the engine that has to load the result; `None` where no method is
/// there, which the CRD refuses.
pub fn options(spec: &Quantize, backend: Backend) -> Option<Options> {
    let method = match spec.method()? {
        QuantizeMethod::Dynamic(Dynamic { weights: WeightType::Int8, granularity: of }) => {
            Method::Dynamic { granularity: granularity(*of), reduce_range: true }
        }
        QuantizeMethod::Static(spec) => {
            Method::Static { granularity: granularity(spec.granularity), reduce_range: true }
        }
        QuantizeMethod::WeightOnly(spec) => weight_only(spec),
    };
    let rules = spec.rules.iter().map(rule).collect();
    Some(Options { method, engine: engine(backend), rules, ..Options::default() })
}

fn weight_only(spec: &WeightOnly) -> Method {
    let WeightOnly { weights, granularity: of, block, zero_points, fit: by, data: _, samples: _ } = spec;
    match weights {
        StoredType::Int8 => match block {
            Some(block) => Method::EightInBlocks { block: block.unsigned_abs(), fit: fit(*by) },
            None => Method::Eight { granularity: granularity(*of) },
        },
        StoredType::Int4 => {
            let block = block.unwrap_or(WeightOnly::BLOCK).unsigned_abs();
            Method::Four { block, zero_points: *zero_points, fit: fit(*by) }
        }
        StoredType::Float16 => Method::Half { float: HalfFloat::Float16 },
        StoredType::Bfloat16 => Method::Half { float: HalfFloat::Bfloat16 },
    }
}

/// The engine whose forms are taken: the built-in one's load in both.
fn engine(backend: Backend) -> Engine {
    if backend.may_be_rten() { Engine::Rten } else { Engine::OnnxRuntime }
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
        BlockFit::HalfQuadratic => library::Fit::HalfQuadratic,
        BlockFit::Gptq => library::Fit::Gptq,
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
        QuantizeError::Calibration(CalibrateError::Capture(error)) => super::of_capture(error),
        _ => FailureCategory::InvalidModel,
    };
    of_local(error, error.is_retryable(), category)
}
