//! Retries with growing, bounded, jittered pauses.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

use crate::error::{Error, Result};

const MAX_RETRY_AFTER: Duration = Duration::from_mins(1);

/// How often and how patiently a request is repeated after 408, 429, 5xx and connection failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Requests in all; at least one is made.
    pub attempts: u32,
    /// The first pause; each further one is twice as long, and up to half of each is random.
    pub first_pause: Duration,
    /// The longest pause; a server's `Retry-After` may ask for up to a minute.
    pub longest_pause: Duration,
    /// How long nothing may arrive or leave before a request counts as failed.
    pub stall: Duration,
}

impl Default for RetryPolicy {
    /// Five attempts with 0.25 s to 8 s between them; a minute of silence is a failure.
    fn default() -> Self {
        Self {
            attempts: 5,
            first_pause: Duration::from_millis(250),
            longest_pause: Duration::from_secs(8),
            stall: Duration::from_mins(1),
        }
    }
}

impl RetryPolicy {
    fn pause(&self, after_attempt: u32, asked: Option<Duration>) -> Duration {
        let doubled = self.first_pause.saturating_mul(1 << after_attempt.saturating_sub(1).min(16));
        let pause = doubled.min(self.longest_pause);
        let jittered = pause / 2 + (pause / 2).mul_f64(random_fraction());
        jittered.max(asked.unwrap_or_default().min(MAX_RETRY_AFTER))
    }
}

/// A number in `[0, 1)` that is different for every process and call.
fn random_fraction() -> f64 {
    let bits = u32::try_from(RandomState::new().build_hasher().finish() >> 32).unwrap_or_default();
    f64::from(bits) / (f64::from(u32::MAX) + 1.0)
}

/// Why one attempt failed.
#[derive(Debug)]
pub(crate) enum Fault {
    /// Another attempt would fail too.
    Final(Error),
    /// Another attempt may succeed.
    Transient {
        /// What happened.
        reason: String,
        /// The pause that the server asked for.
        after: Option<Duration>,
        /// The error to end with when no attempt is left, if not [`Error::Unreachable`].
        finally: Option<Box<Error>>,
    },
}

impl Fault {
    pub(crate) fn transient(reason: impl Into<String>) -> Self {
        Self::Transient { reason: reason.into(), after: None, finally: None }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Final(error)
    }
}

/// The attempts at one thing.
#[derive(Debug)]
pub(crate) struct Retry<'a> {
    policy: &'a RetryPolicy,
    host: &'a str,
    action: &'a str,
    made: u32,
}

impl<'a> Retry<'a> {
    pub(crate) const fn new(policy: &'a RetryPolicy, host: &'a str, action: &'a str) -> Self {
        Self { policy, host, action, made: 0 }
    }

    /// Waits and returns when another attempt should be made; otherwise says why not.
    pub(crate) async fn after(&mut self, fault: Fault) -> Result<()> {
        self.made += 1;
        let (reason, after, finally) = match fault {
            Fault::Final(error) => return Err(error),
            Fault::Transient { reason, after, finally } => (reason, after, finally),
        };
        if self.made >= self.policy.attempts {
            return Err(finally.map_or_else(|| self.unreachable(reason), |error| *error));
        }
        let pause = self.policy.pause(self.made, after);
        let milliseconds = pause.as_millis();
        tracing::debug!(
            host = self.host,
            action = self.action,
            attempt = self.made,
            reason,
            milliseconds,
            "will retry"
        );
        tokio::time::sleep(pause).await;
        Ok(())
    }

    fn unreachable(&self, reason: String) -> Error {
        Error::Unreachable {
            host: self.host.to_owned(),
            action: self.action.to_owned(),
            attempts: self.made,
            reason,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_stay_bounded_and_heed_the_server() {
        let policy = RetryPolicy::default();
        for attempt in 1..40 {
            let pause = policy.pause(attempt, None);
            assert!(pause >= policy.first_pause / 2 && pause <= policy.longest_pause, "{attempt}: {pause:?}");
        }
        assert!(policy.pause(4, None) >= policy.first_pause * 4);
        assert!(policy.pause(1, Some(Duration::from_secs(20))) >= Duration::from_secs(20));
        assert!(policy.pause(1, Some(Duration::from_hours(24))) <= MAX_RETRY_AFTER);
    }
}
