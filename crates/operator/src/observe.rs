//! From what the watches know to what the plan decides on. No request is made here.

mod job;
mod monitoring;
mod pod;
mod revision;
mod service;
mod workload;

pub(crate) use monitoring::{Monitor, MonitoringWorld, Question};
pub(crate) use pod::PodSeen;
pub(crate) use revision::RevisionSeen;
pub(crate) use service::Budget;

use std::time::Duration;

use jiff::Timestamp;
use slipway_api::{ModelDeployment, names};
use slipway_plan::{Deployment, JobState, Observed, ServingPod, Workload};

use crate::{
    apply::Failure,
    cache::{Cache, Entry, Key},
};

/// How long the answer of a finished Job's pod may be under way after the Job itself is seen as finished.
const ANSWER_GRACE: Duration = Duration::from_secs(10);

/// How long the first look at Prometheus' objects may take.
const MONITORING_PATIENCE: Duration = Duration::from_secs(10);

/// Everything that the watches know.
#[derive(Default)]
pub(crate) struct World {
    pub(crate) jobs: Cache<slipway_plan::Job>,
    pub(crate) pods: Cache<PodSeen>,
    pub(crate) revisions: Cache<RevisionSeen>,
    pub(crate) workloads: Cache<Workload>,
    pub(crate) services: Cache<slipway_plan::Service>,
    pub(crate) budgets: Cache<Budget>,
    pub(crate) monitors: Cache<Monitor>,
    pub(crate) monitoring: MonitoringWorld,
}

/// A child as it is compared with a desired one.
#[derive(Debug, Clone)]
pub(crate) struct Live {
    /// The body as JSON text, where it is compared at all.
    pub(crate) body: Option<Box<str>>,
    /// The uid of the owner that it names.
    pub(crate) owner_uid: Option<String>,
}

impl World {
    /// One child, by kind and name; `None` for one that the watches do not know.
    pub(crate) fn live(&self, kind: &str, key: &Key) -> Option<Live> {
        fn take<T>(entry: &Entry<T>) -> Live {
            Live { body: entry.body.clone(), owner_uid: entry.owner_uid.clone() }
        }
        match kind {
            "Job" => self.jobs.get(key).map(|entry| take(&entry)),
            "ControllerRevision" => self.revisions.get(key).map(|entry| take(&entry)),
            "Deployment" => self.workloads.get(key).map(|entry| take(&entry)),
            "Service" => self.services.get(key).map(|entry| take(&entry)),
            "PodDisruptionBudget" => self.budgets.get(key).map(|entry| take(&entry)),
            "ServiceMonitor" => self.monitors.get(key).map(|entry| take(&entry)),
            _ => None,
        }
    }

    /// Takes in the API's answer to a write.
    pub(crate) fn learn(&self, kind: &str, object: serde_json::Value) {
        fn put<T: crate::cache::Seen>(cache: &Cache<T>, object: serde_json::Value) {
            match serde_json::from_value(object) {
                Ok(object) => cache.learn(&object),
                Err(error) => {
                    tracing::debug!(%error, "an answer of the API is not read; the watch brings it");
                }
            }
        }
        match kind {
            "Job" => put(&self.jobs, object),
            "ControllerRevision" => put(&self.revisions, object),
            "Deployment" => put(&self.workloads, object),
            "Service" => put(&self.services, object),
            "PodDisruptionBudget" => put(&self.budgets, object),
            "ServiceMonitor" => put(&self.monitors, object),
            _ => {}
        }
    }

    /// Forgets a child that the API said is gone.
    pub(crate) fn forget(&self, kind: &str, key: &Key) {
        match kind {
            "Job" => self.jobs.forget(key),
            "ControllerRevision" => self.revisions.forget(key),
            "Deployment" => self.workloads.forget(key),
            "Service" => self.services.forget(key),
            "PodDisruptionBudget" => self.budgets.forget(key),
            "ServiceMonitor" => self.monitors.forget(key),
            _ => {}
        }
    }

