//! Leader election: of several replicas one does the work, and another takes over when it goes.

mod renewal;

use std::{future::Future, time::Duration};

use jiff::Timestamp;
use k8s_openapi::{api::coordination::v1 as coordination, apimachinery::pkg::apis::meta::v1::MicroTime};
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use kube_lease_manager::{LeaseCreateMode, LeaseManager, LeaseManagerBuilder};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use self::renewal::Renewal;
use crate::{error::Error, metrics::Metrics};

/// How long a lease holds after its last renewal.
const HOLDS: Duration = Duration::from_secs(8);
/// How long before its end a lease is renewed.
const GRACE: Duration = Duration::from_secs(4);
/// How long before the end of its lease a leader stops that could not renew it: the time to drop what is under way,
/// and what clocks may differ by.
const MARGIN: Duration = Duration::from_secs(1);
/// How long to wait after an error of the API.
const PAUSE: Duration = Duration::from_millis(500);
/// How long a release may take at shutdown.
const RELEASE: Duration = Duration::from_secs(5);
/// How long what is under way may take after the lease is lost.
const DROP: Duration = Duration::from_millis(200);

/// The lease that replicas compete for; the chart brings it.
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
    loop {
        // A manager keeps to itself whether it leads, so a term that ended otherwise needs another one.
        let renewal = Renewal::default();
        let client = renewal.watch(client.clone());
        let Some(manager) = prepare(client.clone(), lease, shutdown).await else { return Ok(()) };
        standing_by();
        let acquired = tokio::select! {
            () = shutdown.cancelled() => Err(Term::Shutdown),
            acquired = acquire(&manager, &renewal, client, lease) => acquired,
        };
        let term = match acquired {
            Ok(()) => term(&manager, &renewal, metrics, shutdown, &work).await,
            Err(term) => term,
        };
        metrics.lead(false);
        let result = match term {
            Term::Lost => {
                tracing::warn!("this replica leads no more");
                continue;
            }
            Term::Shutdown => Ok(()),
            Term::Worked(result) => result,
        };
        release(&manager).await;
        return result;
    }
}

async fn release(manager: &LeaseManager) {
    match tokio::time::timeout(RELEASE, manager.release()).await {
        Ok(Ok(())) => tracing::info!("released the lease"),
        Ok(Err(error)) => tracing::warn!(%error, "the lease is not released and ends by itself"),
        Err(_) => tracing::warn!("releasing the lease took too long; it ends by itself"),
    }
}

async fn prepare(client: Client, lease: &Lease, shutdown: &CancellationToken) -> Option<LeaseManager> {
    loop {
        let built = LeaseManagerBuilder::new(client.clone(), &lease.name)
            .with_namespace(&lease.namespace)
            .with_identity(&lease.identity)
            .with_field_manager(&lease.identity)
            .with_create_mode(LeaseCreateMode::UseExistent)
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

/// How a replica's time as the leader, or its wait for it, ended.
enum Term {
    Shutdown,
    Worked(Result<(), Error>),
    Lost,
}

/// Waits until this replica leads. A lease that it held before it was restarted is renewed first: nobody knows how long
/// it would hold.
async fn acquire(
    manager: &LeaseManager,
    renewal: &Renewal,
    client: Client,
    lease: &Lease,
) -> Result<(), Term> {
    until(manager, true).await;
    if renewal.is_known() {
        return Ok(());
    }
    let api: Api<coordination::Lease> = Api::namespaced(client, &lease.namespace);
    let renewed = json!({ "spec": { "renewTime": MicroTime(Timestamp::now()), "leaseDurationSeconds": HOLDS.as_secs() } });
    let params = PatchParams { field_manager: Some(lease.identity.clone()), ..PatchParams::default() };
    if let Err(error) = api.patch(&lease.name, &params, &Patch::Strategic(renewed)).await {
        tracing::warn!(%error, "the lease of before cannot be renewed");
        tokio::time::sleep(PAUSE).await;
        return Err(Term::Lost);
    }
    Ok(())
}

async fn term<F, W>(
    manager: &LeaseManager,
    renewal: &Renewal,
    metrics: &Metrics,
    shutdown: &CancellationToken,
    work: &F,
) -> Term
where
    F: Fn(CancellationToken) -> W + Send,
    W: Future<Output = Result<(), Error>> + Send,
{
    tracing::info!("this replica leads");
    metrics.lead(true);
    let working = shutdown.child_token();
    let mut task = std::pin::pin!(work(working.clone()));
    tokio::select! {
        ended = &mut task => return Term::Worked(ended),
        () = until(manager, false) => {}
        () = renewal.lapse(HOLDS.saturating_sub(MARGIN)) => tracing::warn!("the lease could not be renewed in time"),
    }
    metrics.lead(false);
    working.cancel();
    // Another replica may lead soon: what is still under way then is dropped, not finished.
    let _finished = tokio::time::timeout(DROP, task).await;
    Term::Lost
}

/// Follows the lease until this replica leads, or leads no more.
async fn until(manager: &LeaseManager, leads: bool) {
    loop {
        match manager.changed().await {
            Ok(now) if now == leads => return,
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(%error, "the lease cannot be renewed");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}
