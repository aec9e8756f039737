//! Status, derived from what is observed, what is planned and what came of applying it.

use serde::Serialize;
use slipway_api::{
    condition::{Condition, ConditionType, Holds, reason},
    names,
    status::Status,
};

use crate::{Observed, Phase, PhaseState, Plan, Progress, serving};

/// What came of applying a plan.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// What the Kubernetes API or the registry refused.
    pub errors: Vec<ApplyError>,
}

/// One refusal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ApplyError {
    /// The object. Example: `Deployment digits-3f2a`.
    pub object: String,
    /// The words of the API.
    pub message: String,
}

/// The status of the object after a plan was applied.
///
/// A pure function: the time stands in `observed.now` and moves a condition's `lastTransitionTime` only when its
/// `status` changes, so an unchanged world gives the same status byte for byte.
pub fn status(observed: &Observed, plan: &Plan, outcome: &Outcome) -> Status {
    let deployment = &observed.deployment;
    let progress = &plan.progress;
    let stable =
        observed.workloads.iter().find(|workload| Some(&workload.revision) == progress.stable.as_ref());
    Status {
        observed_generation: Some(deployment.generation),
        conditions: conditions(observed, progress, outcome),
        stages: progress.stages.clone(),
        artifact: progress.artifact.clone(),
        gate: progress.gate_status.clone(),
        stable_revision: progress.stable.clone(),
        updated_revision: progress.updated.clone(),
        update_available: progress.update_available,
        replicas: Some(observed.workloads.iter().map(|workload| workload.replicas).sum()),
        ready_replicas: Some(stable.map_or(0, |workload| workload.ready)),
        selector: Some(format!("{}={},{}", names::DEPLOYMENT_LABEL, deployment.name, names::REVISION_LABEL)),
        url: progress.stable.as_ref().map(|_| serving::url(deployment)),
    }
}

fn conditions(observed: &Observed, progress: &Progress, outcome: &Outcome) -> Vec<Condition> {
    let Progress { accepted, optimized, gate, rollout, available, monitoring, .. } = progress;
    let (ready, reconciling, stalled) = summary(progress, outcome);
    let judged = |phase: &Phase| (phase.holds(), phase.reason, phase.message.clone());
    let now_or_not = |phase: &Phase| (yes(phase.is_done()), phase.reason, phase.message.clone());
    debug_assert!(!rollout.message.is_empty(), "every phase has words");
    [
        (ConditionType::Accepted, judged(accepted)),
        (ConditionType::Available, now_or_not(available)),
        (ConditionType::GatePassed, judged(gate)),
        (ConditionType::MonitoringReady, now_or_not(monitoring)),
        (ConditionType::Optimized, judged(optimized)),
        (ConditionType::Ready, ready),
        (ConditionType::Reconciling, reconciling),
        (ConditionType::Stalled, stalled),
    ]
    .into_iter()
    .map(|(condition_type, said)| condition(observed, condition_type, said))
    .collect()
}

type Said = (Holds, &'static str, String);

fn yes(is: bool) -> Holds {
    if is { Holds::True } else { Holds::False }
}

/// `Ready` and the two conditions that kstatus reads.
fn summary(progress: &Progress, outcome: &Outcome) -> (Said, Said, Said) {
    let way = [&progress.accepted, &progress.optimized, &progress.gate, &progress.rollout];
    let none = |what: &str| (Holds::False, reason::UP_TO_DATE, what.to_owned());
    if let Some(error) = outcome.errors.first() {
        let message = format!("{}: {}", error.object, error.message);
        let said = |holds| (holds, reason::APPLY_FAILED, message.clone());
        return (said(Holds::False), said(Holds::True), none("nothing holds it for good"));
    }
    if let Some(failed) = way.iter().find(|phase| phase.is_failed()) {
        let said = |holds| (holds, failed.reason, failed.message.clone());
        return (said(Holds::False), none("nothing is under way"), said(Holds::True));
    }
    let scaled_to_zero = progress.available.reason == reason::SCALED_TO_ZERO;
    let unavailable = (!progress.available.is_done() && !scaled_to_zero).then_some(&progress.available);
    let first_open = way.into_iter().find(|phase| !phase.is_done()).or(unavailable);
    match first_open {
        None if scaled_to_zero => {
            let ready = (Holds::True, reason::SCALED_TO_ZERO, progress.available.message.clone());
            (ready, none("nothing is under way"), none("nothing holds it"))
        }
        None => {
            let ready = (Holds::True, reason::UP_TO_DATE, progress.rollout.message.clone());
            (ready, none("nothing is under way"), none("nothing holds it"))
        }
        Some(open) => {
            let said = |holds| (holds, open.reason, open.message.clone());
            let held = open.state == PhaseState::Waiting && open.reason == reason::SUSPENDED;
            let reconciling = if held { none("suspended") } else { said(Holds::True) };
            (said(Holds::False), reconciling, none("nothing holds it for good"))
        }
    }
}

fn condition(
    observed: &Observed,
    condition_type: ConditionType,
    (holds, reason, message): Said,
) -> Condition {
    let condition_type = condition_type.as_str();
    let before =
        observed.deployment.status.conditions.iter().find(|before| before.condition_type == condition_type);
    let unchanged = before.filter(|before| before.status == holds.as_str());
    Condition {
        condition_type: condition_type.to_owned(),
        status: holds.as_str().to_owned(),
        reason: reason.to_owned(),
        message,
        observed_generation: Some(observed.deployment.generation),
        last_transition_time: unchanged
            .map_or_else(|| format!("{:.0}", observed.now), |before| before.last_transition_time.clone()),
    }
}
