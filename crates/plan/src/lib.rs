//! What should exist now, decided purely from what is observed.
//!
//! [`plan`] turns [`Observed`] and [`Settings`] into a [`Plan`]; [`status()`] turns both and the outcome of applying
//! into a status. The same two functions drive the cluster, the laptop and the tests: no clock, no environment, no
//! network, no async.

mod build;
mod cleanup;
mod ending;
mod gate;
pub mod key;
mod monitoring;
mod object;
mod observed;
mod pipeline;
mod plan;
mod progress;
mod revision;
mod rollout;
mod runtime;
mod serving;
mod settings;
mod status;
mod steps;
mod validate;

pub use monitoring::selects;
pub use observed::{
    Child, Deployment, Job, JobState, LabelExpression, LabelSelector, MonitoringObserved, Observed,
    Prometheus, Revision, Service, ServingPod, Trouble, TroubleKind, Workload,
};
pub use plan::{Delete, Desired, Event, Plan, Scale, Untag};
pub use progress::{Phase, PhaseState, Progress};
pub use revision::RevisionData;
pub use settings::Settings;
pub use status::{ApplyError, Outcome, status};
pub use steps::{JOB_CONTAINER, Step, StepKind};
pub use validate::{advice, validate};

/// What should exist and happen now.
pub fn plan(observed: &Observed, settings: &Settings) -> Plan {
    build::plan(observed, settings)
}
