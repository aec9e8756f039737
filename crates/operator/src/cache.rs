//! What is known of one kind of child: small, indexed by owner, and never older than what we wrote ourselves.
//!
//! A watch fills it. The answer to a write of ours is put in as well, so that the next reconcile sees it although the
//! watch has not delivered it yet; resource versions tell which of two is newer.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use kube::{Resource, runtime::watcher::Event};
use serde::{Serialize, de::DeserializeOwned};
use slipway_api::{GROUP, KIND};
use tokio::sync::watch;

/// Namespace and name of an object.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) namespace: String,
    pub(crate) name: String,
}

/// What is kept of one kind of child.
pub(crate) trait Seen: Sized + Clone + Send + Sync + 'static {
    /// The kind as the API gives it.
    type Object: Resource + Clone + fmt::Debug + DeserializeOwned + Serialize + Send + Sync + 'static;

    /// Whether the object's body is kept, to be compared with what is desired.
    const COMPARED: bool;

    /// What is kept of an object; `None` for one that is not of interest.
    fn see(object: &Self::Object) -> Option<Self>;

    /// The `ModelDeployment` that an object belongs to, with its uid where the object names it.
    fn owner(object: &Self::Object) -> Option<(Key, Option<String>)> {
        let meta = object.meta();
        let ours = format!("{GROUP}/");
        let owner = meta.owner_references.iter().flatten().find(|owner| {
            owner.controller == Some(true) && owner.kind == KIND && owner.api_version.starts_with(&ours)
        })?;
        let key = Key { namespace: meta.namespace.clone()?, name: owner.name.clone() };
        Some((key, Some(owner.uid.clone())))
    }
}

/// One child.
#[derive(Debug, Clone)]
pub(crate) struct Entry<T> {
    pub(crate) key: Key,
    pub(crate) owner: Key,
    pub(crate) owner_uid: Option<String>,
    /// `metadata.resourceVersion` as a number.
    pub(crate) version: u64,
    /// The object as JSON text without status and managed fields, where [`Seen::COMPARED`].
    pub(crate) body: Option<Box<str>>,
    pub(crate) seen: T,
}

impl<T: Seen> Entry<T> {
    fn new(object: &T::Object) -> Option<Self> {
        let meta = object.meta();
        let (owner, owner_uid) = T::owner(object)?;
        let key = Key { namespace: meta.namespace.clone()?, name: meta.name.clone()? };
        let body = if T::COMPARED { body(object) } else { None };
        Some(Self { key, owner, owner_uid, version: version(object), body, seen: T::see(object)? })
    }
}

/// The object's JSON text without what changes by itself.
fn body(object: &impl Serialize) -> Option<Box<str>> {
    let mut value = serde_json::to_value(object).ok()?;
    let whole = value.as_object_mut()?;
    whole.remove("status");
    if let Some(meta) = whole.get_mut("metadata").and_then(serde_json::Value::as_object_mut) {
        for field in ["managedFields", "resourceVersion", "generation", "creationTimestamp"] {
            meta.remove(field);
        }
    }
    Some(value.to_string().into())
}

