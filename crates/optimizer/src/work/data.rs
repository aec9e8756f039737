//! Fetching a data set: only what can be read as one becomes an artifact.

use std::path::Path;

use serde_json::json;
use slipway_api::{
    DataSet,
    job::{Failure, JobResult},
};
use slipway_artifacts::Kind;
use slipway_model::npz::NpzFile;

use super::{Context, failure::of_data, publish::StepOutput, source::fetched};
use crate::evaluate::{DataError, Samples, TensorSpec};

/// The name of a data set's file in its artifact.
pub(super) const ENTRY: &str = "data.npz";

/// A data set's file, bound to the inputs of a model.
pub(super) fn bound(file: &Path, data: &DataSet, inputs: &[TensorSpec]) -> Result<Samples, Failure> {
    let npz = NpzFile::open(file).map_err(DataError::from);
    let samples = npz.and_then(|mut npz| Samples::bind(&mut npz, data, inputs));
    samples.map_err(|error| of_data(&data.name, &error))
}

pub(super) async fn run(data: &DataSet, context: &Context, scratch: &Path) -> Result<StepOutput, Failure> {
    let entry = fetched(&data.source, &context.fetch, &scratch.join("source")).await?;
    let file = NpzFile::open(&entry).map_err(|error| of_data(&data.name, &error.into()))?;
    let arrays: Vec<_> = file.names().map(str::to_owned).collect();
    let size = entry.metadata().ok().and_then(|metadata| i64::try_from(metadata.len()).ok());
    Ok(StepOutput {
        kind: Kind::Dataset,
        files: vec![(ENTRY.into(), entry)],
        entry: ENTRY.into(),
        format: "npz",
        result: JobResult {
            size_bytes: size,
            facts: Some(format!("npz, arrays {}", arrays.join(", "))),
            ..JobResult::default()
        },
        report: json!({ "source": data.source, "arrays": arrays }),
    })
}
