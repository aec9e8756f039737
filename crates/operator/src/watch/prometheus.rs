//! Watches on what belongs to another project and may not be there: prometheus-operator's kinds.
//!
//! Whether a kind exists is told by a watch on the metadata of its `CustomResourceDefinition`, so nothing is polled
//! and a kind that appears later is seen at once.

use std::sync::Arc;

use futures::StreamExt;
use k8s_openapi::{
    api::core::v1::Namespace, apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, PartialObjectMeta},
    core::GroupVersionKind,
    runtime::{
        WatchStreamExt,
        watcher::{self, Event},
    },
};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Queue, children, trouble};
use crate::observe::{Question, World};

const GROUP: &str = "monitoring.coreos.com";
const VERSION: &str = "v1";

/// What the watches of this module share.
#[derive(Clone)]
struct Watch {
    client: Client,
    namespace: Option<String>,
    world: Arc<World>,
    queue: Queue,
}

/// Begins to watch for prometheus-operator and for the labels of namespaces.
pub(super) fn spawn(
    tasks: &mut JoinSet<()>,
    client: &Client,
    namespace: Option<&str>,
    world: &Arc<World>,
    queue: &Queue,
    shutdown: &CancellationToken,
) {
    let watch = Watch {
        client: client.clone(),
        namespace: namespace.map(str::to_owned),
        world: Arc::clone(world),
        queue: queue.clone(),
    };
    for question in [Question::Monitors, Question::Prometheuses] {
        tasks.spawn(watch.clone().follow_kind(question, shutdown.clone()));
    }
    tasks.spawn(watch.follow_namespaces(shutdown.clone()));
}

fn kind(question: Question) -> (&'static str, &'static str) {
    match question {
        Question::Monitors => ("ServiceMonitor", "servicemonitors"),
        Question::Prometheuses => ("Prometheus", "prometheuses"),
        Question::Namespaces => ("Namespace", "namespaces"),
    }
}

impl Watch {
    /// Watches whether a kind exists, and its objects while it does.
    async fn follow_kind(self, question: Question, shutdown: CancellationToken) {
        let (name, plural) = kind(question);
        let api: Api<PartialObjectMeta<CustomResourceDefinition>> = Api::all(self.client.clone());
        let only = watcher::Config::default().fields(&format!("metadata.name={plural}.{GROUP}"));
        let mut events = std::pin::pin!(watcher::watcher(api, only).default_backoff());
        let mut objects: Option<(CancellationToken, tokio::task::JoinHandle<()>)> = None;
        let mut listed = false;
        loop {
            let event = tokio::select! {
                () = shutdown.cancelled() => break,
                event = events.next() => event,
            };
            let exists = match event {
                None => break,
                Some(Ok(Event::Init)) => {
                    listed = false;
                    continue;
                }
                Some(Ok(Event::InitApply(_))) => {
                    listed = true;
                    true
                }
                Some(Ok(Event::Apply(_))) => true,
                Some(Ok(Event::InitDone)) => listed,
                Some(Ok(Event::Delete(_))) => false,
                Some(Err(error)) => {
                    trouble("CustomResourceDefinition", &error, self.queue.metrics());
                    // An operator that may not look must not wait for the answer.
                    self.world.monitoring.settle(question);
                    continue;
                }
            };
            if exists && objects.is_none() {
                tracing::info!(kind = name, "the cluster knows the kind");
                let until = shutdown.child_token();
                let task = tokio::spawn(self.clone().follow_objects(question, until.clone()));
                objects = Some((until, task));
            } else if !exists {
                if let Some((until, task)) = objects.take() {
                    until.cancel();
                    let _ended = task.await;
                    self.gone(question);
                }
                self.world.monitoring.settle(question);
            }
        }
        if let Some((until, task)) = objects {
            until.cancel();
            let _ended = task.await;
        }
    }

    fn gone(&self, question: Question) {
        match question {
            Question::Monitors => {
                self.world.monitoring.service_monitors(false);
                self.world.monitors.clear();
            }
            Question::Prometheuses => self.world.monitoring.no_prometheuses(),
            Question::Namespaces => {}
        }
        self.queue.all(None);
    }

    async fn follow_objects(self, question: Question, shutdown: CancellationToken) {
        let (name, plural) = kind(question);
        let resource =
            ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(GROUP, VERSION, name), plural);
        match question {
            Question::Monitors => self.follow_monitors(&resource, &shutdown).await,
            Question::Prometheuses => self.follow_prometheuses(&resource, &shutdown).await,
            Question::Namespaces => {}
        }
    }

    /// The kind counts as known once its objects can be listed: a definition alone is not served yet.
    async fn follow_monitors(&self, resource: &ApiResource, shutdown: &CancellationToken) {
        let api = match &self.namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, resource),
            None => Api::all_with(self.client.clone(), resource),
        };
        let served = async {
            self.world.monitors.wait_until_ready().await;
            if self.world.monitoring.service_monitors(true) {
                self.queue.all(None);
            }
            self.world.monitoring.settle(Question::Monitors);
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = children::follow(api, &self.world.monitors, &self.queue, shutdown) => {}
            () = served => {}
        }
    }

    async fn follow_prometheuses(&self, resource: &ApiResource, shutdown: &CancellationToken) {
        let api: Api<DynamicObject> = Api::all_with(self.client.clone(), resource);
        let mut events = std::pin::pin!(watcher::watcher(api, watcher::Config::default()).default_backoff());
        loop {
            let event = tokio::select! {
                () = shutdown.cancelled() => return,
                event = events.next() => event,
            };
            match event {
                None => return,
                Some(Ok(event)) => {
                    let first = matches!(event, Event::InitDone);
                    if self.world.monitoring.prometheus(event) {
                        self.queue.all(None);
                    }
                    if first {
                        self.world.monitoring.settle(Question::Prometheuses);
                    }
                }
                Some(Err(error)) => {
                    trouble("Prometheus", &error, self.queue.metrics());
                    self.world.monitoring.settle(Question::Prometheuses);
                }
            }
        }
    }

    async fn follow_namespaces(self, shutdown: CancellationToken) {
        let api: Api<PartialObjectMeta<Namespace>> = Api::all(self.client.clone());
        let config = match &self.namespace {
            Some(namespace) => watcher::Config::default().fields(&format!("metadata.name={namespace}")),
            None => watcher::Config::default(),
        };
        let mut events = std::pin::pin!(watcher::watcher(api, config).default_backoff());
        loop {
            let event = tokio::select! {
                () = shutdown.cancelled() => return,
                event = events.next() => event,
            };
            match event {
                None => return,
                Some(Ok(event)) => {
                    let first = matches!(event, Event::InitDone);
                    if let Some(namespace) = self.world.monitoring.namespace(event) {
                        self.queue.all(Some(&namespace));
                    }
                    if first {
                        self.world.monitoring.settle(Question::Namespaces);
                    }
                }
                Some(Err(error)) => trouble("Namespace", &error, self.queue.metrics()),
            }
        }
    }
}
