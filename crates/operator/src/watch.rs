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
/// When a watch ends by itself: the process is to begin anew.
pub async fn run(
    client: Client,
    options: Options,
    metrics: Metrics,
    health: Health,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    health.syncing();
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
        broken = broken(&mut tasks, &shutdown) => return Err(broken),
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
    tokio::select! {
        () = controller::applier(look, retry, context, store, requests, config).for_each(note) => {}
        broken = broken(&mut tasks, &shutdown) => return Err(broken),
    }
    watching.cancel();
    tasks.join_all().await;
    Ok(())
}

/// Waits for a watch that ends by itself, which none does but by a panic: nothing would be seen of its kind any more.
async fn broken(tasks: &mut JoinSet<()>, shutdown: &CancellationToken) -> Error {
    let ended = tasks.join_next().await;
    if shutdown.is_cancelled() {
        return std::future::pending().await;
    }
    if let Some(Err(error)) = ended {
        tracing::error!(%error, "a watch ended");
    }
    Error::WatchEnded
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
                context.retain(|uid| object.meta().uid.as_deref() != Some(uid));
            }
            Ok(Event::InitDone) => {
                // What was deleted while the watch was broken is in the list no more, and nothing else tells.
                let known = queue.uids();
                context.retain(|uid| known.contains(uid));
                queue.all(None);
            }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::OciRegistry;
    use kube::client::Body;
    use serde_json::json;
    use std::time::Duration;

    #[tokio::test]
    async fn a_watch_that_ends_is_an_error_unless_all_are_to_end() {
        let shutdown = CancellationToken::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(std::future::pending());
        tasks.spawn(async { assert!(tasks_end(), "a watch that panics") });
        assert!(matches!(broken(&mut tasks, &shutdown).await, Error::WatchEnded));
        tasks.spawn(async {});
        shutdown.cancel();
        let waited = tokio::time::timeout(Duration::from_millis(50), broken(&mut tasks, &shutdown)).await;
        assert!(waited.is_err(), "the shutdown is no error");
    }

    fn tasks_end() -> bool {
        false
    }

    fn context() -> Arc<Context> {
        let settings = json!({ "serverImage": "s", "jobImage": "j", "registry": "r.test" });
        let options = Options {
            settings: serde_json::from_value(settings).unwrap(),
            namespace: None,
            concurrency: 1,
            registry: Arc::new(OciRegistry::new("r.test", true)),
            farewell: Duration::from_secs(1),
            instance: None,
        };
        let silent =
            |_: http::Request<Body>| std::future::pending::<Result<http::Response<Body>, kube::Error>>();
        let client = Client::new(tower::service_fn(silent), "vision");
        Arc::new(Context::new(client, options, Metrics::default(), Arc::new(World::default())))
    }

    fn object(name: &str) -> Guarded {
        let object = json!({
            "apiVersion": "slipway.dev/v1alpha1", "kind": "ModelDeployment",
            "metadata": { "name": name, "namespace": "vision", "uid": format!("uid-of-{name}") },
            "spec": { "model": { "source": { "uri": "configmap://m", "file": "m.onnx" } } },
        });
        serde_json::from_value(object).unwrap()
    }

    #[tokio::test]
    async fn what_was_deleted_while_the_watch_was_broken_is_forgotten() {
        let context = context();
        for uid in ["uid-of-gone", "uid-of-stays"] {
            context.backoff.next(uid);
        }
        let writer = reflector::store::Writer::default();
        let (queue, _requests) = Queue::new(writer.as_reader(), Metrics::default());
        let list = [Event::Init, Event::InitApply(object("stays")), Event::InitDone];
        let events = futures::stream::iter(list.map(Ok)).reflect(writer).boxed();
        follow_objects(events, queue, Arc::clone(&context), CancellationToken::new()).await;
        assert_eq!(context.backoff.next("uid-of-gone").as_millis(), 200);
        assert_eq!(context.backoff.next("uid-of-stays").as_millis(), 400);
    }
}
