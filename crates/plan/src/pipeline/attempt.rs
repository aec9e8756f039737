//! Attempts: which of a key's Jobs counts.
//!
//! A Job that ended and left no answer that can be read is not deleted: it is the record of that attempt, and the next
//! one is another Job of the same key. So the number of attempts is counted from what exists, survives a restart of
//! the operator and an emptied status, and starts anew when somebody deletes those Jobs. An attempt is cheap: the work
//! is in the registry and only its answer is told again.

use slipway_api::job::JobResult;

use crate::{Job, JobState};

/// How often an answer may be lost before it is a failure.
const ATTEMPTS: usize = 3;

/// What is to be done about one key.
pub(super) enum Attempt<'a> {
    /// This Job runs, or says how it ended.
    Running(&'a Job),
    /// A Job is to be started; the number of those that went before without an answer.
    Next(usize),
    /// Too many Jobs ended without an answer.
    GivenUp(Vec<&'a Job>),
}

/// How the work of a key stands, by its Jobs.
pub(super) fn of<'a>(jobs: &'a [Job], key: &str) -> Attempt<'a> {
    let (lost, telling): (Vec<_>, Vec<_>) =
        jobs.iter().filter(|job| job.key == key).partition(|job| is_lost(job));
    match telling.first() {
        Some(job) => Attempt::Running(job),
        None if lost.len() < ATTEMPTS => Attempt::Next(lost.len()),
        None => Attempt::GivenUp(lost),
    }
}

/// The answer of a key's Jobs, where one is there.
pub(super) fn answer<'a>(jobs: &'a [Job], key: &str) -> Option<&'a JobResult> {
    jobs.iter().filter(|job| job.key == key).find_map(|job| job.result.as_ref())
}

fn is_lost(job: &Job) -> bool {
    let answered = job.result.as_ref().is_some_and(|result| result.failure.is_none());
    job.state == JobState::Succeeded && !answered
}