    /// Waits until the first list of every kind is complete.
    pub(crate) async fn wait_until_ready(&self) {
        self.jobs.wait_until_ready().await;
        self.pods.wait_until_ready().await;
        self.revisions.wait_until_ready().await;
        self.workloads.wait_until_ready().await;
        self.services.wait_until_ready().await;
        self.budgets.wait_until_ready().await;
        // A kind of another project must not hold up our own.
        let _settled = tokio::time::timeout(MONITORING_PATIENCE, self.monitoring.wait_until_ready()).await;
    }
}

/// One object and everything that is known of it.
pub(crate) struct Observation {
    pub(crate) observed: Observed,
    /// Children that cannot be read; nothing is applied while there are any.
    pub(crate) unreadable: Vec<Failure>,
    /// When to look again because an answer may still be under way.
    pub(crate) recheck: Option<Duration>,
}

/// Gathers what is known of one object.
pub(crate) fn observe(deployment: &ModelDeployment, world: &World, now: Timestamp) -> Observation {
    let (key, uid) = identity(deployment);
    let pods = world.pods.of(&key, &uid);
    let (jobs, recheck) = job::observe(&world.jobs.of(&key, &uid), &pods, now);
    let (revisions, unreadable) = revision::observe(&world.revisions.of(&key, &uid));
    let others = (world.budgets.of(&key, &uid).iter().map(|entry| entry.seen.0.clone()))
        .chain(world.monitors.of(&key, &uid).iter().map(|entry| entry.seen.0.clone()))
        .collect();
    let observed = Observed {
        now,
        monitoring: world.monitoring.observe(&key.namespace),
        jobs,
        revisions,
        workloads: world.workloads.of(&key, &uid).iter().map(|entry| entry.seen.clone()).collect(),
        pods: pods.iter().filter_map(|pod| serving_pod(&pod.key.name, &pod.seen)).collect(),
        service: (world.services.of(&key, &uid).iter())
            .find(|entry| entry.key.name == key.name)
            .map(|entry| entry.seen.clone()),
        others,
        deployment: Deployment {
            name: key.name,
            namespace: key.namespace,
            uid,
            generation: deployment.metadata.generation.unwrap_or_default(),
            deleted_at: deployment.metadata.deletion_timestamp.as_ref().map(|time| time.0),
            finalizer: has_finalizer(deployment),
            spec: deployment.spec.clone(),
            status: deployment.status.clone().unwrap_or_default(),
        },
    };
    Observation { observed, unreadable, recheck }
}

/// Namespace, name and uid of an object.
pub(crate) fn identity(deployment: &ModelDeployment) -> (Key, String) {
    let meta = &deployment.metadata;
    let key = Key {
        namespace: meta.namespace.clone().unwrap_or_default(),
        name: meta.name.clone().unwrap_or_default(),
    };
    (key, meta.uid.clone().unwrap_or_default())
}

/// Whether our finalizer is on the object.
pub(crate) fn has_finalizer(deployment: &ModelDeployment) -> bool {
    deployment.metadata.finalizers.iter().flatten().any(|finalizer| finalizer == names::FINALIZER)
}

fn serving_pod(name: &str, pod: &PodSeen) -> Option<ServingPod> {
    if pod.deleting || pod.ready {
        return None;
    }
    Some(ServingPod {
        name: name.to_owned(),
        revision: pod.revision.clone()?,
        trouble: pod.trouble.clone()?,
        result: pod.result.clone(),
    })
}

/// A Job that ended, whose answer may still be under way on another watch, counts as running for a moment.
///
/// The failure of an attempt before is no answer of one that succeeded.
fn hold_back(job: &mut slipway_plan::Job, now: Timestamp) -> Option<Duration> {
    let waits = match &job.state {
        JobState::Active => false,
        JobState::Succeeded => job.result.as_ref().is_none_or(|result| result.failure.is_some()),
        // At its deadline a Job's pods are deleted, so nothing comes.
        JobState::Failed { reason, .. } => {
            reason != "DeadlineExceeded" && job.result.is_none() && job.trouble.is_none()
        }
    };
    let age = now.duration_since(job.finished_at.filter(|_| waits)?);
    let left = ANSWER_GRACE.checked_sub(Duration::try_from(age).unwrap_or_default())?;
    job.state = JobState::Active;
    Some(left.max(Duration::from_millis(100)))
}
