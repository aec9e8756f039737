//! The API: `ModelDeployment` (`slipway.dev/v1alpha1`), what a user may write and what the operator answers.
//!
//! Types only: spec, status, conditions and reasons, names and labels, and the contract between the operator and
//! its job pods. No client, no clock, no async. The custom resource itself (kube's derive) and the generated CRD
//! are behind feature `crd`.

mod canonical;
pub mod condition;
#[cfg(feature = "crd")]
pub mod crd;
mod data;
mod deployment;
mod gate;
pub mod job;
mod jobs;
mod monitoring;
pub mod names;
mod pod;
#[cfg(feature = "crd")]
pub mod reference;
mod rollout;
mod scalar;
mod schema;
mod serving;
mod source;
pub mod stage;
pub mod status;
pub mod yaml;

pub use canonical::{canonical_json, sha256_hex};
pub use data::{DataFormat, DataSet};
#[cfg(feature = "crd")]
pub use deployment::ModelDeployment;
pub use deployment::{Model, ModelDeploymentSpec};
pub use gate::{
    AccuracyCheck, Baseline, Check, CheckKind, Classification, Gate, LatencyCheck, OnInconclusive,
    ParityCheck, SizeCheck, Task,
};
pub use jobs::{JobPod, Jobs};
pub use monitoring::{Monitoring, ServiceMonitor};
pub use pod::{LocalReference, Resources, Toleration};
pub use rollout::{Rolling, Rollout, Strategy};
pub use scalar::{Duration, Fraction, Percent, Ratio, ScalarError};
pub use serving::{
    Backend, Batching, OnMismatch, Runtime, SelfCheck, ServicePort, ServiceType, Serving, ServingPod,
    SlipwayRuntime,
};
pub use source::{ModelFormat, Source};
pub use stage::{Stage, StageKind};

/// The API group of every kind defined here.
pub const GROUP: &str = "slipway.dev";
/// The only version served.
pub const VERSION: &str = "v1alpha1";
/// The kind's name; other projects use it too, so always say it with the group.
pub const KIND: &str = "ModelDeployment";
