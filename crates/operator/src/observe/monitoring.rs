//! What the cluster knows of Prometheus: the kinds of prometheus-operator, its objects, and namespaces' labels.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{PoisonError, RwLock},
};

use k8s_openapi::api::core::v1::Namespace;
use kube::{
    api::{DynamicObject, PartialObjectMeta},
    runtime::watcher::Event,
};
use serde_json::Value;
use slipway_plan::{Child, LabelSelector, MonitoringObserved, Prometheus};
use tokio::sync::watch;

use crate::cache::Seen;

/// A `ServiceMonitor`.
#[derive(Debug, Clone)]
pub(crate) struct Monitor(pub(crate) Child);

impl Seen for Monitor {
    type Object = DynamicObject;
    const COMPARED: bool = true;

    fn see(object: &DynamicObject) -> Option<Self> {
        Some(Self(Child {
            api_version: "monitoring.coreos.com/v1".into(),
            kind: "ServiceMonitor".into(),
            name: object.metadata.name.clone()?,
            uid: object.metadata.uid.clone()?,
        }))
    }
}

/// What the watches know of Prometheus.
pub(crate) struct MonitoringWorld {
    known: RwLock<Known>,
    /// Which [`Question`]s are still open.
    unknown: watch::Sender<[bool; 3]>,
}

#[derive(Default)]
struct Known {
    service_monitors: bool,
    /// `None` while they cannot be listed.
    prometheuses: Option<BTreeMap<(String, String), Prometheus>>,
    incoming: BTreeMap<(String, String), Prometheus>,
    namespaces: HashMap<String, BTreeMap<String, String>>,
    incoming_namespaces: HashMap<String, BTreeMap<String, String>>,
}

/// One of the things that the first look at the cluster has to settle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Question {
    /// Does the cluster know `ServiceMonitor`?
    Monitors,
    /// Does it know `Prometheus`?
    Prometheuses,
    /// Which labels do its namespaces have?
    Namespaces,
}

impl Default for MonitoringWorld {
    fn default() -> Self {
        Self { known: RwLock::default(), unknown: watch::Sender::new([true; 3]) }
    }
}

impl MonitoringWorld {
    /// What the plan is told about the namespace of one object.
    pub(super) fn observe(&self, namespace: &str) -> MonitoringObserved {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        MonitoringObserved {
            service_monitors: known.service_monitors,
            prometheuses: known.prometheuses.as_ref().map(|all| all.values().cloned().collect()),
            namespace_labels: known.namespaces.get(namespace).cloned().unwrap_or_default(),
        }
    }

    /// Notes whether the cluster serves `ServiceMonitor`; says whether that is news.
    pub(crate) fn service_monitors(&self, served: bool) -> bool {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut known.service_monitors, served) != served
    }

    /// Forgets the `Prometheus` objects, since the kind is gone.
    pub(crate) fn no_prometheuses(&self) {
        self.known.write().unwrap_or_else(PoisonError::into_inner).prometheuses = None;
    }

    /// Takes in one event of the watch on `Prometheus`; says whether anything changed.
    pub(crate) fn prometheus(&self, event: Event<DynamicObject>) -> bool {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Init => {
                known.incoming.clear();
                false
            }
            Event::InitApply(object) => {
                known.incoming.extend(prometheus(&object));
                false
            }
            Event::InitDone => {
                let all = Some(std::mem::take(&mut known.incoming));
                std::mem::replace(&mut known.prometheuses, all.clone()) != all
            }
            Event::Apply(object) => {
                let Some((key, one)) = prometheus(&object) else { return false };
                known.prometheuses.get_or_insert_default().insert(key, one.clone()) != Some(one)
            }
            Event::Delete(object) => {
                let Some((key, _)) = prometheus(&object) else { return false };
                known.prometheuses.get_or_insert_default().remove(&key).is_some()
            }
        }
    }

    /// Takes in one event of the watch on namespaces; says in which one labels changed, after the first list.
    pub(crate) fn namespace(&self, event: Event<PartialObjectMeta<Namespace>>) -> Option<String> {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Init => {
                known.incoming_namespaces.clear();
                None
            }
            Event::InitApply(object) => {
                let name = object.metadata.name?;
                known.incoming_namespaces.insert(name, object.metadata.labels.unwrap_or_default());
                None
            }
            Event::InitDone => {
                known.namespaces = std::mem::take(&mut known.incoming_namespaces);
                None
            }
            Event::Apply(object) => {
                let name = object.metadata.name?;
                let labels = object.metadata.labels.unwrap_or_default();
                let before = known.namespaces.insert(name.clone(), labels.clone());
                (before != Some(labels)).then_some(name)
            }
            Event::Delete(object) => {
                known.namespaces.remove(&object.metadata.name?);
                None
            }
        }
    }

    /// Notes that a question has its first answer.
    pub(crate) fn settle(&self, question: Question) {
        self.unknown.send_modify(|unknown| unknown[question as usize] = false);
    }

    /// Waits until every question has its first answer.
    pub(crate) async fn wait_until_ready(&self) {
        // The sender lives as long as `self`, so this cannot fail.
        let mut unknown = self.unknown.subscribe();
        let _settled = unknown.wait_for(|unknown| unknown.iter().all(|open| !open)).await;
    }
}

