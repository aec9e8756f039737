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

#[cfg(test)]
mod tests {
    use serde_json::json;
    use slipway_artifacts::Kind;

    use super::super::tests::{context, put};
    use super::*;

    /// What is said of a gate on a file of one content, and stages that look at files of others.
    async fn judged(gate: &str, stages: &[(&str, &str)]) -> Result<(), Failure> {
        let folder = tempfile::tempdir().unwrap();
        let context = context(&folder.path().join("layout"));
        let mut digests = Vec::new();
        for (name, content) in [("holdout", gate)].iter().chain(stages) {
            let file = folder.path().join(name);
            std::fs::write(&file, content).unwrap();
            digests.push(((*name).to_owned(), put(&context, Kind::Dataset, &file).await));
        }
        let (_, data) = digests.remove(0);
        let work = json!({
            "gate": { "data": "holdout", "task": { "classification": { "output": "p" } }, "checks": [] },
            "data": { "name": "holdout", "source": { "uri": "file:///none" } },
            "dataDigest": data, "candidate": data, "baseline": data,
            "candidatePort": 1, "baselinePort": 2, "modelName": "net",
        });
        let mut work: GateWork = serde_json::from_value(work).unwrap();
        work.looked_at = digests.into_iter().collect();
        refuse_seen_data(&work, &context).await
    }

    #[tokio::test]
    async fn data_of_its_own_passes_however_many_stages_look_at_others() {
        assert_eq!(judged("one", &[]).await, Ok(()));
        assert_eq!(judged("one", &[("usual", "two")]).await, Ok(()));
        assert_eq!(judged("one", &[("usual", "two"), ("other", "two"), ("third", "three")]).await, Ok(()));
    }

    #[tokio::test]
    async fn a_file_that_any_stage_looks_at_is_refused_with_both_names() {
        for stages in [[("usual", "one"), ("other", "two")], [("other", "two"), ("usual", "one")]] {
            let failure = judged("one", &stages).await.unwrap_err();
            assert_eq!((failure.category, failure.retryable), (FailureCategory::InvalidData, false));
            assert!(
                failure.message.starts_with("data sets usual and holdout are the same file"),
                "{}",
                failure.message
            );
        }
    }

    #[tokio::test]
    async fn data_that_is_gone_judges_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let context = context(&folder.path().join("layout"));
        let gone = slipway_artifacts::Digest::of(b"gone").to_string();
        assert_eq!(files(&gone, &context).await.unwrap_err().category, FailureCategory::ArtifactMissing);
    }
}
