//! What every reconcile shares.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use slipway_api::ModelDeployment;
use slipway_plan::Settings;

use crate::{
    apply::Applied, backoff::Backoff, cache, events::Events, leftovers::Leftovers, metrics::Metrics,
    observe::World, registry::ArtifactRegistry, unparsable::Told, writer::Writer,
};

/// How the operator runs.
#[derive(Clone)]
pub struct Options {
    /// Settings of the installation, which every plan gets.
    pub settings: Settings,
    /// The only namespace to look after; `None` for all.
    pub namespace: Option<String>,
    /// How many objects are looked at at once.
    pub concurrency: u16,
    /// Where artifact tags are removed.
    pub registry: Arc<dyn ArtifactRegistry>,
    /// How long a deletion waits for the artifact registry, from the deletion's time on.
    pub farewell: Duration,
    /// The name of this replica in events. Example: the pod's name.
    pub instance: Option<String>,
}

/// What every reconcile shares.
pub(crate) struct Context {
    pub(crate) options: Options,
    pub(crate) writer: Writer,
    pub(crate) world: Arc<World>,
    pub(crate) applied: Applied,
    pub(crate) backoff: Backoff,
    pub(crate) events: Events,
    pub(crate) told: Told,
    pub(crate) leftovers: Leftovers,
    pub(crate) metrics: Metrics,
    written: Mutex<HashMap<String, Arc<ModelDeployment>>>,
}

impl Context {
    pub(crate) fn new(client: kube::Client, options: Options, metrics: Metrics, world: Arc<World>) -> Self {
        Self {
            events: Events::new(client.clone(), options.instance.clone(), metrics.clone()),
            writer: Writer { client, metrics: metrics.clone() },
            options,
            world,
            applied: Applied::default(),
            backoff: Backoff::default(),
            told: Told::default(),
            leftovers: Leftovers::default(),
            metrics,
            written: Mutex::default(),
        }
    }

    /// The newest state of an object that we know: the watch's, or the answer to our own last write.
    pub(crate) fn newest(&self, seen: &ModelDeployment) -> ModelDeployment {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let uid = seen.metadata.uid.clone().unwrap_or_default();
        match written.get(&uid) {
            Some(ours) if cache::version(&**ours) > cache::version(seen) => ModelDeployment::clone(ours),
            _ => {
                written.remove(&uid);
                seen.clone()
            }
        }
    }

    /// Keeps the API's answer to a write of ours until the watch has delivered it.
    pub(crate) fn wrote(&self, mut answer: ModelDeployment) -> ModelDeployment {
        answer.metadata.managed_fields = None;
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        written.insert(answer.metadata.uid.clone().unwrap_or_default(), Arc::new(answer.clone()));
        answer
    }

    /// Forgets everything of objects that are gone: those that are not kept.
    pub(crate) fn retain(&self, keep: impl Fn(&str) -> bool) {
        self.applied.retain(&keep);
        self.backoff.retain(&keep);
        self.told.retain(&keep);
        self.leftovers.retain(&keep);
        self.written.lock().unwrap_or_else(PoisonError::into_inner).retain(|uid, _| keep(uid));
    }
}
