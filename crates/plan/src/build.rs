//! The plan, put together: validate, pipeline, rollout, monitoring, clean-up.

use std::{collections::BTreeSet, time::Duration};

use slipway_api::{
    condition::{ConditionType, reason},
    names,
    status::{StageState, StageStatus},
};

use crate::{
    Delete, Event, Job, JobState, Observed, Phase, Plan, Progress, Settings, Untag, monitoring,
    pipeline::{self, Pipeline},
    rollout::{self, Rollout},
    validate,
};

/// How long a failed Job whose failure may pass is kept before it is tried again.
const RETRY_AFTER: Duration = Duration::from_mins(2);

/// What should exist and happen now.
pub(crate) fn plan(observed: &Observed, settings: &Settings) -> Plan {
    if observed.deployment.deleted_at.is_some() {
        return farewell(observed);
    }
    let accepted = validate(&observed.deployment.spec, settings.local);
    let pipeline = if accepted.is_done() { pipeline::walk(observed, settings) } else { refused(&accepted) };
    let rollout = rollout::decide(observed, settings, &pipeline);
    let monitor = monitoring::service_monitor(observed, settings).filter(|_| rollout.stable.is_some());
    let update_available = rollout::update_available(observed, settings, &pipeline);
    let Rollout { apply, scale, delete, forget, updated, stable, phase, available } = rollout;
    let Pipeline { stages, keys, start, optimized, artifact, gate, gate_status, golden: _ } = pipeline;
    let progress = Progress {
        accepted,
        stages,
        optimized,
        gate,
        gate_status,
        artifact,
        updated,
        stable,
        rollout: phase,
        available,
        monitoring: monitoring::phase(observed, settings),
        update_available,
    };
    let spent: Vec<_> = observed.jobs.iter().filter(|job| is_spent(observed, job, &keys)).collect();
    let started = !start.is_empty() || !observed.jobs.is_empty();
    let mut plan = Plan {
        finalizer: observed.deployment.finalizer || started,
        apply: start.into_iter().chain(apply).chain(monitor).collect(),
        scale,
        untag: untag(observed, &forget, &keys),
        delete,
        events: events(observed, &progress),
        requeue: requeue(observed),
        progress,
    };
    plan.delete.extend(spent.into_iter().filter(|job| !job.deleting).map(job_deletion));
    plan.delete.extend(forget.iter().map(|revision| Delete {
        api_version: "apps/v1".into(),
        kind: "ControllerRevision".into(),
        name: revision.name.clone(),
        uid: revision.uid.clone(),
    }));
    let unwanted = unwanted(observed, &plan);
    plan.delete.extend(unwanted);
    plan
}

/// Nothing is asked of a spec that is refused; what serves goes on serving.
fn refused(accepted: &Phase) -> Pipeline {
    let waits = || Phase::waiting(reason::WAITING, "waits for a valid spec");
    debug_assert!(accepted.is_failed(), "a refused spec has a reason");
    Pipeline {
        stages: Vec::new(),
        keys: Vec::new(),
        start: Vec::new(),
        optimized: waits(),
        artifact: None,
        gate: waits(),
        gate_status: None,
        golden: None,
    }
}

/// The object goes: its tags are removed, and everything else goes with its owner.
fn farewell(observed: &Observed) -> Plan {
    let status = &observed.deployment.status;
    let waits = || Phase::waiting(reason::WAITING, "the object is being deleted");
    Plan {
        finalizer: false,
        apply: Vec::new(),
        scale: Vec::new(),
        untag: if observed.deployment.finalizer { Untag::Everything } else { Untag::Nothing },
        delete: Vec::new(),
        events: Vec::new(),
        requeue: None,
        progress: Progress {
            accepted: Phase::done(reason::VALID, "the object is being deleted"),
            stages: status.stages.clone(),
            optimized: waits(),
            gate: waits(),
            gate_status: status.gate.clone(),
            artifact: status.artifact.clone(),
            updated: status.updated_revision.clone(),
            stable: status.stable_revision.clone(),
            rollout: waits(),
            available: waits(),
            monitoring: waits(),
            update_available: None,
        },
    }
}

/// Whether a Job has no more use: another generation's, one whose answer is recorded, one whose answer is lost, or
/// one whose failure may have passed by now.
fn is_spent(observed: &Observed, job: &Job, keys: &[String]) -> bool {
    if !keys.contains(&job.key) {
        return !observed.deployment.spec.suspend;
    }
    match &job.state {
        JobState::Active => false,
        JobState::Succeeded => job.result.is_none() || is_recorded(observed, &job.key),
        JobState::Failed { .. } => is_retryable(job) && retry_in(observed, job) == Duration::ZERO,
    }
}

