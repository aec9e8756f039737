//! The rollout: which revision gets the traffic, and how the next one takes over.
//!
//! Rolling: the new revision's Deployment at full size, then the Service's selector, then the old one to nothing.

use slipway_api::{condition::reason, names, status::ArtifactStatus};

use crate::{
    Delete, Desired, Observed, Phase, Revision, RevisionData, Scale, Settings, TroubleKind, Workload, key,
    pipeline::Pipeline, runtime, serving,
};

const DEFAULT_HISTORY: usize = 5;

/// What the rollout wants, and how it stands.
pub(crate) struct Rollout {
    pub(crate) apply: Vec<Desired>,
    pub(crate) scale: Vec<Scale>,
    pub(crate) delete: Vec<Delete>,
    /// Revisions that are no longer kept.
    pub(crate) forget: Vec<Revision>,
    pub(crate) updated: Option<String>,
    pub(crate) stable: Option<String>,
    pub(crate) phase: Phase,
    pub(crate) available: Phase,
}

/// Decides which revision exists, which serves, and what becomes of the others.
pub(crate) fn decide(observed: &Observed, settings: &Settings, pipeline: &Pipeline) -> Rollout {
    let born = birth(observed, settings, pipeline);
    let live = live_revision(observed);
    let updated = born.as_ref().map(|born| born.hash.clone());
    let stable = match (&live, &updated) {
        (None, updated) => updated.clone(),
        (Some(live), Some(updated)) if takes_over(observed, updated) && live != updated => {
            Some(updated.clone())
        }
        (Some(live), _) => Some(live.clone()),
    };
    let wanted = |hash: &str| Some(hash) == updated.as_deref() || Some(hash) == stable.as_deref();
    let (scale, delete) = sizes(observed, &wanted);
    Rollout {
        apply: objects(observed, born, stable.as_deref(), &wanted),
        scale,
        delete,
        forget: forgotten(observed, &wanted),
        phase: phase(observed, pipeline, updated.as_deref(), stable.as_deref()),
        available: availability(observed, live.as_deref(), stable.as_deref()),
        updated,
        stable,
    }
}

/// The revision of this generation: one that exists, or one that is to be made.
struct Born {
    hash: String,
    /// The object to make, where it does not exist.
    make: Option<Desired>,
}

fn birth(observed: &Observed, settings: &Settings, pipeline: &Pipeline) -> Option<Born> {
    let artifact = pipeline.artifact.as_ref().filter(|_| pipeline.gate.is_done())?;
    let deployment = &observed.deployment;
    let hash = key::revision(&deployment.name, &artifact.digest, &deployment.spec.serving);
    if is_recorded(observed, &hash) {
        return Some(Born { hash, make: None });
    }
    if deployment.spec.suspend {
        return None;
    }
    let data = RevisionData {
        artifact: artifact.clone(),
        golden_digest: pipeline.golden.clone(),
        gate: pipeline.gate_status.clone(),
        stages: pipeline.stages.clone(),
        template: render(observed, settings, pipeline, artifact, &hash),
    };
    let number = observed.revisions.iter().map(|revision| revision.number).max().unwrap_or(0) + 1;
    let make = serving::revision(deployment, &hash, number, &data);
    Some(Born { hash, make: Some(make) })
}

fn render(
    observed: &Observed,
    settings: &Settings,
    pipeline: &Pipeline,
    artifact: &ArtifactStatus,
    hash: &str,
) -> serde_json::Value {
    let golden = pipeline
        .golden
        .as_ref()
        .map(|golden| crate::steps::registry(&observed.deployment, settings).uri(golden));
    runtime::template(&runtime::Rendered {
        deployment: &observed.deployment,
        settings,
        hash,
        uri: &artifact.uri,
        room: runtime::Room::of(artifact.size_bytes),
        golden: golden.as_deref(),
        accuracy: pipeline.gate_status.as_ref().and_then(|gate| gate.accuracy.as_deref()),
    })
}

/// Whether a template rendered today differs from the stored one of the same revision: by a newer server, or by the
/// golden samples and the accuracy of a gate that judged since.
pub(crate) fn update_available(
    observed: &Observed,
    settings: &Settings,
    pipeline: &Pipeline,
) -> Option<bool> {
    let artifact = pipeline.artifact.as_ref().filter(|_| pipeline.gate.is_done())?;
    let hash = key::revision(&observed.deployment.name, &artifact.digest, &observed.deployment.spec.serving);
    let stored = observed.revisions.iter().find(|revision| revision.hash == hash)?;
    Some(stored.data.template != render(observed, settings, pipeline, artifact, &hash))
}

