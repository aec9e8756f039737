//! Whether the artifact under a step's tag is the result of exactly this work.
//!
//! A tag is a name that whoever reaches the registry can move, and it holds a part of the key alone. So what lies under
//! it is believed only when it says itself that it answers this key and was made of these inputs and, where there is a
//! key to sign with, when that key has signed it; otherwise the work is done anew and takes its tag back.

use slipway_api::{
    job::{Failure, JobResult, JobSpec},
    names,
};
use slipway_artifacts::{Category, Digest, Manifest, Store, chain};

use super::{
    Context,
    failure::of_store,
    publish::{tag, with_output},
    signature,
};

/// Why an artifact is not taken for the result of a step.
#[derive(Debug, thiserror::Error)]
pub(super) enum Doubt {
    #[error("it cannot be read: {0}")]
    Unreadable(String),
    #[error("it answers another key")]
    OtherKey,
    #[error("it was made of other inputs")]
    OtherInputs,
    #[error("it does not tell what came of the work")]
    NoFacts,
    #[error("it is not signed with this namespace's key")]
    Unsigned,
}

/// The answer of identical work that was done before.
pub(super) async fn find(spec: &JobSpec, context: &Context) -> Result<Option<JobResult>, Failure> {
    let tag = tag(&names::work_tag(&spec.key))?;
    let Some(digest) = context.store.resolve(&tag).await.map_err(|error| of_store(&error))? else {
        return Ok(None);
    };
    match recorded(spec, context, &digest).await? {
        Ok(result) => Ok(Some(JobResult { reused: true, ..with_output(result, spec, &digest) })),
        Err(doubt) => {
            tracing::warn!(%tag, artifact = %digest, "what lies under the tag is not reused: {doubt}");
            Ok(None)
        }
    }
}

/// What an artifact records of this work.
async fn recorded(
    spec: &JobSpec,
    context: &Context,
    digest: &Digest,
) -> Result<Result<JobResult, Doubt>, Failure> {
    let found = manifest(&context.store, digest).await?.and_then(|manifest| facts(spec, &manifest));
    match &context.signing {
        Some(signing) if found.is_ok() && !signature::is_signed(spec, context, signing, digest).await? => {
            Ok(Err(Doubt::Unsigned))
        }
        Some(_) | None => Ok(found),
    }
}

/// A manifest, or why it is none of ours; a store that fails is not the manifest's fault.
pub(super) async fn manifest(store: &Store, digest: &Digest) -> Result<Result<Manifest, Doubt>, Failure> {
    match store.manifest(digest).await {
        Ok(manifest) => Ok(Ok(manifest)),
        Err(error) => match error.category() {
            Category::InvalidInput | Category::NotFound | Category::TooLarge => {
                Ok(Err(Doubt::Unreadable(chain(&error))))
            }
            Category::DigestMismatch
            | Category::NotAllowed
            | Category::Unauthorized
            | Category::Unreachable
            | Category::Protocol
            | Category::Storage => Err(of_store(&error)),
        },
    }
}

/// What a manifest says of this work.
fn facts(spec: &JobSpec, manifest: &Manifest) -> Result<JobResult, Doubt> {
    let lineage = manifest.lineage().map_err(|error| Doubt::Unreadable(chain(&error)))?;
    if lineage.key.as_ref() != Some(&spec.key) {
        return Err(Doubt::OtherKey);
    }
    if !lineage.inputs.iter().map(ToString::to_string).eq(spec.work.inputs()) {
        return Err(Doubt::OtherInputs);
    }
    let facts = manifest.facts().and_then(|facts| serde_json::from_value(facts).ok());
    facts.ok_or(Doubt::NoFacts)
}
