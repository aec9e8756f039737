//! What has no more use: Jobs, and the tags that keep artifacts alive.
//!
//! A finished Job is the record of its key until a revision has that record; then it goes, and its artifacts with the
//! revision. A finished Job whose key this generation does not have and no revision names is the last that knows of
//! those artifacts: their tags go first, then the Job.

use std::{collections::BTreeSet, time::Duration};

use slipway_api::{
    names,
    status::{StageState, StageStatus},
};

use crate::{Delete, Job, JobState, Observed, Revision, Untag, pipeline::Pipeline};

/// How long a failed Job whose failure may pass is kept before it is tried again.
const RETRY_AFTER: Duration = Duration::from_mins(2);

/// Jobs without a use.
pub(crate) struct Spent<'a> {
    jobs: Vec<&'a Job>,
    /// Keys of finished Jobs that were another generation's.
    pub(crate) superseded: BTreeSet<&'a str>,
}

impl Spent<'_> {
    /// The deletions of those that are not being deleted already.
    pub(crate) fn deletions(&self) -> impl Iterator<Item = Delete> {
        let staying = self.jobs.iter().filter(|job| !job.deleting);
        staying.map(|job| Delete::new("batch/v1", "Job", &job.name, &job.uid))
    }
}

/// The Jobs that have no more use: another generation's, those whose answer a revision has, and those whose failure
/// may have passed by now.
pub(crate) fn spent<'a>(observed: &'a Observed, pipeline: &Pipeline) -> Spent<'a> {
    let (mut jobs, mut superseded) = (Vec::new(), BTreeSet::new());
    for job in &observed.jobs {
        if is_foreign(observed, job, pipeline) {
            jobs.push(job);
            superseded.insert(job.key.as_str());
        } else if has_served(observed, job) {
            jobs.push(job);
        }
    }
    for job in observed.jobs.iter().filter(|job| job.state == JobState::Active) {
        superseded.remove(job.key.as_str());
    }
    Spent { jobs, superseded }
}

/// Whether a Job is not of this generation.
///
/// A step that waits for the one before it has no key yet: its Job may be exactly the one that is needed next, as it is
/// when status was emptied while a later step runs.
fn is_foreign(observed: &Observed, job: &Job, pipeline: &Pipeline) -> bool {
    let waits = |stage: &StageStatus| {
        stage.name == job.step && stage.state == StageState::Pending && stage.key.is_none()
    };
    let held = observed.deployment.spec.suspend || pipeline.is_refused();
    !held && !pipeline.keys.contains(&job.key) && !pipeline.stages.iter().any(waits)
}

/// Whether a Job of this generation did what it is for.
fn has_served(observed: &Observed, job: &Job) -> bool {
    match &job.state {
        JobState::Active => false,
        JobState::Succeeded => is_in_a_revision(observed, &job.key),
        JobState::Failed { .. } => job.may_pass() && retry_in(observed, job) == Duration::ZERO,
    }
}

fn is_in_a_revision(observed: &Observed, key: &str) -> bool {
    let recorded =
        |stage: &StageStatus| stage.state == StageState::Succeeded && stage.key.as_deref() == Some(key);
    observed.revisions.iter().flat_map(|revision| &revision.data.stages).any(recorded)
}

fn retry_in(observed: &Observed, job: &Job) -> Duration {
    let Some(finished) = job.finished_at else { return RETRY_AFTER };
    let age = Duration::try_from(observed.now.duration_since(finished)).unwrap_or(Duration::ZERO);
    RETRY_AFTER.saturating_sub(age)
}

/// When a failed Job may be tried again.
pub(crate) fn requeue(observed: &Observed) -> Option<Duration> {
    let waits = observed.jobs.iter().filter(|job| job.may_pass()).map(|job| retry_in(observed, job));
    waits.filter(|wait| !wait.is_zero()).min()
}

/// Tags of forgotten revisions and of superseded work that no kept revision and no step of this generation needs.
pub(crate) fn untag(
    observed: &Observed,
    forget: &[Revision],
    superseded: &BTreeSet<&str>,
    keys: &[String],
) -> Untag {
    let forgotten = |revision: &Revision| forget.iter().any(|gone| gone.uid == revision.uid);
    let revisions = observed.revisions.iter().filter(|revision| !forgotten(revision));
    let kept: BTreeSet<&str> = revisions.flat_map(keys_of).chain(keys.iter().map(String::as_str)).collect();
    let gone: BTreeSet<&str> = (forget.iter().flat_map(keys_of))
        .chain(superseded.iter().copied())
        .filter(|key| !key.is_empty() && !kept.contains(key))
        .collect();
    if gone.is_empty() {
        return Untag::Nothing;
    }
    Untag::Tags(gone.iter().flat_map(|key| names::tags(key)).collect())
}

fn keys_of(revision: &Revision) -> impl Iterator<Item = &str> {
    revision.data.stages.iter().filter_map(|stage| stage.key.as_deref())
}
