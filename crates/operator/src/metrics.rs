//! What the operator tells Prometheus of itself; every label comes from a closed set.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use kube::{core::DeserializeGuard, runtime::reflector::Store};
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};
use slipway_api::ModelDeployment;

/// Reconciles take milliseconds at rest and seconds when the API is slow.
const BUCKETS: [f64; 9] = [0.001, 0.005, 0.02, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Write {
    kind: String,
    verb: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Failure {
    category: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ready {
    ready: &'static str,
}

/// The operator's metrics; clones share them.
#[derive(Clone)]
pub struct Metrics {
    shared: Arc<Shared>,
}

struct Shared {
    registry: Registry,
    reconciles: Family<Outcome, Counter>,
    duration: Histogram,
    active: Gauge,
    triggers: Counter,
    writes: Family<Write, Counter>,
    errors: Family<Failure, Counter>,
    objects: Family<Ready, Gauge>,
    leader: Gauge,
    store: RwLock<Option<Store<DeserializeGuard<ModelDeployment>>>>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self { shared: Arc::new(Shared::new()) }
    }
}

impl Shared {
    fn new() -> Self {
        let mut registry = Registry::with_prefix("slipway_operator");
        let reconciles = Family::default();
        registry.register("reconciles", "Objects looked at, by result", reconciles.clone());
        let duration = Histogram::new(BUCKETS);
        let help = "How long one look at an object takes";
        registry.register_with_unit("reconcile_duration", help, Unit::Seconds, duration.clone());
        let active = Gauge::default();
        registry.register("active_reconciles", "Objects looked at now", active.clone());
        let triggers = Counter::default();
        registry.register("triggers", "Changes that put an object into the queue", triggers.clone());
        let writes = Family::default();
        registry.register("api_writes", "Writes to the Kubernetes API, by kind and verb", writes.clone());
        let errors = Family::default();
        registry.register("errors", "What went wrong, by category", errors.clone());
        let objects = Family::default();
        registry.register("objects", "Model deployments, by condition Ready", objects.clone());
        let leader = Gauge::default();
        registry.register("leader", "Whether this replica does the work", leader.clone());
        let store = RwLock::new(None);
        Self { registry, reconciles, duration, active, triggers, writes, errors, objects, leader, store }
    }
}

impl Metrics {
    /// The metrics in the text form of `OpenMetrics`.
    pub fn render(&self) -> String {
        self.count_objects();
        let mut text = String::new();
        // Writing into a string cannot fail.
        let _written = encode(&mut text, &self.shared.registry);
        text
    }

    /// How many writes the operator made so far, for tests and benchmarks.
    pub fn writes(&self, kind: &str, verb: &'static str) -> u64 {
        self.shared.writes.get_or_create(&Write { kind: kind.to_owned(), verb }).get()
    }

    pub(crate) fn watch_objects(&self, store: Store<DeserializeGuard<ModelDeployment>>) {
        *self.shared.store.write().unwrap_or_else(PoisonError::into_inner) = Some(store);
    }

    pub(crate) fn lead(&self, leads: bool) {
        self.shared.leader.set(leads.into());
    }

    pub(crate) fn triggered(&self) {
        self.shared.triggers.inc();
    }

    pub(crate) fn wrote(&self, kind: &str, verb: &'static str) {
        self.shared.writes.get_or_create(&Write { kind: kind.to_owned(), verb }).inc();
    }

    pub(crate) fn failed(&self, category: &'static str) {
        self.shared.errors.get_or_create(&Failure { category }).inc();
    }

    /// Counts one look at an object from its begin to the drop of what this gives.
    pub(crate) fn begin(&self) -> Active {
        self.shared.active.inc();
        Active(self.shared.active.clone())
    }

    pub(crate) fn reconciled(&self, well: bool, took: Duration) {
        let result = if well { "ok" } else { "error" };
        self.shared.reconciles.get_or_create(&Outcome { result }).inc();
        self.shared.duration.observe(took.as_secs_f64());
    }

    fn count_objects(&self) {
        let store = self.shared.store.read().unwrap_or_else(PoisonError::into_inner).clone();
        let all = store.map(|store| store.state()).unwrap_or_default();
        for ready in ["True", "False", "Unknown"] {
            let count = all.iter().filter(|object| readiness(object) == ready).count();
            let gauge = self.shared.objects.get_or_create(&Ready { ready }).clone();
            gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }
}

fn readiness(object: &DeserializeGuard<ModelDeployment>) -> &'static str {
    let Ok(deployment) = &object.0 else { return "False" };
    let conditions = deployment.status.iter().flat_map(|status| &status.conditions);
    match conditions.into_iter().find(|one| one.condition_type == "Ready").map(|one| one.status.as_str()) {
        Some("True") => "True",
        Some("False") => "False",
        _ => "Unknown",
    }
}

/// One look at an object that is under way.
pub(crate) struct Active(Gauge);

impl Drop for Active {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_end_in_total_and_durations_in_seconds() {
        let metrics = Metrics::default();
        metrics.wrote("Job", "create");
        metrics.failed("Conflict");
        metrics.reconciled(true, Duration::from_millis(3));
        let text = metrics.render();
        for line in [
            r#"slipway_operator_api_writes_total{kind="Job",verb="create"} 1"#,
            r#"slipway_operator_errors_total{category="Conflict"} 1"#,
            r#"slipway_operator_reconciles_total{result="ok"} 1"#,
            r#"slipway_operator_reconcile_duration_seconds_bucket{le="0.005"} 1"#,
            r#"slipway_operator_objects{ready="True"} 0"#,
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }

    #[test]
    fn every_metric_is_documented() {
        let docs = include_str!("../../../docs/monitoring.md");
        let text = Metrics::default().render();
        let names = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
        let missing: Vec<_> = names.filter(|name| !docs.contains(&format!("| `{name}"))).collect();
        assert!(missing.is_empty(), "docs/monitoring.md lacks {missing:?}");
    }

    #[test]
    fn what_is_under_way_is_counted_until_it_ends() {
        let metrics = Metrics::default();
        let active = metrics.begin();
        assert!(metrics.render().contains("slipway_operator_active_reconciles 1"));
        drop(active);
        assert!(metrics.render().contains("slipway_operator_active_reconciles 0"));
    }
}
