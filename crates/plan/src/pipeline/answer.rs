//! A step's status from its Job: what came out, or why nothing did and what to do about it.

use slipway_api::{
    condition::reason,
    job::JobResult,
    status::{StageState, StageStatus},
};

use crate::{JOB_CONTAINER, Job, JobState, Trouble, TroubleKind, steps::SERVERS};

type Said = (&'static str, String);

/// A step's status from its Job; `before` is what status said of the same key when it was stored last, and `local`
/// says that nobody has a Job to delete.
pub(super) fn status(base: StageStatus, job: &Job, before: Option<&StageStatus>, local: bool) -> StageStatus {
    let base = StageStatus { job: Some(job.name.clone()), ..base };
    if let Some(trouble) = job.broken_server() {
        return said(StageState::Failed, of_server(job, trouble), base);
    }
    match (&job.state, &job.result) {
        (JobState::Succeeded, Some(result)) => succeeded(base, result),
        (JobState::Succeeded | JobState::Active, _) => running(base, job),
        (JobState::Failed { .. }, _) if job.may_pass() => said(StageState::Running, passing(job), base),
        (JobState::Failed { reason, message }, _) => {
            let words = failed(job, reason, message, before, local);
            said(StageState::Failed, words, base)
        }
    }
}

/// The words of a failure that may pass.
fn passing(job: &Job) -> Said {
    let again = "it is tried again every two minutes";
    match (job.failure(), &job.trouble) {
        (Some(failure), _) => (failure.category.reason(), format!("{}; {again}", failure.message)),
        (None, Some(trouble)) => (words(trouble).0, format!("{}; {again}", trouble.message)),
        (None, None) => {
            (reason::STAGE_FAILED, format!("job {} was killed and left no word why; {again}", job.name))
        }
    }
}

/// The words of a gate whose server ends over and over; its Job goes when its key does.
fn of_server(job: &Job, trouble: &Trouble) -> Said {
    let (reason, message) = words(trouble);
    let message = match trouble.kind {
        TroubleKind::OutOfMemory => message,
        _ => format!("the gate's server does not run: {message}; see that the model serves with this spec"),
    };
    (reason, format!("{message} and delete job {} to try again", job.name))
}

/// The status of a step whose Jobs all ended without an answer that can be read.
pub(super) fn lost(base: StageStatus, jobs: &[&Job]) -> StageStatus {
    let mut names: Vec<_> = jobs.iter().map(|job| job.name.as_str()).collect();
    names.sort_unstable();
    let message = format!(
        "{} jobs ended and none left an answer that can be read: see that the job image is of this operator's \
         version and that nothing deletes ended pods at once; then delete the jobs {} to try again",
        jobs.len(),
        names.join(", ")
    );
    let job = names.last().map(|name| (*name).to_owned());
    said(StageState::Failed, (reason::ANSWER_LOST, message), StageStatus { job, ..base })
}

fn said(state: StageState, (reason, message): Said, base: StageStatus) -> StageStatus {
    StageStatus { state, reason: Some(reason.into()), message: Some(message), ..base }
}

fn succeeded(base: StageStatus, result: &JobResult) -> StageStatus {
    let JobResult { output, report, golden, size_bytes, format: _, facts, tool, reused, gate: _, failure: _ } =
        result;
    StageStatus {
        state: StageState::Succeeded,
        output_digest: output.clone().or_else(|| golden.clone()),
        report_digest: report.clone(),
        size_bytes: *size_bytes,
        tool: tool.clone(),
        facts: facts.clone(),
        message: reused.then(|| "it was in the registry already; nothing was computed".into()),
        ..base
    }
}

fn running(base: StageStatus, job: &Job) -> StageStatus {
    match (job.failure(), &job.trouble) {
        (Some(failure), _) => {
            let again = if failure.retryable { "; it is tried again" } else { "" };
            let words = (failure.category.reason(), format!("{}{again}", failure.message));
            said(StageState::Running, words, base)
        }
        (None, Some(trouble)) => {
            let (reason, message) = words(trouble);
            said(StageState::Running, (reason, format!("{message} (job {})", job.name)), base)
        }
        (None, None) => {
            let message = Some(format!("job {} is running", job.name));
            StageStatus { state: StageState::Running, message, ..base }
        }
    }
}

fn failed(job: &Job, job_reason: &str, job_message: &str, before: Option<&StageStatus>, local: bool) -> Said {
    let remedy = if local {
        "fix the file or the object, then run again".to_owned()
    } else {
        format!("change the spec, or delete job {} to try again", job.name)
    };
    match (job.failure(), &job.trouble) {
        _ if job_reason == "DeadlineExceeded" => too_late(job, before),
        (Some(failure), _) => (failure.category.reason(), format!("{}; {remedy}", failure.message)),
        (None, Some(trouble)) if trouble.kind == TroubleKind::OutOfMemory => {
            let (reason, message) = words(trouble);
            (reason, format!("{message} and delete job {} to try again", job.name))
        }
        (None, Some(trouble)) => {
            let (reason, message) = words(trouble);
            (reason, format!("{message}; {remedy}"))
        }
        (None, None) => (reason::STAGE_FAILED, format!("{job_reason}: {job_message}; {remedy}")),
    }
}

/// A Job that ran into its deadline, with what held its pod.
///
/// The Job's controller deletes the pod at the deadline, so what held it may be left in status alone.
fn too_late(job: &Job, before: Option<&StageStatus>) -> Said {
    let again = format!("delete job {} to try again", job.name);
    let before = before.filter(|before| before.job.as_deref() == Some(&job.name) && before.reason.is_some());
    let held = match (before, &job.trouble) {
        (Some(told), _) if told.state == StageState::Failed => {
            return (known_reason(told), told.message.clone().unwrap_or_default());
        }
        (_, Some(trouble)) => Some(words(trouble)),
        (Some(told), None) => Some((known_reason(told), told.message.clone().unwrap_or_default())),
        (None, None) => None,
    };
    match held {
        Some((reason::IMAGE_PULL_FAILED, message)) => {
            let message = format!("{message}; jobs.deadline passed meanwhile: fix it and {again}");
            (reason::IMAGE_PULL_FAILED, message)
        }
        Some((_, message)) => (
            reason::DEADLINE_EXCEEDED,
            format!(
                "it took longer than jobs.deadline: {message}; fix it or raise jobs.deadline, and {again}"
            ),
        ),
        None => (
            reason::DEADLINE_EXCEEDED,
            format!("it took longer than jobs.deadline; raise jobs.deadline and {again}"),
        ),
    }
}

/// The reason of a trouble and its words, with what to do about it where that is one field.
fn words(trouble: &Trouble) -> Said {
    let message = trouble.message.clone();
    match trouble.kind {
        TroubleKind::OutOfMemory => {
            let message = match memory_field(&trouble.container) {
                Some(field) => format!("{message}; raise {field}.limits.memory"),
                None => format!("{message}; give the nodes more memory"),
            };
            (reason::OUT_OF_MEMORY, message)
        }
        TroubleKind::ImagePull => (reason::IMAGE_PULL_FAILED, message),
        TroubleKind::Evicted
        | TroubleKind::Unschedulable
        | TroubleKind::Crashed
        | TroubleKind::CannotStart => (reason::STAGE_FAILED, message),
    }
}

/// The field that says how much memory a container of a job pod has; none for those that have no limit.
fn memory_field(container: &str) -> Option<&'static str> {
    if SERVERS.contains(&container) {
        return Some("serving.resources");
    }
    (container == JOB_CONTAINER).then_some("jobs.resources")
}

/// The constant that equals a stage's reason.
pub(super) fn known_reason(stage: &StageStatus) -> &'static str {
    let text = stage.reason.as_deref().unwrap_or(reason::PROGRESSING);
    reason::ALL.iter().find(|known| **known == text).copied().unwrap_or(reason::STAGE_FAILED)
}
