//! Putting a step's output into the store: report first, then the signature, output last.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use slipway_api::{
    canonical_json,
    job::{Failure, JobResult, JobSpec, Work},
    names,
};
use slipway_artifacts::{Bundle, Digest, Kind, Lineage, RelPath, Tag};

use super::{
    Context, TOOL,
    failure::{disk, fail, of_store},
    signature,
};

/// What a step made, before it is pushed.
pub(super) struct StepOutput {
    pub(super) kind: Kind,
    /// Files of the artifact: the name inside, and where it lies now.
    pub(super) files: Vec<(String, PathBuf)>,
    /// The file that matters among them.
    pub(super) entry: String,
    pub(super) format: &'static str,
    /// The answer, but for digests.
    pub(super) result: JobResult,
    /// The whole report.
    pub(super) report: Value,
}

/// A result with the digest of its output.
pub(super) fn with_output(result: JobResult, spec: &JobSpec, digest: &Digest) -> JobResult {
    let digest = Some(digest.to_string());
    match spec.work {
        Work::Gate(_) => JobResult { golden: digest, ..result },
        Work::Source { .. } | Work::Data { .. } | Work::Calibrate(_) | Work::Stage { .. } => {
            JobResult { output: digest, ..result }
        }
    }
}

/// Pushes what a step made, and answers with digests.
pub(super) async fn push(
    spec: &JobSpec,
    context: &Context,
    made: StepOutput,
    scratch: &Path,
) -> Result<JobResult, Failure> {
    let StepOutput { kind, files, entry, format, result, report } = made;
    let artifact = JsonArtifact {
        kind: Kind::Report,
        file: "report.json",
        tag: names::report_tag(&spec.key),
        content: &report,
        facts: None,
    };
    let report = artifact.push(spec, context, scratch).await?;
    let result = JobResult {
        report: Some(report.to_string()),
        format: Some(format.into()),
        tool: Some(TOOL.into()),
        ..result
    };
    let files = files
        .into_iter()
        .map(|(name, local)| Ok((path(&name)?, local)))
        .collect::<Result<Vec<_>, Failure>>()?;
    let mut bundle = Bundle::from_files(kind, files).map_err(|error| of_store(&error))?;
    bundle.entry = Some(path(&entry)?);
    bundle.format = Some(format.into());
    bundle.lineage = lineage(spec)?;
    bundle.facts = Some(json!(result));
    if let Some(signing) = &context.signing {
        let output = bundle.encode().map_err(|error| of_store(&error))?.digest;
        signature::push(spec, context, signing, &output, scratch).await?;
    }
    let tag = tag(&names::work_tag(&spec.key))?;
    let digest =
        context.store.push(&bundle, &[tag], &context.progress).await.map_err(|error| of_store(&error))?;
    Ok(with_output(result, spec, &digest))
}

/// One JSON file that is an artifact of its own.
pub(super) struct JsonArtifact<'a> {
    pub(super) kind: Kind,
    /// The name of the file.
    pub(super) file: &'static str,
    pub(super) tag: String,
    pub(super) content: &'a Value,
    /// What readers learn without the file.
    pub(super) facts: Option<Value>,
}

impl JsonArtifact<'_> {
    pub(super) async fn push(
        self,
        spec: &JobSpec,
        context: &Context,
        scratch: &Path,
    ) -> Result<Digest, Failure> {
        let Self { kind, file, tag: name, content, facts } = self;
        let local = scratch.join(file);
        let text = serde_json::to_vec_pretty(content).map_err(|error| internal(&error))?;
        tokio::fs::write(&local, text).await.map_err(disk)?;
        let mut bundle =
            Bundle::from_files(kind, [(path(file)?, local)]).map_err(|error| of_store(&error))?;
        bundle.format = Some("json".into());
        bundle.lineage = lineage(spec)?;
        bundle.facts = facts;
        let pushed = context.store.push(&bundle, &[tag(&name)?], &context.progress).await;
        pushed.map_err(|error| of_store(&error))
    }
}

fn lineage(spec: &JobSpec) -> Result<Lineage, Failure> {
    let inputs: Result<Vec<Digest>, _> = spec.work.inputs().into_iter().map(str::parse).collect();
    let stage = match &spec.work {
        Work::Stage { stage, .. } => {
            Some(serde_json::from_str(&canonical_json(stage)).map_err(|error| internal(&error))?)
        }
        Work::Source { .. } | Work::Data { .. } | Work::Calibrate(_) | Work::Gate(_) => None,
    };
    Ok(Lineage {
        key: Some(spec.key.clone()),
        inputs: inputs.map_err(|error| of_store(&error))?,
        stage,
        tool: Some(TOOL.into()),
    })
}

/// A tag of the object's repository.
pub(super) fn tag(name: &str) -> Result<Tag, Failure> {
    name.parse().map_err(|error: slipway_artifacts::Error| of_store(&error))
}

fn path(name: &str) -> Result<RelPath, Failure> {
    name.parse().map_err(|error: slipway_artifacts::Error| of_store(&error))
}

fn internal(error: &dyn std::error::Error) -> Failure {
    fail(slipway_api::job::FailureCategory::Internal, error.to_string())
}
