//! No file is both the gate's data and a stage's.

use slipway_api::job::{Failure, FailureCategory, GateWork};

use super::{
    Context,
    failure::{fail, of_store},
};

/// Refuses a gate whose data is, under another name, data that a stage looked at.
pub(super) async fn refuse_seen_data(work: &GateWork, context: &Context) -> Result<(), Failure> {
    if work.looked_at.is_empty() {
        return Ok(());
    }
    let judged = files(&work.data_digest, context).await?;
    for (name, digest) in &work.looked_at {
        let seen = files(digest, context).await?;
        if seen.iter().any(|file| judged.contains(file)) {
            let judged = &work.data.name;
            return Err(fail(
                FailureCategory::InvalidData,
                format!(
                    "data sets {name} and {judged} are the same file, a stage looks at {name}, and a gate judges on data that no \
                     stage has seen: give the stage a data set of its own"
                ),
            ));
        }
    }
    Ok(())
}

/// The digests of an artifact's files.
async fn files(digest: &str, context: &Context) -> Result<Vec<slipway_artifacts::Digest>, Failure> {
    let digest = digest.parse().map_err(|error| of_store(&error))?;
    let manifest = context.store.manifest(&digest).await.map_err(|error| of_store(&error))?;
    Ok(manifest.files().iter().map(|file| file.digest).collect())
}
