//! Conditions and their reasons: documented constants, so that scripts can rely on them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One fact about the object, in the form of `metav1.Condition`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// What it is about.
    #[serde(rename = "type")]
    #[schemars(length(max = 63))]
    pub condition_type: String,
    /// `True`, `False` or `Unknown`.
    #[schemars(length(max = 7))]
    pub status: String,
    /// Why, one of the constants in [`reason`].
    #[schemars(length(max = 63))]
    pub reason: String,
    /// The same in words, with what to do where something is wrong.
    #[schemars(length(max = 32768))]
    pub message: String,
    /// The generation that it speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// When `status` last changed, RFC 3339.
    #[schemars(extend("format" = "date-time"))]
    pub last_transition_time: String,
}

/// A condition's type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConditionType {
    /// The spec is valid and asks for something possible; whether what it refers to exists is told by `Optimized` and
    /// `GatePassed`, since the operator may read no Secret, `ConfigMap` or volume claim.
    Accepted,
    /// Every stage of this generation has its output.
    Optimized,
    /// The artifact of this generation met every check.
    GatePassed,
    /// Traffic is served now, by whatever revision.
    Available,
    /// The monitoring objects exist and a Prometheus selects them.
    MonitoringReady,
    /// This generation is accepted, optimised, passed, fully rolled out and available.
    Ready,
    /// Work is under way (kstatus).
    Reconciling,
    /// Nothing more will happen without a change (kstatus).
    Stalled,
}

impl ConditionType {
    /// The text in `type`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "Accepted",
            Self::Optimized => "Optimized",
            Self::GatePassed => "GatePassed",
            Self::Available => "Available",
            Self::MonitoringReady => "MonitoringReady",
            Self::Ready => "Ready",
            Self::Reconciling => "Reconciling",
            Self::Stalled => "Stalled",
        }
    }
}

/// Whether a condition holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// It does.
    True,
    /// It does not.
    False,
    /// Nobody knows yet.
    Unknown,
}

impl Holds {
    /// The text in `status`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        /// The reasons that conditions carry.
        pub mod reason {
            $($(#[$doc])* pub const $name: &str = $text;)*
            /// Every reason, sorted by declaration, for the documentation's drift test.
            pub const ALL: &[&str] = &[$($text),*];
        }
    };
}

reasons! {
    /// Accepted: the spec is valid.
    VALID = "Valid";
    /// Accepted: the spec asks for something impossible; the message says what to change.
    INVALID_SPEC = "InvalidSpec";
    /// Accepted: the object could not be read as a `ModelDeployment`.
    UNPARSABLE = "Unparsable";
    /// Any: work goes on.
    PROGRESSING = "Progressing";
    /// Any: `suspend: true` holds new work back.
    SUSPENDED = "Suspended";
    /// Any: it waits for another condition first.
    WAITING = "Waiting";
    /// Optimized: every stage has its output.
    SUCCEEDED = "Succeeded";
    /// Optimized: the source could not be fetched.
    FETCH_FAILED = "FetchFailed";
    /// Optimized: the bytes do not have the digest that the spec or a manifest states.
    DIGEST_MISMATCH = "DigestMismatch";
    /// Optimized: the file is not a model that can be used.
    INVALID_MODEL = "InvalidModel";
    /// Optimized: the engine does not know an operator of the model.
    UNSUPPORTED_OPERATOR = "UnsupportedOperator";
    /// Optimized or `GatePassed`: a data set could not be used.
    INVALID_DATA = "InvalidData";
    /// Optimized: a stage changed nothing or made the model bigger.
    NOTHING_CHANGED = "NothingChanged";
    /// Any stage: a container used more memory than its limit.
    OUT_OF_MEMORY = "OutOfMemory";
    /// Any stage: the Job took longer than `jobs.deadline`.
    DEADLINE_EXCEEDED = "DeadlineExceeded";
    /// Any stage: several Jobs ended, and none left an answer that can be read.
    ANSWER_LOST = "AnswerLost";
    /// Any stage: the artifact registry could not be reached or refused.
    REGISTRY_UNREACHABLE = "RegistryUnreachable";
    /// Any stage: the disk of the job, with `slipway run` that of the machine, is full or cannot be used.
    DISK_FAILED = "DiskFailed";
    /// Any: an image could not be pulled.
    IMAGE_PULL_FAILED = "ImagePullFailed";
    /// Any stage: a job pod failed in a way that has no name of its own.
    STAGE_FAILED = "StageFailed";
    /// Any stage: its output no longer exists in the registry.
    ARTIFACT_MISSING = "ArtifactMissing";
    /// `GatePassed`: every check passed.
    PASSED = "Passed";
    /// `GatePassed`: there is no gate.
    NO_GATE = "NoGate";
    /// `GatePassed`: a check failed.
    CHECK_FAILED = "CheckFailed";
    /// `GatePassed`: a check could not decide; more samples are needed.
    INCONCLUSIVE = "Inconclusive";
    /// `GatePassed`: the gate itself could not run.
    GATE_ERROR = "GateError";
    /// Available: at least one pod of the stable revision is ready.
    SERVING = "Serving";
    /// Available: the record of the revision that serves is gone; its pods are kept until another one takes over.
    REVISION_UNAVAILABLE = "RevisionUnavailable";
    /// Available: no pod of the stable revision is ready.
    NO_READY_PODS = "NoReadyPods";
    /// Available or Ready: `replicas: 0`.
    SCALED_TO_ZERO = "ScaledToZero";
    /// Available: no revision exists yet.
    NO_REVISION = "NoRevision";
    /// Ready: the new revision made no progress within `rollout.progressDeadline`.
    PROGRESS_DEADLINE_EXCEEDED = "ProgressDeadlineExceeded";
    /// Ready: a pod of the new revision did not start; the message has its words.
    POD_FAILED = "PodFailed";
    /// `MonitoringReady`: a Prometheus selects the `ServiceMonitor`.
    SELECTED = "Selected";
    /// `MonitoringReady`: no Prometheus selects the `ServiceMonitor`; the message has the fix.
    NOT_SELECTED = "NotSelected";
    /// `MonitoringReady`: the cluster has no prometheus-operator.
    NO_PROMETHEUS_OPERATOR = "NoPrometheusOperator";
    /// `MonitoringReady`: the cluster has no Prometheus object that the operator may see.
    NO_PROMETHEUS = "NoPrometheus";
    /// `MonitoringReady`: monitoring was turned off.
    DISABLED = "Disabled";
    /// Reconciling or Stalled: nothing is left to do.
    UP_TO_DATE = "UpToDate";
    /// Any: the Kubernetes API refused a write; the message has its words.
    APPLY_FAILED = "ApplyFailed";
}
