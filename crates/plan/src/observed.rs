//! What the world looks like: everything that a decision may rest on, complete and serialisable.
//!
//! The operator fills it from its caches, the local road from a folder, tests from YAML.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use slipway_api::{ModelDeploymentSpec, job::JobResult, status::Status};

use crate::revision::RevisionData;

/// Everything that is known about one `ModelDeployment` and what was made for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Observed {
    /// The time; nothing in this crate reads a clock.
    pub now: Timestamp,
    /// The object itself.
    pub deployment: Deployment,
    /// Jobs of this object, in any state.
    #[serde(default)]
    pub jobs: Vec<Job>,
    /// Revisions of this object.
    #[serde(default)]
    pub revisions: Vec<Revision>,
    /// Deployments of this object, one a live revision.
    #[serde(default)]
    pub workloads: Vec<Workload>,
    /// Troubles of serving pods.
    #[serde(default)]
    pub pods: Vec<ServingPod>,
    /// The Service of this object.
    #[serde(default)]
    pub service: Option<Service>,
    /// Other children of this object that may have to go: disruption budgets and service monitors.
    #[serde(default)]
    pub others: Vec<Child>,
    /// What the cluster knows of Prometheus.
    #[serde(default)]
    pub monitoring: MonitoringObserved,
}

impl Observed {
    /// An object for which nothing was made yet.
    pub fn new(now: Timestamp, deployment: Deployment) -> Self {
        Self {
            now,
            deployment,
            jobs: Vec::new(),
            revisions: Vec::new(),
            workloads: Vec::new(),
            pods: Vec::new(),
            service: None,
            others: Vec::new(),
            monitoring: MonitoringObserved::default(),
        }
    }
}