/// The revision that gets the traffic now, even one whose record is lost: the Service is the truth, status only the
/// memory of one that exists.
fn live_revision(observed: &Observed) -> Option<String> {
    let exists = |hash: &&String| is_recorded(observed, hash) || workload(observed, hash).is_some();
    let selected = observed.service.as_ref().and_then(|service| service.revision.as_ref());
    selected.or(observed.deployment.status.stable_revision.as_ref().filter(exists)).cloned()
}

fn is_recorded(observed: &Observed, hash: &str) -> bool {
    observed.revisions.iter().any(|revision| revision.hash == hash)
}

fn workload<'a>(observed: &'a Observed, hash: &str) -> Option<&'a Workload> {
    observed.workloads.iter().find(|workload| workload.revision == hash && !workload.deleting)
}

fn replicas(observed: &Observed) -> i32 {
    observed.deployment.spec.serving.replicas
}

fn is_full(observed: &Observed, workload: &Workload) -> bool {
    let wanted = replicas(observed);
    workload.current
        && workload.desired == wanted
        && workload.updated >= wanted
        && workload.available >= wanted
}

fn takes_over(observed: &Observed, hash: &str) -> bool {
    workload(observed, hash).is_some_and(|workload| is_full(observed, workload))
}

/// Everything that serves, in order: revision, Deployments, Services, disruption budget.
fn objects(
    observed: &Observed,
    born: Option<Born>,
    stable: Option<&str>,
    wanted: &dyn Fn(&str) -> bool,
) -> Vec<Desired> {
    let deployment = &observed.deployment;
    let mut objects: Vec<_> = born.and_then(|born| born.make).into_iter().collect();
    let mut revisions: Vec<_> = observed.revisions.iter().filter(|revision| wanted(&revision.hash)).collect();
    revisions.sort_by_key(|revision| revision.number);
    objects.extend(
        revisions.iter().map(|revision| serving::workload(deployment, &revision.hash, &revision.data)),
    );
    if let Some(stable) = stable {
        objects.push(serving::service(deployment, stable));
        objects.push(serving::metrics_service(deployment, stable));
        if replicas(observed) > 1 {
            objects.push(serving::disruption_budget(deployment));
        }
    }
    objects
}

/// Wanted Deployments at full size, the others to nothing and then away.
fn sizes(observed: &Observed, wanted: &dyn Fn(&str) -> bool) -> (Vec<Scale>, Vec<Delete>) {
    let (mut scale, mut delete) = (Vec::new(), Vec::new());
    for workload in observed.workloads.iter().filter(|workload| !workload.deleting) {
        let keep = wanted(&workload.revision);
        let size = if keep { replicas(observed) } else { 0 };
        if workload.desired != size {
            scale.push(Scale { name: workload.name.clone(), replicas: size });
        } else if !keep && workload.current && workload.replicas == 0 {
            delete.push(Delete::new("apps/v1", "Deployment", &workload.name, &workload.uid));
        }
    }
    (scale, delete)
}

/// Revisions beyond `rollout.revisionHistoryLimit`, oldest first, never one that serves or has pods.
fn forgotten(observed: &Observed, wanted: &dyn Fn(&str) -> bool) -> Vec<Revision> {
    let limit = observed.deployment.spec.rollout.as_ref().and_then(|rollout| rollout.revision_history_limit);
    let limit = limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(DEFAULT_HISTORY);
    let idle = |revision: &&Revision| {
        !wanted(&revision.hash)
            && !observed.workloads.iter().any(|workload| workload.revision == revision.hash)
    };
    let mut old: Vec<_> = observed.revisions.iter().filter(idle).cloned().collect();
    old.sort_by_key(|revision| revision.number);
    old.truncate(old.len().saturating_sub(limit));
    old
}

