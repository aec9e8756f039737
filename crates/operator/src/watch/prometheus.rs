//! Watches on what belongs to another project and may not be there: prometheus-operator's kinds.
//!
//! Whether a kind exists is told by a watch on the metadata of its `CustomResourceDefinition`, so nothing is polled
//! and a kind that appears later is seen at once.

use k8s_openapi::{
    api::core::v1::Namespace, apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api,
    api::{ApiResource, DynamicObject, PartialObjectMeta},
    core::GroupVersionKind,
    runtime::{
        WatchStreamExt,
        watcher::{self, Event},
    },
};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Broken, Events, Watch, children};
use crate::observe::Question;

const GROUP: &str = "monitoring.coreos.com";
const VERSION: &str = "v1";

/// Begins to watch for prometheus-operator and for the labels of namespaces.
pub(super) fn spawn(tasks: &mut JoinSet<()>, watch: &Watch) {
    for question in [Question::Monitors, Question::Prometheuses] {
        tasks.spawn(watch.clone().follow_kind(question));
    }
    tasks.spawn(watch.clone().follow_namespaces());
}

fn kind(question: Question) -> (&'static str, &'static str) {
    match question {
        Question::Monitors => ("ServiceMonitor", "servicemonitors"),
        Question::Prometheuses => ("Prometheus", "prometheuses"),
        Question::Namespaces => ("Namespace", "namespaces"),
    }
}

/// Waits until the watch on a kind's objects has ended; for ever where there is none.
async fn ended(objects: &mut Option<(CancellationToken, tokio::task::JoinHandle<()>)>) {
    if let Some((until, task)) = objects {
        let _ended = task.await;
        let by_itself = !until.is_cancelled();
        *objects = None;
        if by_itself {
            return;
        }
    }
    std::future::pending::<()>().await;
}

impl Watch {
    /// Watches whether a kind exists, and its objects while it does.
    async fn follow_kind(self, question: Question) {
        let (name, plural) = kind(question);
        let api: Api<PartialObjectMeta<CustomResourceDefinition>> = Api::all(self.client.clone());
        let only = watcher::Config::default().fields(&format!("metadata.name={plural}.{GROUP}"));
        let watch = watcher::watcher(api, only).default_backoff();
        let mut events = Events::new("CustomResourceDefinition", watch, self.queue.metrics(), &self.shutdown);
        let mut objects: Option<(CancellationToken, tokio::task::JoinHandle<()>)> = None;
        let mut listed = false;
        loop {
            let event = tokio::select! {
                event = events.next() => event,
                // It ends by itself only by a panic, which is this watch's own.
                () = ended(&mut objects) => return,
            };
            let Some(event) = event else { break };
            let exists = match event {
                Ok(Event::Init) => {
                    listed = false;
                    continue;
                }
                Ok(Event::InitApply(_)) => {
                    listed = true;
                    true
                }
                Ok(Event::Apply(_)) => true,
                Ok(Event::InitDone) => listed,
                Ok(Event::Delete(_)) => false,
                Err(Broken) => {
                    // An operator that may not look must not wait for the answer.
                    self.world.monitoring.settle(question);
                    continue;
                }
            };
            if exists && objects.is_none() {
                tracing::info!(kind = name, "the cluster knows the kind");
                let until = self.shutdown.child_token();
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
        let watch = watcher::watcher(api, watcher::Config::default()).default_backoff();
        let mut events = Events::new("Prometheus", watch, self.queue.metrics(), shutdown);
        while let Some(event) = events.next().await {
            let settled = matches!(event, Ok(Event::InitDone) | Err(Broken));
            if event.is_ok_and(|event| self.world.monitoring.prometheus(event)) {
                self.queue.all(None);
            }
            if settled {
                self.world.monitoring.settle(Question::Prometheuses);
            }
        }
    }

    async fn follow_namespaces(self) {
        let api: Api<PartialObjectMeta<Namespace>> = Api::all(self.client.clone());
        let config = match &self.namespace {
            Some(namespace) => watcher::Config::default().fields(&format!("metadata.name={namespace}")),
            None => watcher::Config::default(),
        };
        let watch = watcher::watcher(api, config).default_backoff();
        let mut events = Events::new("Namespace", watch, self.queue.metrics(), &self.shutdown);
        while let Some(event) = events.next().await {
            let settled = matches!(event, Ok(Event::InitDone) | Err(Broken));
            if let Some(namespace) = event.ok().and_then(|event| self.world.monitoring.namespace(event)) {
                self.queue.all(Some(&namespace));
            }
            if settled {
                self.world.monitoring.settle(Question::Namespaces);
            }
        }
    }
}