/// The `ModelDeployment` itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Deployment {
    /// `metadata.name`.
    pub name: String,
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.uid`.
    pub uid: String,
    /// `metadata.generation`.
    pub generation: i64,
    /// When deletion was asked for.
    #[serde(default)]
    pub deleted_at: Option<Timestamp>,
    /// Whether our finalizer is on the object.
    #[serde(default)]
    pub finalizer: bool,
    /// `spec`.
    pub spec: ModelDeploymentSpec,
    /// `status`.
    #[serde(default)]
    pub status: Status,
}

impl Deployment {
    /// An object as it is created: generation 1, no status, no finalizer.
    pub fn new(name: &str, namespace: &str, uid: &str, spec: ModelDeploymentSpec) -> Self {
        Self {
            name: name.to_owned(),
            namespace: namespace.to_owned(),
            uid: uid.to_owned(),
            generation: 1,
            deleted_at: None,
            finalizer: false,
            spec,
            status: Status::default(),
        }
    }
}

/// A Job of this object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Job {
    /// `metadata.name`.
    pub name: String,
    /// `metadata.uid`.
    pub uid: String,
    /// The name of its step, from label `slipway.dev/stage`; empty when somebody removed it.
    #[serde(default)]
    pub step: String,
    /// The whole key, from annotation `slipway.dev/key`; empty when somebody removed it.
    pub key: String,
    /// Whether it is being deleted.
    #[serde(default)]
    pub deleting: bool,
    /// How far it is.
    pub state: JobState,
    /// When it finished.
    #[serde(default)]
    pub finished_at: Option<Timestamp>,
    /// The answer of the newest pod that gave one.
    #[serde(default)]
    pub result: Option<JobResult>,
    /// What keeps or kept its pods from answering.
    #[serde(default)]
    pub trouble: Option<Trouble>,
}

/// How far a Job is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum JobState {
    /// It runs or will run.
    Active,
    /// Condition `Complete` is true.
    Succeeded,
    /// Condition `Failed` is true, with its reason (`DeadlineExceeded`, `BackoffLimitExceeded`, …) and message.
    Failed {
        /// The condition's reason.
        reason: String,
        /// The condition's message.
        message: String,
    },
}

/// What keeps a pod from doing its work, in a closed set with the kubelet's words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Trouble {
    /// What kind of trouble it is.
    pub kind: TroubleKind,
    /// The container, where it is about one.
    #[serde(default)]
    pub container: String,
    /// How often that container was restarted.
    #[serde(default)]
    pub restarts: i32,
    /// The words of the kubelet, the scheduler or the container, one line.
    pub message: String,
}

/// The kinds of trouble that a pod can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum TroubleKind {
    /// `ErrImagePull`, `ImagePullBackOff`, `InvalidImageName` or `ErrImageNeverPull`.
    ImagePull,
    /// A container was killed because of memory.
    OutOfMemory,
    /// The pod was evicted.
    Evicted,
    /// No node takes the pod.
    Unschedulable,
    /// A container ended with an error, over and over where it is restarted.
    Crashed,
    /// A container could not be created: a missing Secret, `ConfigMap` or volume.
    CannotStart,
}

/// A `ControllerRevision` of this object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Revision {
    /// `metadata.name`.
    pub name: String,
    /// `metadata.uid`.
    pub uid: String,
    /// The hash, from label `slipway.dev/revision`.
    pub hash: String,
    /// `revision`: counts up by one for each new one.
    pub number: i64,
    /// `data`.
    pub data: RevisionData,
}

/// A `Deployment` (apps/v1) of this object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Workload {
    /// `metadata.name`.
    pub name: String,
    /// `metadata.uid`.
    pub uid: String,
    /// The revision's hash, from label `slipway.dev/revision`.
    pub revision: String,
    /// Whether it is being deleted.
    #[serde(default)]
    pub deleting: bool,
    /// Whether `status.observedGeneration` equals `metadata.generation`; what follows counts only then.
    pub current: bool,
    /// `spec.replicas`.
    pub desired: i32,
    /// `status.replicas`.
    #[serde(default)]
    pub replicas: i32,
    /// `status.updatedReplicas`.
    #[serde(default)]
    pub updated: i32,
    /// `status.readyReplicas`.
    #[serde(default)]
    pub ready: i32,
    /// `status.availableReplicas`.
    #[serde(default)]
    pub available: i32,
    /// Whether condition `Progressing` is false with reason `ProgressDeadlineExceeded`.
    #[serde(default)]
    pub deadline_exceeded: bool,
    /// The message of condition `ReplicaFailure`, where it is true.
    #[serde(default)]
    pub replica_failure: Option<String>,
}

/// A serving pod that is not well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ServingPod {
    /// `metadata.name`.
    pub name: String,
    /// The revision's hash, from label `slipway.dev/revision`.
    pub revision: String,
    /// What is the matter.
    pub trouble: Trouble,
    /// The answer of the container that fetches the model, where it gave one.
    #[serde(default)]
    pub result: Option<JobResult>,
}

/// The Service of this object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Service {
    /// `metadata.uid`.
    pub uid: String,
    /// The revision that its selector names.
    #[serde(default)]
    pub revision: Option<String>,
}

/// Another child of this object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Child {
    /// `apiVersion`.
    pub api_version: String,
    /// `kind`.
    pub kind: String,
    /// `metadata.name`.
    pub name: String,
    /// `metadata.uid`.
    pub uid: String,
}

/// What the cluster knows of Prometheus.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MonitoringObserved {
    /// Whether the cluster knows the kind `ServiceMonitor`.
    #[serde(default)]
    pub service_monitors: bool,
    /// The `Prometheus` objects of the cluster; `None` when they cannot be listed.
    #[serde(default)]
    pub prometheuses: Option<Vec<Prometheus>>,
    /// The labels of this object's namespace.
    #[serde(default)]
    pub namespace_labels: BTreeMap<String, String>,
}

/// A `Prometheus` object of prometheus-operator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Prometheus {
    /// `metadata.name`.
    pub name: String,
    /// `metadata.namespace`.
    pub namespace: String,
    /// `spec.serviceMonitorSelector`; absent selects nothing, empty selects all.
    #[serde(default)]
    pub service_monitor_selector: Option<LabelSelector>,
    /// `spec.serviceMonitorNamespaceSelector`; absent selects its own namespace, empty selects all.
    #[serde(default)]
    pub service_monitor_namespace_selector: Option<LabelSelector>,
}

/// A label selector, as in `metav1.LabelSelector`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LabelSelector {
    /// Labels that must be there with these values.
    pub match_labels: BTreeMap<String, String>,
    /// Expressions that must all hold.
    pub match_expressions: Vec<LabelExpression>,
}

/// One expression of a label selector.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LabelExpression {
    /// The label.
    pub key: String,
    /// `In`, `NotIn`, `Exists` or `DoesNotExist`.
    pub operator: String,
    /// The values.
    pub values: Vec<String>,
}
