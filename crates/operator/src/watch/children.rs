//! Watches on the kinds that the operator makes, limited to its own objects by label.

use std::sync::Arc;

use futures::StreamExt;
use kube::{
    Api, Client,
    runtime::{WatchStreamExt, watcher},
};
use slipway_api::names;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Queue, scoped, trouble};
use crate::{
    cache::{Cache, Seen},
    observe::World,
};

/// Begins to watch every kind of child that each cluster has.
pub(super) fn spawn(
    tasks: &mut JoinSet<()>,
    client: &Client,
    namespace: Option<&str>,
    world: &Arc<World>,
    queue: &Queue,
    shutdown: &CancellationToken,
) {
    macro_rules! watch {
        ($cache:ident) => {
            let (world, queue, shutdown) = (Arc::clone(world), queue.clone(), shutdown.clone());
            let api = scoped(client, namespace);
            tasks.spawn(async move { follow(api, &world.$cache, &queue, &shutdown).await });
        };
    }
    watch!(jobs);
    watch!(pods);
    watch!(revisions);
    watch!(workloads);
    watch!(services);
    watch!(budgets);
}

/// The objects that the operator made.
pub(super) fn ours() -> watcher::Config {
    watcher::Config::default().labels(&format!("{}={}", names::MANAGED_BY_LABEL, names::MANAGED_BY))
}

/// Keeps a cache up to date until `shutdown`, and puts the owners of what changed into the queue.
pub(super) async fn follow<T: Seen>(
    api: Api<T::Object>,
    cache: &Cache<T>,
    queue: &Queue,
    shutdown: &CancellationToken,
) {
    let mut events = std::pin::pin!(watcher::watcher(api, ours()).default_backoff());
    loop {
        let event = tokio::select! {
            () = shutdown.cancelled() => return,
            event = events.next() => event,
        };
        match event {
            None => return,
            Some(Ok(event)) => cache.handle(&event).iter().for_each(|owner| queue.owner(owner)),
            Some(Err(error)) => trouble(std::any::type_name::<T>(), &error, queue.metrics()),
        }
    }
}
