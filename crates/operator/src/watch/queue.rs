//! The queue: which objects are to be looked at. An object that waits already is not queued twice.

use std::collections::BTreeSet;

use futures::channel::mpsc;
use kube::{
    Resource,
    core::DeserializeGuard,
    runtime::reflector::{ObjectRef, Store},
};
use slipway_api::ModelDeployment;

use crate::{cache::Key, metrics::Metrics};

/// An object, or what is wrong with it.
pub(crate) type Guarded = DeserializeGuard<ModelDeployment>;

/// Where watches put the objects that they concern.
#[derive(Clone)]
pub(crate) struct Queue {
    requests: mpsc::UnboundedSender<ObjectRef<Guarded>>,
    store: Store<Guarded>,
    metrics: Metrics,
}

impl Queue {
    /// A queue over the objects of a store, and its other end.
    pub(crate) fn new(
        store: Store<Guarded>,
        metrics: Metrics,
    ) -> (Self, mpsc::UnboundedReceiver<ObjectRef<Guarded>>) {
        let (requests, receiver) = mpsc::unbounded();
        (Self { requests, store, metrics }, receiver)
    }

    /// One object, which changed itself.
    pub(crate) fn object(&self, object: &Guarded) {
        self.send(ObjectRef::from_obj(object));
    }

    /// The owner of a child that changed; one that does not exist is left out.
    pub(crate) fn owner(&self, owner: &Key) {
        let object = ObjectRef::new(&owner.name).within(&owner.namespace);
        if self.store.get(&object).is_some() {
            self.send(object);
        }
    }

    /// All objects, or those of one namespace.
    pub(crate) fn all(&self, namespace: Option<&str>) {
        for object in self.store.state() {
            let object = ObjectRef::from_obj(&*object);
            if namespace.is_none_or(|namespace| object.namespace.as_deref() == Some(namespace)) {
                self.send(object);
            }
        }
    }

    /// The uids of all objects.
    pub(crate) fn uids(&self) -> BTreeSet<String> {
        self.store.state().iter().filter_map(|object| object.meta().uid.clone()).collect()
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    fn send(&self, object: ObjectRef<Guarded>) {
        self.metrics.triggered();
        // It fails only when the queue has ended, at shutdown.
        let _sent = self.requests.unbounded_send(object);
    }
}
