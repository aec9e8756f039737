//! The first step: fetch the model, verify it, tell what it is, and refuse what the engine cannot run.

use std::path::{Path, PathBuf};

use serde_json::json;
use slipway_api::{
    Backend, ModelFormat, Source,
    job::{Failure, FailureCategory, JobResult},
};
use slipway_artifacts::{FetchOptions, Kind, SourceSpec, chain, fetch};
use slipway_model::{
    onnx::{self, OnnxError, OnnxFacts, OnnxModel, TensorProblem},
    sniff::{FileFormat, sniff_file},
};

use super::{
    Context,
    failure::{disk, fail, of_local, of_source},
    publish::StepOutput,
};

/// The files that a model keeps tensors in, beside its own; none for what is no model.
pub fn companions(file: &Path) -> Vec<String> {
    onnx::companions(file).unwrap_or_default().into_iter().collect()
}

/// Fetches a source into a folder.
pub(super) async fn fetched(
    source: &Source,
    options: &FetchOptions,
    into: &Path,
) -> Result<PathBuf, Failure> {
    let invalid = |error: slipway_artifacts::Error| of_source(&error);
    let spec = SourceSpec {
        uri: source.uri.parse().map_err(invalid)?,
        file: source.file.as_ref().map(|file| file.parse()).transpose().map_err(invalid)?,
        digest: source.digest.as_ref().map(|digest| digest.parse()).transpose().map_err(invalid)?,
    };
    let fetched = fetch(&spec, into, options).await.map_err(|error| of_source(&error))?;
    match fetched.entry {
        Some(entry) => Ok(entry.join_to(into)),
        None => Err(fail(
            FailureCategory::NotFound,
            format!("{} is a folder with several files: name the one that matters with file:", source.uri),
        )),
    }
}

pub(super) async fn run(
    source: &Source,
    format: Option<ModelFormat>,
    backend: Backend,
    context: &Context,
    scratch: &Path,
) -> Result<StepOutput, Failure> {
    let folder = scratch.join("source");
    let options = FetchOptions { companions, ..context.fetch.clone() };
    let entry = fetched(source, &options, &folder).await?;
    let (files, facts) = tokio::task::spawn_blocking(move || examine(&entry, format, backend))
        .await
        .map_err(|error| fail(FailureCategory::Internal, error.to_string()))??;
    let Some((name, _)) = files.first().cloned() else {
        return Err(fail(FailureCategory::Internal, "a model has no file"));
    };
    let operators: u64 = facts.operators.values().sum();
    Ok(StepOutput {
        kind: Kind::Model,
        files,
        entry: name,
        format: "onnx",
        result: JobResult {
            size_bytes: i64::try_from(facts.total_bytes).ok(),
            facts: Some(format!("onnx, {operators} nodes, {} parameters", facts.parameters)),
            ..JobResult::default()
        },
        report: json!({ "source": source, "facts": facts }),
    })
}

type Examined = (Vec<(String, PathBuf)>, OnnxFacts);

/// The files of the model, the entry first, and its facts; refuses what is no model or cannot be run.
fn examine(entry: &Path, format: Option<ModelFormat>, backend: Backend) -> Result<Examined, Failure> {
    match (sniff_file(entry), format) {
        (Ok(FileFormat::Onnx), None | Some(ModelFormat::Onnx)) | (_, Some(ModelFormat::Onnx)) => {}
        (Ok(other), None) => {
            return Err(fail(
                FailureCategory::InvalidModel,
                format!("{} is {other}, not an ONNX model: {}", file_name(entry), other.to_onnx()),
            ));
        }
        (Err(error), None) => return Err(disk(error)),
    }
    let model = OnnxModel::open(entry).map_err(|error| of_model(&error))?;
    refuse_unknown_operators(entry, backend)?;
    let folder = model.folder().to_owned();
    let mut files = vec![(file_name(entry), entry.to_owned())];
    for file in model.files().into_iter().filter(|file| file != entry) {
        let inside = file.strip_prefix(&folder).unwrap_or(&file);
        files.push((inside.to_string_lossy().into_owned(), file.clone()));
    }
    Ok((files, model.facts()))
}

/// Refuses a model whose operators the engine that will serve does not know, naming them; ONNX Runtime tells only when
/// it loads a model.
pub(super) fn refuse_unknown_operators(model: &Path, backend: Backend) -> Result<(), Failure> {
    if backend.may_be_onnxruntime() {
        return Ok(());
    }
    let unknown = slipway_server::unsupported_operators(model)
        .map_err(|error| fail(FailureCategory::InvalidModel, chain(&error)))?;
    if unknown.is_empty() {
        return Ok(());
    }
    let foreign: Vec<_> = unknown.iter().filter(|operator| !is_of_onnxruntime(operator)).cloned().collect();
    let (operators, way_out) = if foreign.is_empty() {
        (unknown, ", or set serving.runtime.slipway.backend to auto")
    } else {
        (foreign, ": ONNX Runtime has no operators of that domain either")
    };
    let operators = operators.join(", ");
    Err(fail(
        FailureCategory::UnsupportedOperator,
        format!("the engine (rten) cannot run {operators}: export the model without it{way_out}"),
    ))
}

/// Whether ONNX Runtime may know an operator that is written with its domain, such as `ai.onnx.ml.Scaler`.
fn is_of_onnxruntime(operator: &str) -> bool {
    let Some((domain, _)) = operator.rsplit_once('.') else { return true };
    ["ai.onnx", "com.microsoft", "com.ms"]
        .iter()
        .any(|own| domain == *own || domain.starts_with(&format!("{own}.")))
}

pub(super) fn of_model(error: &OnnxError) -> Failure {
    let mut failure = of_local(error, error.is_retryable(), FailureCategory::InvalidModel);
    if let OnnxError::Tensor { problem: TensorProblem::ExternalRead { .. }, .. } = error {
        failure.message += "; the source has to hold that file too: a folder beside the model, an artifact as `slipway push` \
                    makes it";
    }
    failure
}

fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(|| "model.onnx".into(), |name| name.to_string_lossy().into_owned())
}
