//! The signature of a step's output: an artifact of its own under its own tag, so that the output's digest depends on
//! nobody's key and is the same on a laptop and in every cluster.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::json;
use slipway_api::{
    job::{Failure, JobSpec},
    names,
};
use slipway_artifacts::{Digest, Kind, SigningKey, Statement};

use super::{
    Context,
    failure::of_store,
    publish::{JsonArtifact, tag},
    reuse::manifest,
};

/// What the artifact of a signature records.
#[derive(Serialize, Deserialize)]
struct SignatureRecord {
    signature: String,
}

/// Signs what a step is about to push.
pub(super) async fn push(
    spec: &JobSpec,
    context: &Context,
    signing: &SigningKey,
    output: &Digest,
    scratch: &Path,
) -> Result<(), Failure> {
    let record = json!(SignatureRecord { signature: signing.sign(statement(spec, output)) });
    let artifact = JsonArtifact {
        kind: Kind::Signature,
        file: "signature.json",
        tag: names::signature_tag(&spec.key),
        content: &record,
        facts: Some(record.clone()),
    };
    artifact.push(spec, context, scratch).await.map(drop)
}

/// Whether an output under a step's tag was signed with this key as the result of that step.
pub(super) async fn is_signed(
    spec: &JobSpec,
    context: &Context,
    signing: &SigningKey,
    output: &Digest,
) -> Result<bool, Failure> {
    let tag = tag(&names::signature_tag(&spec.key))?;
    let Some(digest) = context.store.resolve(&tag).await.map_err(|error| of_store(&error))? else {
        return Ok(false);
    };
    let found = manifest(&context.store, &digest).await?.ok().and_then(|manifest| manifest.facts());
    let record: Option<SignatureRecord> = found.and_then(|facts| serde_json::from_value(facts).ok());
    Ok(record.is_some_and(|record| signing.verify(statement(spec, output), &record.signature)))
}

fn statement<'a>(spec: &'a JobSpec, artifact: &'a Digest) -> Statement<'a> {
    Statement { repository: &spec.registry.repository, key: &spec.key, artifact }
}