fn prometheus(object: &DynamicObject) -> Option<((String, String), Prometheus)> {
    let (namespace, name) = (object.metadata.namespace.clone()?, object.metadata.name.clone()?);
    let selector = |field: &str| -> Option<LabelSelector> {
        let value = object.data.get("spec")?.get(field).filter(|value| !value.is_null())?;
        Some(read_selector(value))
    };
    let one = Prometheus {
        name: name.clone(),
        namespace: namespace.clone(),
        service_monitor_selector: selector("serviceMonitorSelector"),
        service_monitor_namespace_selector: selector("serviceMonitorNamespaceSelector"),
    };
    Some(((namespace, name), one))
}

/// A selector; one that cannot be read selects nothing.
fn read_selector(value: &Value) -> LabelSelector {
    serde_json::from_value(value.clone()).unwrap_or_else(|error| {
        tracing::warn!(%error, "a selector of a Prometheus object cannot be read");
        let never = slipway_plan::LabelExpression { operator: "Unreadable".into(), ..Default::default() };
        LabelSelector { match_expressions: vec![never], ..LabelSelector::default() }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(name: &str, spec: &Value) -> DynamicObject {
        let object = json!({ "apiVersion": "monitoring.coreos.com/v1", "kind": "Prometheus",
                             "metadata": { "name": name, "namespace": "watch" }, "spec": spec });
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn absent_and_empty_selectors_stay_different() {
        let world = MonitoringWorld::default();
        assert_eq!(world.observe("vision").prometheuses, None, "not listed yet");
        world.prometheus(Event::Init);
        world.prometheus(Event::InitApply(object("kps", &json!({ "serviceMonitorSelector": {} }))));
        assert!(world.prometheus(Event::InitDone));
        let known = world.observe("vision").prometheuses.unwrap();
        assert_eq!(known[0].service_monitor_selector, Some(LabelSelector::default()));
        assert_eq!(known[0].service_monitor_namespace_selector, None);
    }

    #[test]
    fn only_a_real_change_is_news() {
        let world = MonitoringWorld::default();
        let spec = json!({ "serviceMonitorSelector": { "matchLabels": { "release": "kps" } } });
        assert!(world.prometheus(Event::Apply(object("kps", &spec))));
        assert!(!world.prometheus(Event::Apply(object("kps", &spec))));
        assert!(world.prometheus(Event::Delete(object("kps", &spec))));
        assert!(world.service_monitors(true));
        assert!(!world.service_monitors(true));
    }

    #[test]
    fn a_selector_that_cannot_be_read_selects_nothing() {
        let selector = read_selector(&json!({ "matchLabels": 3 }));
        assert!(!slipway_plan::selects(&selector, &BTreeMap::new()));
    }
}
