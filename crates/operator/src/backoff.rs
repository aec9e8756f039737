//! How long an object that failed waits before it is tried again: longer each time, forgotten at success.

use std::{collections::HashMap, sync::Mutex, time::Duration};

const FIRST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_mins(1);

/// Failures in a row by an object's uid.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: Mutex<HashMap<String, u32>>,
}

impl Backoff {
    /// Notes one more failure, and says how long to wait.
    pub(crate) fn next(&self, uid: &str) -> Duration {
        let mut failures = self.failures.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let count = failures.entry(uid.to_owned()).or_insert(0);
        let wait = FIRST.saturating_mul(2_u32.saturating_pow(*count)).min(LONGEST);
        *count = count.saturating_add(1);
        wait
    }

    /// Forgets objects that are not kept.
    pub(crate) fn retain(&self, keep: impl Fn(&str) -> bool) {
        self.failures.lock().unwrap_or_else(std::sync::PoisonError::into_inner).retain(|uid, _| keep(uid));
    }

    /// Forgets the failures: the object succeeded.
    pub(crate) fn reset(&self, uid: &str) {
        self.failures.lock().unwrap_or_else(std::sync::PoisonError::into_inner).remove(uid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_minute_and_a_success_starts_anew() {
        let backoff = Backoff::default();
        let waits: Vec<_> = (0..11).map(|_| backoff.next("a").as_millis()).collect();
        assert_eq!(waits[..4], [200, 400, 800, 1600]);
        assert_eq!(waits[10], 60_000);
        assert_eq!(backoff.next("b").as_millis(), 200, "objects do not wait for each other");
        backoff.reset("a");
        assert_eq!(backoff.next("a").as_millis(), 200);
    }

    #[test]
    fn endless_failures_never_overflow() {
        let backoff = Backoff::default();
        assert!((0..200).map(|_| backoff.next("a")).all(|wait| wait <= LONGEST));
    }
}
