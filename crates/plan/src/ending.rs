//! How a Job ended, or will end, as far as it decides what comes next.

use slipway_api::job::Failure;

use crate::{Job, JobState, Trouble, TroubleKind, steps::SERVERS};

/// How often a server of the gate may be restarted before its step has failed: the kubelet restarts it for ever.
const SERVER_RESTARTS: i32 = 3;
/// The reason of a Job that ended by its failure policy, which cannot tell a container that was killed because of
/// memory from one that was killed for another cause.
const BY_POLICY: &str = "PodFailurePolicy";

impl Job {
    /// The failure that its pods told.
    pub(crate) fn failure(&self) -> Option<&Failure> {
        self.result.as_ref().and_then(|result| result.failure.as_ref())
    }

    /// Whether it failed in a way that may pass, so that the same work is to be tried again after a while.
    pub(crate) fn may_pass(&self) -> bool {
        let JobState::Failed { reason, message: _ } = &self.state else { return false };
        match (self.broken_server(), self.failure()) {
            (Some(_), _) => false,
            (None, Some(failure)) => failure.retryable,
            (None, None) => reason == BY_POLICY && !self.is_out_of_memory(),
        }
    }

    /// The trouble of a server of the gate that will not get well by itself.
    pub(crate) fn broken_server(&self) -> Option<&Trouble> {
        let trouble =
            self.trouble.as_ref().filter(|trouble| SERVERS.contains(&trouble.container.as_str()))?;
        let given_up = trouble.restarts >= SERVER_RESTARTS;
        let broken = match (&self.state, trouble.kind) {
            (JobState::Failed { .. }, TroubleKind::OutOfMemory) => true,
            (JobState::Active | JobState::Failed { .. }, TroubleKind::OutOfMemory | TroubleKind::Crashed) => {
                given_up
            }
            (JobState::Succeeded, _)
            | (
                JobState::Active | JobState::Failed { .. },
                TroubleKind::ImagePull
                | TroubleKind::Evicted
                | TroubleKind::Unschedulable
                | TroubleKind::CannotStart,
            ) => false,
        };
        broken.then_some(trouble)
    }

    fn is_out_of_memory(&self) -> bool {
        self.trouble.as_ref().is_some_and(|trouble| trouble.kind == TroubleKind::OutOfMemory)
    }
}
