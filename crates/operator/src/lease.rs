//! Leader election: of several replicas one does the work, and another takes over when it goes.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use kube::Client;
use kube_lease_manager::{LeaseManager, LeaseManagerBuilder};
use tokio_util::sync::CancellationToken;

use crate::{error::Error, metrics::Metrics};

/// How long a lease holds after its last renewal.
const HOLDS: Duration = Duration::from_secs(8);
/// How long before its end a lease is renewed.
const GRACE: Duration = Duration::from_secs(4);
/// How long to wait after an error of the API.
const PAUSE: Duration = Duration::from_millis(500);
/// How long a release may take at shutdown.
const RELEASE: Duration = Duration::from_secs(5);

/// The lease that replicas compete for.
#[derive(Debug, Clone)]
pub struct Lease {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The name of this replica; one that restarts under its old name goes on at once. Example: the pod's name.
    pub identity: String,
}

/// Runs `work` whenever this replica leads, and ends it when it does not; returns at `shutdown`, after releasing the
/// lease so that another replica need not wait for its end.
///
/// `standing_by` is called once the lease could be looked at: from then on the replica is ready.
///
/// # Errors
/// Whatever ended `work` by itself.
pub async fn lead<F, W>(
    client: Client,
    lease: &Lease,
    metrics: &Metrics,
    shutdown: &CancellationToken,
    standing_by: impl Fn() + Send,
    work: F,
) -> Result<(), Error>
where
    F: Fn(CancellationToken) -> W + Send,
    W: Future<Output = Result<(), Error>> + Send,
{
    let Some(manager) = prepare(client, lease, shutdown).await else { return Ok(()) };
    standing_by();
    let result = compete(&manager, metrics, shutdown, work).await;
    metrics.lead(false);
    match tokio::time::timeout(RELEASE, manager.release()).await {
        Ok(Ok(())) => tracing::info!("released the lease"),
        Ok(Err(error)) => tracing::warn!(%error, "the lease is not released and ends by itself"),
        Err(_) => tracing::warn!("releasing the lease took too long; it ends by itself"),
    }
    result
}

async fn prepare(client: Client, lease: &Lease, shutdown: &CancellationToken) -> Option<LeaseManager> {
    loop {
        let built = LeaseManagerBuilder::new(client.clone(), &lease.name)
            .with_namespace(&lease.namespace)
            .with_identity(&lease.identity)
            .with_field_manager(&lease.identity)
            .with_grace(GRACE.as_secs())
            .with_duration(HOLDS.as_secs())
            .build();
        tokio::select! {
            () = shutdown.cancelled() => return None,
            built = built => match built {
                Ok(manager) => return Some(manager),
                Err(error) => tracing::warn!(%error, "the lease cannot be looked at; trying again"),
            },
        }
        tokio::select! {
            () = shutdown.cancelled() => return None,
            () = tokio::time::sleep(PAUSE) => {}
        }
    }
}

async fn compete<F, W>(
    manager: &LeaseManager,
    metrics: &Metrics,
    shutdown: &CancellationToken,
    work: F,
) -> Result<(), Error>
where
    F: Fn(CancellationToken) -> W + Send,
    W: Future<Output = Result<(), Error>> + Send,
{
    let mut renewals = Renewals::default();
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            () = renewals.until(manager, true) => {}
        }
        tracing::info!("this replica leads");
        metrics.lead(true);
        let working = shutdown.child_token();
        let mut task = std::pin::pin!(work(working.clone()));
        let ended = tokio::select! {
            ended = &mut task => Some(ended),
            () = renewals.until(manager, false) => None,
        };
        metrics.lead(false);
        if let Some(ended) = ended {
            return ended;
        }
        tracing::warn!("this replica leads no more");
        working.cancel();
        // Another replica may lead already: what is still under way then is dropped, not finished.
        let _finished = tokio::time::timeout(Duration::from_millis(200), task).await;
    }
}

/// Follows the lease, and tells a leader that cannot renew it before another one may take it.
#[derive(Debug, Default)]
struct Renewals {
    leads: bool,
    failing_since: Option<Instant>,
}

impl Renewals {
    async fn until(&mut self, manager: &LeaseManager, leads: bool) {
        while self.leads != leads {
            let begin = Instant::now();
            match manager.changed().await {
                Ok(now) => {
                    self.leads = now;
                    self.failing_since = None;
                }
                Err(error) => {
                    tracing::warn!(%error, "the lease cannot be renewed");
                    self.failed(begin, Instant::now());
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// Notes a failure of a call that began at `begin`; a call that lasted has renewed the lease meanwhile.
    fn failed(&mut self, begin: Instant, now: Instant) {
        if now.duration_since(begin) > HOLDS {
            self.failing_since = None;
        }
        let since = *self.failing_since.get_or_insert(now);
        if now.duration_since(since) + GRACE / 2 > GRACE {
            self.leads = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leader_that_cannot_renew_stops_before_its_lease_ends() {
        let begin = Instant::now();
        let mut renewals = Renewals { leads: true, failing_since: None };
        renewals.failed(begin, begin + Duration::from_millis(10));
        assert!(renewals.leads, "one failure is not the end");
        renewals.failed(begin + Duration::from_secs(1), begin + Duration::from_secs(1));
        assert!(renewals.leads);
        renewals.failed(begin + Duration::from_secs(3), begin + Duration::from_secs(3));
        assert!(!renewals.leads);
        assert!(Duration::from_secs(3) < GRACE);
    }

    #[test]
    fn failures_with_renewals_between_them_do_not_add_up() {
        let begin = Instant::now();
        let mut renewals = Renewals { leads: true, failing_since: None };
        renewals.failed(begin, begin);
        renewals.failed(begin, begin + Duration::from_mins(5));
        assert!(renewals.leads);
    }
}