fn is_recorded(observed: &Observed, key: &str) -> bool {
    let recorded =
        |stage: &StageStatus| stage.state == StageState::Succeeded && stage.key.as_deref() == Some(key);
    let revisions = observed.revisions.iter().flat_map(|revision| &revision.data.stages);
    revisions.chain(&observed.deployment.status.stages).any(recorded)
}

fn is_retryable(job: &Job) -> bool {
    let failure = job.result.as_ref().and_then(|result| result.failure.as_ref());
    matches!(job.state, JobState::Failed { .. }) && failure.is_some_and(|failure| failure.retryable)
}

fn retry_in(observed: &Observed, job: &Job) -> Duration {
    let Some(finished) = job.finished_at else { return RETRY_AFTER };
    let age = Duration::try_from(observed.now.duration_since(finished)).unwrap_or(Duration::ZERO);
    RETRY_AFTER.saturating_sub(age)
}

fn requeue(observed: &Observed) -> Option<Duration> {
    let waits = observed.jobs.iter().filter(|job| is_retryable(job)).map(|job| retry_in(observed, job));
    waits.filter(|wait| !wait.is_zero()).min()
}

fn job_deletion(job: &Job) -> Delete {
    Delete {
        api_version: "batch/v1".into(),
        kind: "Job".into(),
        name: job.name.clone(),
        uid: job.uid.clone(),
    }
}

/// Tags of forgotten revisions that no kept one and no step of this generation needs.
fn untag(observed: &Observed, forget: &[crate::Revision], keys: &[String]) -> Untag {
    let of = |revision: &crate::Revision| -> Vec<String> {
        revision.data.stages.iter().filter_map(|stage| stage.key.clone()).collect()
    };
    let forgotten = |revision: &crate::Revision| forget.iter().any(|gone| gone.uid == revision.uid);
    let kept: BTreeSet<String> =
        (observed.revisions.iter().filter(|revision| !forgotten(revision)).flat_map(of))
            .chain(keys.iter().cloned())
            .collect();
    let gone: BTreeSet<String> = forget.iter().flat_map(of).filter(|key| !kept.contains(key)).collect();
    if gone.is_empty() {
        return Untag::Nothing;
    }
    Untag::Tags(gone.iter().flat_map(|key| [names::work_tag(key), names::report_tag(key)]).collect())
}

/// Other children that this plan does not want: a budget after scaling down, a monitor that was turned off.
fn unwanted(observed: &Observed, plan: &Plan) -> Vec<Delete> {
    let wanted = |child: &crate::Child| {
        plan.apply.iter().any(|desired| desired.kind == child.kind && desired.name == child.name)
    };
    (observed.others.iter().filter(|child| !wanted(child)))
        .map(|child| Delete {
            api_version: child.api_version.clone(),
            kind: child.kind.clone(),
            name: child.name.clone(),
            uid: child.uid.clone(),
        })
        .collect()
}

/// What is told to the user: only what differs from the conditions that were stored before.
fn events(observed: &Observed, progress: &Progress) -> Vec<Event> {
    let before = |condition: ConditionType| {
        let conditions = &observed.deployment.status.conditions;
        conditions.iter().find(|before| before.condition_type == condition.as_str())
    };
    let news = |condition: ConditionType, phase: &Phase, reason: &str| {
        let known = before(condition).is_some_and(|before| {
            before.status == phase.holds().as_str() && (before.reason == phase.reason || phase.is_done())
        });
        let told = phase.is_failed() || (phase.is_done() && phase.reason != self::reason::NO_GATE);
        (told && !known).then(|| Event {
            warning: phase.is_failed(),
            reason: reason.to_owned(),
            message: phase.message.clone(),
        })
    };
    let was_ready = before(ConditionType::Ready).is_some_and(|ready| ready.status == "True");
    let rolled_out = progress.rollout.is_done() && progress.available.is_done() && !was_ready;
    let rollout_failed = progress.rollout.is_failed()
        && before(ConditionType::Stalled).is_none_or(|stalled| stalled.reason != progress.rollout.reason);
    let refused = progress
        .accepted
        .is_failed()
        .then(|| news(ConditionType::Accepted, &progress.accepted, "SpecRefused"));
    let optimized = if progress.optimized.is_failed() { "StageFailed" } else { "StagesSucceeded" };
    let gate = if progress.gate.is_failed() { "GateFailed" } else { "GatePassed" };
    [
        refused.flatten(),
        news(ConditionType::Optimized, &progress.optimized, optimized),
        news(ConditionType::GatePassed, &progress.gate, gate),
        rolled_out.then(|| event(false, "RolloutFinished", &progress.rollout)),
        rollout_failed.then(|| event(true, "RolloutFailed", &progress.rollout)),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn event(warning: bool, reason: &str, phase: &Phase) -> Event {
    Event { warning, reason: reason.to_owned(), message: phase.message.clone() }
}