/// `metadata.resourceVersion` as a number: larger is newer, within one kind.
pub(crate) fn version(object: &impl Resource) -> u64 {
    object.meta().resource_version.as_deref().and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// All known children of one kind.
pub(crate) struct Cache<T> {
    known: RwLock<Known<T>>,
    ready: watch::Sender<bool>,
}

struct Known<T> {
    by_owner: HashMap<Key, BTreeMap<String, Arc<Entry<T>>>>,
    owners: HashMap<Key, Key>,
    /// The newest version that the watch delivered.
    newest: u64,
    /// Objects of a list that is not complete yet.
    incoming: Vec<Entry<T>>,
}

impl<T> Default for Cache<T> {
    fn default() -> Self {
        let known =
            Known { by_owner: HashMap::new(), owners: HashMap::new(), newest: 0, incoming: Vec::new() };
        Self { known: RwLock::new(known), ready: watch::Sender::new(false) }
    }
}

impl<T: Seen> Cache<T> {
    /// Takes in one event of the watch, and says whose children changed.
    pub(crate) fn handle(&self, event: &Event<T::Object>) -> Vec<Key> {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Init => {
                known.incoming.clear();
                Vec::new()
            }
            Event::InitApply(object) => {
                known.newest = known.newest.max(version(object));
                known.incoming.extend(Entry::new(object));
                Vec::new()
            }
            Event::InitDone => {
                let touched = known.replace();
                drop(known);
                self.ready.send_replace(true);
                touched
            }
            Event::Apply(object) => {
                known.newest = known.newest.max(version(object));
                match Entry::new(object) {
                    Some(entry) => known.insert(entry),
                    None => known.remove(object.meta()),
                }
            }
            Event::Delete(object) => {
                known.newest = known.newest.max(version(object));
                known.remove(object.meta())
            }
        }
    }

    /// Takes in the API's answer to a write of ours, unless the watch has delivered that or something newer.
    pub(crate) fn learn(&self, object: &T::Object) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if version(object) > known.newest
            && let Some(entry) = Entry::new(object)
        {
            known.insert(entry);
        }
    }

    /// Changes a child after a write of ours whose answer is not the whole object.
    pub(crate) fn amend(&self, key: &Key, version: u64, change: impl FnOnce(&mut T)) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if version <= known.newest {
            return;
        }
        if let Some(mut entry) = known.get(key).map(|entry| Entry::clone(entry)) {
            entry.version = version;
            change(&mut entry.seen);
            known.insert(entry);
        }
    }

    /// Forgets a child that the API said is gone.
    pub(crate) fn forget(&self, key: &Key) {
        self.known.write().unwrap_or_else(PoisonError::into_inner).take(key);
    }

    /// The children of an object, by name; where they name their owner's uid, only those of this one.
    pub(crate) fn of(&self, owner: &Key, uid: &str) -> Vec<Arc<Entry<T>>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let children = known.by_owner.get(owner).into_iter().flat_map(BTreeMap::values);
        children
            .filter(|entry| entry.owner_uid.as_deref().is_none_or(|named| named == uid))
            .cloned()
            .collect()
    }

    /// One child.
    pub(crate) fn get(&self, key: &Key) -> Option<Arc<Entry<T>>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    /// Empties the cache, for a kind that the cluster no longer knows.
    pub(crate) fn clear(&self) -> Vec<Key> {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.incoming.clear();
        self.ready.send_replace(false);
        known.replace()
    }

    /// Waits until the first list is complete.
    pub(crate) async fn wait_until_ready(&self) {
        // The sender lives as long as `self`, so this cannot fail.
        let mut ready = self.ready.subscribe();
        let _ready = ready.wait_for(|ready| *ready).await;
    }
}

impl<T> Known<T> {
    fn get(&self, key: &Key) -> Option<&Arc<Entry<T>>> {
        self.by_owner.get(self.owners.get(key)?)?.get(&key.name)
    }

    fn insert(&mut self, entry: Entry<T>) -> Vec<Key> {
        if self.get(&entry.key).is_some_and(|known| known.version > entry.version) {
            return Vec::new();
        }
        let before = self.take(&entry.key).filter(|owner| *owner != entry.owner);
        let owner = entry.owner.clone();
        self.owners.insert(entry.key.clone(), owner.clone());
        self.by_owner.entry(owner.clone()).or_default().insert(entry.key.name.clone(), Arc::new(entry));
        before.into_iter().chain([owner]).collect()
    }

    /// Removes a child, and says whose it was.
    fn take(&mut self, key: &Key) -> Option<Key> {
        let owner = self.owners.remove(key)?;
        if let Some(children) = self.by_owner.get_mut(&owner) {
            children.remove(&key.name);
            if children.is_empty() {
                self.by_owner.remove(&owner);
            }
        }
        Some(owner)
    }

    fn remove(&mut self, meta: &kube::api::ObjectMeta) -> Vec<Key> {
        let (Some(namespace), Some(name)) = (meta.namespace.clone(), meta.name.clone()) else {
            return Vec::new();
        };
        self.take(&Key { namespace, name }).into_iter().collect()
    }

    fn replace(&mut self) -> Vec<Key> {
        let incoming = std::mem::take(&mut self.incoming);
        let mut touched: Vec<_> = self.by_owner.drain().map(|(owner, _)| owner).collect();
        self.owners.clear();
        for entry in incoming {
            touched.extend(self.insert(entry));
        }
        touched.sort();
        touched.dedup();
        touched
    }
}

#[cfg(test)]
mod tests;
