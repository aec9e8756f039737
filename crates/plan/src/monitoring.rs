//! Monitoring: the `ServiceMonitor`, and whether any Prometheus selects it.

use std::collections::BTreeMap;

use serde_json::json;
use slipway_api::{ServiceMonitor, condition::reason, names};

use crate::{
    Deployment, Desired, LabelExpression, LabelSelector, Observed, Phase, Prometheus, Settings, object,
};

/// `apiVersion` of prometheus-operator's kinds.
pub(crate) const API_VERSION: &str = "monitoring.coreos.com/v1";
/// The kind that says what to scrape.
pub(crate) const KIND: &str = "ServiceMonitor";
const DEFAULT_INTERVAL: &str = "15s";

/// The service monitor, where one is wanted and the cluster knows the kind.
pub(crate) fn service_monitor(observed: &Observed, settings: &Settings) -> Option<Desired> {
    (is_wanted(&observed.deployment, settings) && observed.monitoring.service_monitors)
        .then(|| body(&observed.deployment, settings))
}

/// What the user says of the service monitor.
fn asked(deployment: &Deployment) -> Option<&ServiceMonitor> {
    deployment.spec.monitoring.as_ref()?.service_monitor.as_ref()
}

fn is_wanted(deployment: &Deployment, settings: &Settings) -> bool {
    settings.service_monitors && asked(deployment).and_then(|monitor| monitor.enabled).unwrap_or(true)
}

fn monitor_labels(deployment: &Deployment, settings: &Settings) -> BTreeMap<String, String> {
    let mut labels = settings.service_monitor_labels.clone();
    labels.extend(asked(deployment).map(|monitor| monitor.labels.clone()).unwrap_or_default());
    labels.extend(object::labels(deployment, &[]));
    labels
}

fn body(deployment: &Deployment, settings: &Settings) -> Desired {
    let interval = asked(deployment).and_then(|monitor| monitor.interval.as_ref()).map(ToString::to_string);
    let body = json!({ "spec": {
        "selector": { "matchLabels": { names::METRICS_LABEL: deployment.name } },
        // Without it `job` would be the name of the Service.
        "jobLabel": names::METRICS_LABEL,
        "endpoints": [{ "port": "metrics", "interval": interval.unwrap_or_else(|| DEFAULT_INTERVAL.into()) }],
    }});
    let labels = monitor_labels(deployment, settings);
    object::object(deployment, (API_VERSION, KIND), &deployment.name, &labels, &BTreeMap::new(), body)
}

/// Whether a Prometheus watches this object, and the fix where none does; `stable` is whether a revision serves.
pub(crate) fn phase(observed: &Observed, settings: &Settings, stable: bool) -> Phase {
    let deployment = &observed.deployment;
    if !is_wanted(deployment, settings) {
        return Phase::waiting(
            reason::DISABLED,
            "service monitors are turned off for this object or by the chart",
        );
    }
    if !observed.monitoring.service_monitors {
        let message = "the cluster does not know the kind ServiceMonitor: install prometheus-operator, \
                       or set monitoring.serviceMonitor.enabled: false";
        return Phase::waiting(reason::NO_PROMETHEUS_OPERATOR, message);
    }
    let prometheuses = observed.monitoring.prometheuses.as_deref().unwrap_or_default();
    if prometheuses.is_empty() {
        let message = "the cluster has no Prometheus object that the operator may see: make one that selects \
                       this ServiceMonitor";
        return Phase::waiting(reason::NO_PROMETHEUS, message);
    }
    let labels = monitor_labels(deployment, settings);
    let complaints: Vec<_> =
        prometheuses.iter().filter_map(|one| complaint(observed, one, &labels)).collect();
    match prometheuses.iter().find(|one| complaint(observed, one, &labels).is_none()) {
        Some(_) if !stable => Phase::waiting(
            reason::WAITING,
            "waits for the first revision: the ServiceMonitor is made when there are pods to scrape",
        ),
        Some(_) if !exists(observed) => {
            Phase::running(reason::PROGRESSING, "the ServiceMonitor is being made")
        }
        Some(one) => {
            Phase::done(reason::SELECTED, format!("Prometheus {}/{} selects it", one.namespace, one.name))
        }
        None => Phase::waiting(reason::NOT_SELECTED, complaints.join("; ")),
    }
}

fn exists(observed: &Observed) -> bool {
    observed.others.iter().any(|child| child.kind == KIND && child.name == observed.deployment.name)
}

/// Why a Prometheus does not select this object's monitor, with the fix; `None` when it does.
fn complaint(
    observed: &Observed,
    prometheus: &Prometheus,
    labels: &BTreeMap<String, String>,
) -> Option<String> {
    let Prometheus { name, namespace, service_monitor_selector, service_monitor_namespace_selector } =
        prometheus;
    let own = &observed.deployment.namespace;
    let sees_namespace = match service_monitor_namespace_selector {
        None => namespace == own,
        Some(selector) => selects(selector, &observed.monitoring.namespace_labels),
    };
    if !sees_namespace {
        return Some(match service_monitor_namespace_selector.as_ref().and_then(missing) {
            Some((key, value)) => format!(
                "Prometheus {namespace}/{name} does not look into namespace {own}: kubectl label namespace {own} {key}={value}"
            ),
            None => format!(
                "Prometheus {namespace}/{name} does not look into namespace {own}: set its serviceMonitorNamespaceSelector to {{}}"
            ),
        });
    }
    match service_monitor_selector {
        Some(selector) if selects(selector, labels) => None,
        None => Some(format!(
            "Prometheus {namespace}/{name} has no serviceMonitorSelector and selects nothing: set it to {{}}"
        )),
        Some(selector) => Some(match missing(selector) {
            Some((key, value)) => format!(
                "Prometheus {namespace}/{name} selects other labels: set monitoring.serviceMonitor.labels: {{{key}: {value}}}"
            ),
            None => format!(
                "Prometheus {namespace}/{name} selects other labels: change its serviceMonitorSelector"
            ),
        }),
    }
}

/// A label that would satisfy the first simple requirement of a selector.
fn missing(selector: &LabelSelector) -> Option<(String, String)> {
    let exact = selector.match_labels.iter().next().map(|(key, value)| (key.clone(), value.clone()));
    exact.or_else(|| {
        let fit = |expression: &&LabelExpression| matches!(expression.operator.as_str(), "In" | "Exists");
        let expression = selector.match_expressions.iter().find(fit)?;
        let value = expression.values.first().cloned().unwrap_or_else(|| "true".into());
        Some((expression.key.clone(), value))
    })
}

/// Whether a label selector selects an object with these labels; an unknown operator selects nothing.
pub fn selects(selector: &LabelSelector, labels: &BTreeMap<String, String>) -> bool {
    let LabelSelector { match_labels, match_expressions } = selector;
    match_labels.iter().all(|(key, value)| labels.get(key) == Some(value))
        && match_expressions.iter().all(|expression| {
            let value = labels.get(&expression.key);
            match expression.operator.as_str() {
                "In" => value.is_some_and(|value| expression.values.contains(value)),
                "NotIn" => value.is_none_or(|value| !expression.values.contains(value)),
                "Exists" => value.is_some(),
                "DoesNotExist" => value.is_none(),
                _ => false,
            }
        })
}
