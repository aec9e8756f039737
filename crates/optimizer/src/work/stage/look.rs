//! Data that a stage looks at while it works.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use slipway_api::{
    DataSet, Stage,
    job::{Failure, StageData},
};
use slipway_artifacts::digest_file;

use super::{Context, of_capture, pulled as model};
use crate::{
    calibrate::{CaptureOptions, Data, inputs},
    work::{
        data::bound,
        failure::{of_local, of_store},
    },
};

/// A data set on this machine.
pub(super) struct Local {
    file: PathBuf,
    binding: DataSet,
}

/// Brings the data to a stage that looks at some.
pub(super) async fn pulled(
    data: Option<&StageData>,
    context: &Context,
    into: &Path,
) -> Result<Option<Local>, Failure> {
    let Some(StageData { data, digest }) = data else { return Ok(None) };
    let file = model(digest, context, into).await?;
    Ok(Some(Local { file, binding: data.clone() }))
}

impl Local {
    /// Binds the data to the inputs of a model.
    pub(super) fn open(self, stage: &Stage, model: &Path, capture: CaptureOptions) -> Result<Data, Failure> {
        let Self { file, binding } = self;
        let specs =
            inputs(model).map_err(|error| of_local(&error, error.is_retryable(), of_capture(&error)))?;
        let samples = bound(&file, &binding, &specs)?;
        let (digest, _) = digest_file(&file).map_err(|error| of_store(&error))?;
        let data = Data::new(Arc::new(samples), digest.to_string());
        Ok(Data { samples: most(stage), capture, ..data })
    }
}

/// The most samples that a stage asks for.
fn most(stage: &Stage) -> usize {
    let samples = stage.looks_at().map_or(1, |looks| looks.samples);
    usize::try_from(samples).unwrap_or_default().max(1)
}
