//! Applying one stage to one artifact.

use std::path::{Path, PathBuf};

use serde_json::json;
use slipway_api::{
    Stage, StageKind,
    job::{Failure, FailureCategory, JobResult},
    stage::{Dynamic, Granularity, QuantizeMethod, WeightType},
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
    stage::quantize::{self, Method, Options, QuantizeError, QuantizeReport, quantize},
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
    let Some(QuantizeMethod::Dynamic(dynamic)) = spec.method() else {
        return Err(fail(FailureCategory::Internal, format!("stage {}: quantize has no method", stage.name)));
    };
    let options = Options { source: Some(input.to_owned()), ..options(dynamic) };
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

/// The quantizer's options for what a user wrote.
pub fn options(dynamic: &Dynamic) -> Options {
    let Dynamic { weights, granularity } = dynamic;
    let WeightType::Int8 = weights;
    let granularity = match granularity {
        Granularity::PerChannel => quantize::Granularity::PerChannel,
        Granularity::PerTensor => quantize::Granularity::PerTensor,
    };
    Options { method: Method::Dynamic { granularity, reduce_range: true }, ..Options::default() }
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
