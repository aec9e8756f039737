//! The watches: each fills a cache and puts the objects that it concerns into the queue. At rest they only wait.

mod children;
mod events;
mod prometheus;
mod queue;

pub(crate) use queue::{Guarded, Queue};

use std::sync::Arc;

use futures::{StreamExt, stream::BoxStream};
use kube::{
    Api, Client, Resource,
    runtime::{
        WatchStreamExt,
        controller::{self, Action},
        reflector::{self, ObjectRef, Store},
        watcher::{self, Event},
    },
};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use self::events::{Broken, Events};
use crate::{
    context::{Context, Options},
    error::Error,
    metrics::Metrics,
    observe::World,
    reconcile::{after_error, reconcile},
    serve::Health,
};

/// Changes that come close together are looked at once.
const DEBOUNCE: std::time::Duration = std::time::Duration::from_millis(50);

/// What the watches share.
#[derive(Clone)]
struct Watch {
    client: Client,
    /// The only namespace that is looked at; `None` for all.
    namespace: Option<String>,
    world: Arc<World>,
    queue: Queue,
    shutdown: CancellationToken,
}

/// Looks after all objects until `shutdown`, then ends what is under way and returns.
///
/// # Errors
/// When the watches end before they are complete, which only a shutdown makes them do.
pub async fn run(
    client: Client,
    options: Options,
    metrics: Metrics,
    health: Health,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let world = Arc::new(World::default());
    let writer = reflector::store::Writer::default();
    let store: Store<Guarded> = writer.as_reader();
    let (queue, requests) = Queue::new(store.clone(), metrics.clone());
    let (namespace, concurrency) = (options.namespace.clone(), options.concurrency);
    let context = Arc::new(Context::new(client.clone(), options, metrics.clone(), Arc::clone(&world)));
    metrics.watch_objects(store.clone());

    let watching = shutdown.child_token();
    let mut tasks = JoinSet::new();
    let objects = objects(&client, namespace.as_deref(), writer);
    tasks.spawn(follow_objects(objects, queue.clone(), Arc::clone(&context), watching.clone()));
    let watch = Watch { client, namespace, world: Arc::clone(&world), queue, shutdown: watching.clone() };
    children::spawn(&mut tasks, &watch);
    prometheus::spawn(&mut tasks, &watch);

    let complete = async {
        let listed = store.wait_until_ready().await;
        world.wait_until_ready().await;
        listed.map_err(|_| Error::WatchEnded)
    };
    tokio::select! {
        () = shutdown.cancelled() => return Ok(()),
        complete = complete => complete?,
    }
    health.synced();
    tracing::info!(objects = store.len(), "the caches are complete");

    let requests =
        requests.take_until(shutdown.clone().cancelled_owned()).map(Ok::<_, std::convert::Infallible>);
    let config = controller::Config::default().debounce(DEBOUNCE).concurrency(concurrency);
    let look = |object, context| Box::pin(reconcile(object, context));
    let retry =
        |object: Arc<Guarded>, error: &Error, context: Arc<Context>| after_error(&object, error, &context);
    controller::applier(look, retry, context, store, requests, config).for_each(note).await;
    watching.cancel();
    tasks.join_all().await;
    Ok(())
}

type Reconciled = Result<(ObjectRef<Guarded>, Action), controller::Error<Error, std::convert::Infallible>>;

/// Errors of an object are logged where they arise; here is what concerns the queue itself.
async fn note(done: Reconciled) {
    match done {
        Ok((object, _)) => tracing::debug!(name = object.name, "looked at"),
        Err(controller::Error::ObjectNotFound(object)) => tracing::debug!(name = object.name, "it is gone"),
        Err(controller::Error::ReconcilerFailed(..)) => {}
        Err(error) => tracing::error!(%error, "the queue failed"),
    }
}

fn objects(
    client: &Client,
    namespace: Option<&str>,
    writer: reflector::store::Writer<Guarded>,
) -> BoxStream<'static, Result<Event<Guarded>, watcher::Error>> {
    let api = scoped::<Guarded>(client, namespace);
    watcher::watcher(api, watcher::Config::default())
        .default_backoff()
        .modify(|object| object.meta_mut().managed_fields = None)
        .reflect(writer)
        .boxed()
}

async fn follow_objects(
    events: BoxStream<'static, Result<Event<Guarded>, watcher::Error>>,
    queue: Queue,
    context: Arc<Context>,
    shutdown: CancellationToken,
) {
    let mut events = Events::new(slipway_api::KIND, events, &context.metrics, &shutdown);
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Apply(object)) => queue.object(&object),
            Ok(Event::Delete(object)) => {
                if let Some(uid) = &object.meta().uid {
                    context.forget(uid);
                }
            }
            Ok(Event::InitDone) => queue.all(None),
            Ok(Event::Init | Event::InitApply(_)) | Err(Broken) => {}
        }
    }
}

/// An [`Api`] over one namespace or all.
trait Scoped: Resource<Scope = k8s_openapi::NamespaceResourceScope> {}
impl<K: Resource<Scope = k8s_openapi::NamespaceResourceScope>> Scoped for K {}

fn scoped<K: Scoped>(client: &Client, namespace: Option<&str>) -> Api<K>
where
    K::DynamicType: Default,
{
    match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}
