//! Watches on the kinds that the operator makes, limited to its own objects by label.

use kube::{
    Api,
    runtime::{WatchStreamExt, watcher},
};
use slipway_api::names;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Events, Queue, Watch, scoped};
use crate::cache::{Cache, Seen};

/// Begins to watch every kind of child that each cluster has.
pub(super) fn spawn(tasks: &mut JoinSet<()>, watch: &Watch) {
    macro_rules! follow {
        ($cache:ident) => {
            let watch = watch.clone();
            tasks.spawn(async move {
                let api = scoped(&watch.client, watch.namespace.as_deref());
                follow(api, &watch.world.$cache, &watch.queue, &watch.shutdown).await;
            });
        };
    }
    follow!(jobs);
    follow!(pods);
    follow!(revisions);
    follow!(workloads);
    follow!(services);
    follow!(budgets);
}

/// The objects that the operator made.
fn ours() -> watcher::Config {
    watcher::Config::default().labels(&format!("{}={}", names::MANAGED_BY_LABEL, names::MANAGED_BY))
}

/// Keeps a cache up to date until `shutdown`, and puts the owners of what changed into the queue.
pub(super) async fn follow<T: Seen>(
    api: Api<T::Object>,
    cache: &Cache<T>,
    queue: &Queue,
    shutdown: &CancellationToken,
) {
    let kind = std::any::type_name::<T>();
    let watch = watcher::watcher(api, ours()).default_backoff();
    let mut events = Events::new(kind, watch, queue.metrics(), shutdown);
    while let Some(event) = events.next().await {
        if let Ok(event) = event {
            cache.handle(&event).iter().for_each(|owner| queue.owner(owner));
        }
    }
}
