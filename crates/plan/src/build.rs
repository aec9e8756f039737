//! The plan, put together: validate, pipeline, rollout, monitoring, clean-up.

use slipway_api::condition::{ConditionType, reason};

use crate::{
    Delete, Event, Observed, Phase, Plan, Progress, Revision, Settings, Untag, cleanup, monitoring,
    pipeline::{self, Pipeline},
    rollout::{self, Rollout},
    validate,
};

/// What should exist and happen now.
pub(crate) fn plan(observed: &Observed, settings: &Settings) -> Plan {
    if observed.deployment.deleted_at.is_some() {
        return farewell(observed);
    }
    let accepted = validate(&observed.deployment.spec, settings.local);
    let pipeline = if accepted.is_done() { pipeline::walk(observed, settings) } else { refused(&accepted) };
    let rollout = rollout::decide(observed, settings, &pipeline);
    let monitor = monitoring::service_monitor(observed, settings).filter(|_| rollout.stable.is_some());
    let watched = monitoring::phase(observed, settings, rollout.stable.is_some());
    let update_available = rollout::update_available(observed, settings, &pipeline);
    let spent = cleanup::spent(observed, &pipeline);
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
        monitoring: watched,
        update_available,
    };
    let started = !start.is_empty() || !observed.jobs.is_empty();
    let mut plan = Plan {
        finalizer: observed.deployment.finalizer || started,
        apply: start.into_iter().chain(apply).chain(monitor).collect(),
        scale,
        untag: cleanup::untag(observed, &forget, &spent.superseded, &keys),
        delete,
        events: events(observed, &progress),
        requeue: cleanup::requeue(observed),
        progress,
    };
    plan.delete.extend(spent.deletions());
    let record = |gone: &Revision| Delete::new("apps/v1", "ControllerRevision", &gone.name, &gone.uid);
    plan.delete.extend(forget.iter().map(record));
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

/// Other children that this plan does not want: a budget after scaling down, a monitor that was turned off.
fn unwanted(observed: &Observed, plan: &Plan) -> Vec<Delete> {
    let wanted = |child: &crate::Child| {
        plan.apply.iter().any(|desired| desired.kind == child.kind && desired.name == child.name)
    };
    (observed.others.iter().filter(|child| !wanted(child)))
        .map(|child| Delete::new(&child.api_version, &child.kind, &child.name, &child.uid))
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
