//! One step of a pipeline, done: what a job pod runs, and what the local road runs in its own process.
//!
//! [`run`] looks in the store first, so identical work is done once; otherwise it works in a scratch folder that is
//! gone afterwards, pushes the report and then the output, and answers with digests. It never touches an input.

mod calibrate;
mod data;
mod failure;
mod gate;
mod judges;
mod progress;
mod publish;
mod reuse;
mod roles;
mod signature;
mod source;
mod stage;

use std::path::PathBuf;

use slipway_api::job::{JobResult, JobSpec, Work};
use slipway_artifacts::{FetchOptions, Reference, SharedProgress, SigningKey, Store};

pub use calibrate::{capture_options, choice, options as calibrate_options};
pub use failure::fail;
pub use judges::Judges;
pub use progress::{Counted, Forward, Logged};
pub use source::companions;
pub use stage::{quantize, simplify, smooth};

/// The name and version that stand in lineage.
pub const TOOL: &str = concat!("slipway/", env!("CARGO_PKG_VERSION"));

/// What a step works with.
pub struct Context {
    /// The object's repository: inputs are read from here and outputs written to.
    pub store: Store,
    /// What signs results, and is asked for in what was found; none where nobody else writes to the store.
    pub signing: Option<SigningKey>,
    /// How sources are fetched.
    pub fetch: FetchOptions,
    /// A folder for temporary files, on a disk with room for several copies of the model.
    pub scratch: PathBuf,
    /// Where progress is told.
    pub progress: SharedProgress,
    /// The servers that the gate drives, where a step is a gate.
    pub judges: Option<Judges>,
    /// Whether a source that no digest pins is fetched again, although it was before: files of a laptop change under
    /// their names.
    pub fetch_anew: bool,
}

/// Does one step; a failure is part of the answer.
pub async fn run(spec: &JobSpec, context: &Context) -> JobResult {
    match try_run(spec, context).await {
        Ok(result) => result,
        Err(failure) => JobResult { failure: Some(failure), tool: Some(TOOL.into()), ..JobResult::default() },
    }
}

async fn try_run(spec: &JobSpec, context: &Context) -> Result<JobResult, slipway_api::job::Failure> {
    let may_differ = context.fetch_anew && !is_pinned(&spec.work);
    if !may_differ && let Some(found) = reuse::find(spec, context).await? {
        return Ok(found);
    }
    let scratch = failure::scratch(&context.scratch)?;
    let made = match &spec.work {
        Work::Source { source, format, backend } => {
            source::run(source, *format, *backend, context, scratch.path()).await?
        }
        Work::Data { data } => data::run(data, context, scratch.path()).await?,
        Work::Calibrate(work) => calibrate::run(work, context, scratch.path()).await?,
        Work::Stage { stage, input, calibration, data, backend } => {
            let (calibration, data) = (calibration.as_deref(), data.as_deref());
            let artifacts = stage::Artifacts { input, calibration, data };
            stage::run(stage, artifacts, *backend, context, scratch.path()).await?
        }
        Work::Gate(gate) => gate::run(gate, context, scratch.path()).await?,
    };
    publish::push(spec, context, made, scratch.path()).await
}

/// Whether work gives the same bytes whenever it is done.
fn is_pinned(work: &Work) -> bool {
    let names_digest = |uri: &str| uri.parse::<Reference>().is_ok_and(|reference| reference.digest.is_some());
    work.source().is_none_or(|source| source.digest.is_some() || names_digest(&source.uri))
}

#[cfg(test)]
mod tests;
