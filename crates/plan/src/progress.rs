//! How far this generation is: what status, events and the next plan are derived from.

use serde::Serialize;
use slipway_api::{
    condition::Holds,
    status::{ArtifactStatus, GateStatus, StageStatus},
};

/// How far this generation is.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// Whether the spec asks for something possible.
    pub accepted: Phase,
    /// Every step of the pipeline, in order.
    pub stages: Vec<StageStatus>,
    /// Whether every stage has its output.
    pub optimized: Phase,
    /// Whether the artifact may serve.
    pub gate: Phase,
    /// What the gate measured.
    pub gate_status: Option<GateStatus>,
    /// The artifact of this generation, once it exists.
    pub artifact: Option<ArtifactStatus>,
    /// The hash of the revision that this generation asks for, once it is known.
    pub updated: Option<String>,
    /// The hash of the revision that gets the traffic once this plan is applied.
    pub stable: Option<String>,
    /// Whether the updated revision has taken over.
    pub rollout: Phase,
    /// Whether traffic is served now.
    pub available: Phase,
    /// Whether a Prometheus watches.
    pub monitoring: Phase,
    /// Whether a template rendered today differs from the stored one of the same revision.
    pub update_available: Option<bool>,
}

/// The state of one part of the way, with its reason and words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Phase {
    /// How it stands.
    pub state: PhaseState,
    /// One of the constants in [`slipway_api::condition::reason`].
    pub reason: &'static str,
    /// The same in words, with what to do where something is wrong.
    pub message: String,
}

/// How a part of the way stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum PhaseState {
    /// It is done and well.
    Done,
    /// It waits for a part before it or for the user.
    Waiting,
    /// It goes on, and will end without anybody's help.
    Running,
    /// It failed, and stays so until something changes.
    Failed,
}

impl Phase {
    /// A phase that is done and well.
    pub fn done(reason: &'static str, message: impl Into<String>) -> Self {
        Self { state: PhaseState::Done, reason, message: message.into() }
    }
    /// A phase that waits for a part before it or for the user.
    pub fn waiting(reason: &'static str, message: impl Into<String>) -> Self {
        Self { state: PhaseState::Waiting, reason, message: message.into() }
    }
    /// A phase that goes on.
    pub fn running(reason: &'static str, message: impl Into<String>) -> Self {
        Self { state: PhaseState::Running, reason, message: message.into() }
    }
    /// A phase that failed.
    pub fn failed(reason: &'static str, message: impl Into<String>) -> Self {
        Self { state: PhaseState::Failed, reason, message: message.into() }
    }
    /// Whether it is done and well.
    pub fn is_done(&self) -> bool {
        self.state == PhaseState::Done
    }
    /// Whether it failed.
    pub fn is_failed(&self) -> bool {
        self.state == PhaseState::Failed
    }
    /// The status of the condition that says this.
    pub fn holds(&self) -> Holds {
        match self.state {
            PhaseState::Done => Holds::True,
            PhaseState::Failed => Holds::False,
            PhaseState::Waiting | PhaseState::Running => Holds::Unknown,
        }
    }
}
