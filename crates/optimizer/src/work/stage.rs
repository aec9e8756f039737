//! Applying one stage to one artifact.

use std::path::{Path, PathBuf};

use serde_json::json;
use slipway_api::{
    Stage, StageKind,
    job::{Failure, FailureCategory, JobResult},
    stage::{BlockFit, Dynamic, Granularity, Quantize, QuantizeMethod, StoredType, WeightOnly, WeightType},
};
use slipway_artifacts::Kind;
use slipway_model::onnx::OnnxModel;

use super::{
    Context,
    failure::{chain, fail, of_store},
    publish::Made,
    source::{of_model, refuse_unknown_operators},
};
use crate::{
    file::FileError,
    stage::quantize::{self, HalfFloat, Method, Options, QuantizeError, QuantizeReport, quantize},
};

/// The name of the model's file in a stage's output.
const ENTRY: &str = "model.onnx";

pub(super) async fn run(
    stage: &Stage,
    input: &str,
    context: &Context,
    scratch: &Path,
) -> Result<Made, Failure> {
    let model = pulled(input, context, &scratch.join("input")).await?;
    let folder = scratch.join("output");
    std::fs::create_dir_all(&folder).map_err(|error| fail(FailureCategory::Storage, error.to_string()))?;
    let output = folder.join(ENTRY);
    let Some(StageKind::Quantize(spec)) = stage.kind() else {
        return Err(fail(FailureCategory::Internal, format!("stage {} has no kind", stage.name)));
    };
    let options = options(spec).ok_or_else(|| {
        fail(FailureCategory::Internal, format!("stage {}: quantize has no method", stage.name))
    })?;
    let options = Options { source: Some(input.to_owned()), ..options };
    let progress = super::Forward(context.progress.clone());
    let (report, files) = tokio::task::spawn_blocking(move || apply(&model, &output, &options, &progress))
        .await
        .map_err(|error| fail(FailureCategory::Internal, error.to_string()))??;
    Ok(made(input, &report, files))
}

fn made(input: &str, report: &QuantizeReport, files: Vec<(String, PathBuf)>) -> Made {
    Made {
        kind: Kind::Model,
        files,
        entry: ENTRY.into(),
        format: "onnx",
        inputs: vec![input.to_owned()],
        result: JobResult {
            size_bytes: i64::try_from(report.size_after).ok(),
            facts: Some(format!("{} tensors quantized, {} left", report.tensors.len(), report.skipped.len())),
            ..JobResult::default()
        },
        report: json!(report),
    }
}

fn apply(
    model: &Path,
    output: &Path,
    options: &Options,
    progress: &dyn crate::progress::Progress,
) -> Result<(QuantizeReport, Vec<(String, PathBuf)>), Failure> {
    let report = quantize(model, output, options, progress).map_err(|error| of_quantize(&error))?;
    let written = OnnxModel::open(output).map_err(|error| of_model(&error))?;
    refuse_unknown_operators(output)?;
    let files = written.files().into_iter().map(|file| {
        let name = file.file_name().map_or_else(|| ENTRY.into(), |name| name.to_string_lossy().into_owned());
        (name, file)
    });
    Ok((report, files.collect()))
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

/// The quantizer's options for what a user wrote; `None` where no method is there, which the CRD refuses.
pub fn options(spec: &Quantize) -> Option<Options> {
    let method = match spec.method()? {
        QuantizeMethod::Dynamic(Dynamic { weights: WeightType::Int8, granularity: of }) => {
            Method::Dynamic { granularity: granularity(*of), reduce_range: true }
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

fn granularity(granularity: Granularity) -> quantize::Granularity {
    match granularity {
        Granularity::PerChannel => quantize::Granularity::PerChannel,
        Granularity::PerTensor => quantize::Granularity::PerTensor,
    }
}

fn fit(fit: BlockFit) -> quantize::Fit {
    match fit {
        BlockFit::LeastSquares => quantize::Fit::LeastSquares,
        BlockFit::Nearest => quantize::Fit::Nearest,
    }
}

fn rule(rule: &slipway_api::stage::Rule) -> quantize::Rule {
    let slipway_api::stage::Rule { matches, keep_float } = rule;
    quantize::Rule { matches: matches.clone(), keep_float: *keep_float }
}

fn of_quantize(error: &QuantizeError) -> Failure {
    let category = match error {
        QuantizeError::NothingChanged { .. } | QuantizeError::Bigger { .. } => {
            FailureCategory::NothingChanged
        }
        QuantizeError::File(FileError::Read { .. } | FileError::Write { .. }) => FailureCategory::Storage,
        _ => FailureCategory::InvalidModel,
    };
    Failure { category, retryable: error.is_retryable(), message: chain(error) }
}