fn phase(observed: &Observed, pipeline: &Pipeline, updated: Option<&str>, stable: Option<&str>) -> Phase {
    let Some(updated) = updated else {
        let held = observed.deployment.spec.suspend && pipeline.gate.is_done() && pipeline.artifact.is_some();
        return if held {
            Phase::waiting(reason::SUSPENDED, "suspend is true: no new revision is made")
        } else {
            Phase::waiting(reason::WAITING, "waits for an artifact that passed its gate")
        };
    };
    let Some(workload) = workload(observed, updated) else {
        return Phase::running(reason::PROGRESSING, format!("revision {updated} is being made"));
    };
    if !is_full(observed, workload) {
        return unfinished(observed, workload);
    }
    let old = observed.workloads.iter().filter(|other| other.revision != updated && !other.deleting).count();
    if stable != Some(updated)
        || observed.service.as_ref().and_then(|service| service.revision.as_deref()) != Some(updated)
    {
        return Phase::running(reason::PROGRESSING, format!("traffic moves to revision {updated}"));
    }
    if old > 0 {
        return Phase::running(reason::PROGRESSING, "pods of the earlier revision finish their requests");
    }
    Phase::done(reason::UP_TO_DATE, format!("revision {updated} is fully rolled out"))
}

/// A rollout that has not reached its size: under way, or stuck with the words of what holds it.
fn unfinished(observed: &Observed, workload: &Workload) -> Phase {
    let hash = &workload.revision;
    let pod = observed.pods.iter().find(|pod| &pod.revision == hash);
    let said = pod.and_then(|pod| pod.result.as_ref()).and_then(|result| result.failure.as_ref());
    if let Some(failure) = said.filter(|failure| !failure.retryable) {
        return Phase::failed(failure.category.reason(), format!("revision {hash}: {}", failure.message));
    }
    let trouble = pod.map(|pod| match said {
        Some(failure) => (failure.category.reason(), format!("pod {}: {}", pod.name, failure.message)),
        None if pod.trouble.kind == TroubleKind::ImagePull => {
            (reason::IMAGE_PULL_FAILED, format!("pod {}: {}", pod.name, pod.trouble.message))
        }
        None => (reason::POD_FAILED, format!("pod {}: {}", pod.name, pod.trouble.message)),
    });
    let refused = workload.replica_failure.as_ref().map(|message| (reason::POD_FAILED, message.clone()));
    let detail = trouble.or(refused);
    if workload.deadline_exceeded {
        let words = detail.map_or_else(|| "its pods did not become ready".into(), |(_, message)| message);
        let message = format!("revision {hash} made no progress within rollout.progressDeadline: {words}");
        return Phase::failed(reason::PROGRESS_DEADLINE_EXCEEDED, message);
    }
    let wanted = replicas(observed);
    let (reason, message) = detail.unwrap_or_else(|| {
        let available = workload.available.min(wanted);
        (reason::PROGRESSING, format!("{available} of {wanted} pods of revision {hash} are available"))
    });
    Phase::running(reason, message)
}

fn availability(observed: &Observed, live: Option<&str>, stable: Option<&str>) -> Phase {
    let Some(stable) = stable else {
        return Phase::waiting(reason::NO_REVISION, "nothing has been rolled out yet");
    };
    let ready = workload(observed, stable).map_or(0, |workload| workload.ready);
    let served = observed.service.as_ref().and_then(|service| service.revision.as_deref()) == Some(stable);
    let lost = live == Some(stable) && !is_recorded(observed, stable);
    if ready > 0 && served {
        let words = format!("{ready} pods of revision {stable} serve");
        return if lost {
            Phase::done(reason::REVISION_UNAVAILABLE, format!("{words}; {}", record_lost(observed, stable)))
        } else {
            Phase::done(reason::SERVING, words)
        };
    }
    if replicas(observed) == 0 {
        return Phase::waiting(reason::SCALED_TO_ZERO, "replicas is 0: nothing serves, as asked");
    }
    let words = format!("no pod of revision {stable} is ready");
    if lost {
        return Phase::waiting(
            reason::REVISION_UNAVAILABLE,
            format!("{words}; {}", record_lost(observed, stable)),
        );
    }
    Phase::waiting(reason::NO_READY_PODS, words)
}

fn record_lost(observed: &Observed, hash: &str) -> String {
    format!(
        "its ControllerRevision {} is gone: its pods are kept until another revision is ready; restore it from a \
         backup, or let a generation pass its gate",
        names::revision(&observed.deployment.name, hash)
    )
}
