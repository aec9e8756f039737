//! What serves: the revision's record, its Deployment, the Service in front, and the disruption budget.

use std::collections::BTreeMap;

use serde_json::json;
use slipway_api::{ServiceType, names};

use crate::{Deployment, Desired, RevisionData, object};

const DEFAULT_PROGRESS_DEADLINE_SECONDS: i64 = 600;
const DEFAULT_PORT: i32 = 80;

/// The record of a revision, made once.
pub(crate) fn revision(deployment: &Deployment, hash: &str, number: i64, data: &RevisionData) -> Desired {
    let labels = object::labels(deployment, &[(names::REVISION_LABEL, hash)]);
    let name = names::revision(&deployment.name, hash);
    let body = json!({ "revision": number, "data": data });
    let kind = ("apps/v1", "ControllerRevision");
    Desired { create_only: true, ..object::object(deployment, kind, &name, &labels, &BTreeMap::new(), body) }
}

/// The Deployment of a revision: the template as stored, and never a replica count (that goes through `/scale`).
pub(crate) fn workload(deployment: &Deployment, hash: &str, data: &RevisionData) -> Desired {
    let labels = object::labels(deployment, &[(names::REVISION_LABEL, hash)]);
    let deadline = (deployment.spec.rollout.as_ref().and_then(|rollout| rollout.progress_deadline.as_ref()))
        .map_or(DEFAULT_PROGRESS_DEADLINE_SECONDS, slipway_api::Duration::seconds);
    let body = json!({ "spec": {
        "selector": { "matchLabels": { names::DEPLOYMENT_LABEL: deployment.name, names::REVISION_LABEL: hash } },
        "strategy": { "type": "RollingUpdate", "rollingUpdate": { "maxUnavailable": 0, "maxSurge": 1 } },
        "progressDeadlineSeconds": deadline,
        "revisionHistoryLimit": 0,
        "template": data.template,
    }});
    let name = names::revision(&deployment.name, hash);
    object::object(deployment, ("apps/v1", "Deployment"), &name, &labels, &BTreeMap::new(), body)
}

/// The Service in front of one revision.
pub(crate) fn service(deployment: &Deployment, hash: &str) -> Desired {
    let wanted = deployment.spec.serving.service.clone().unwrap_or_default();
    let kind = match wanted.service_type.unwrap_or(ServiceType::ClusterIP) {
        ServiceType::ClusterIP => "ClusterIP",
        ServiceType::NodePort => "NodePort",
        ServiceType::LoadBalancer => "LoadBalancer",
    };
    let body = json!({ "spec": {
        "type": kind,
        "selector": { names::DEPLOYMENT_LABEL: deployment.name, names::REVISION_LABEL: hash },
        "ports": [
            { "name": "http", "port": wanted.port.unwrap_or(DEFAULT_PORT), "targetPort": "http", "protocol": "TCP" },
        ],
    }});
    let labels = object::labels(deployment, &[]);
    object::object(deployment, ("v1", "Service"), &deployment.name, &labels, &wanted.annotations, body)
}

/// The Service by which one revision's metrics are found: of its own, so that they are never exposed with the model.
pub(crate) fn metrics_service(deployment: &Deployment, hash: &str) -> Desired {
    let body = json!({ "spec": {
        "type": "ClusterIP",
        // Prometheus asks the pods themselves.
        "clusterIP": "None",
        "selector": { names::DEPLOYMENT_LABEL: deployment.name, names::REVISION_LABEL: hash },
        "ports": [{ "name": "metrics", "port": 9090, "targetPort": "metrics", "protocol": "TCP" }],
    }});
    let labels = object::labels(deployment, &[(names::METRICS_LABEL, &deployment.name)]);
    let name = names::metrics_service(&deployment.name);
    object::object(deployment, ("v1", "Service"), &name, &labels, &BTreeMap::new(), body)
}

/// The disruption budget: one pod at a time may go.
pub(crate) fn disruption_budget(deployment: &Deployment) -> Desired {
    let body = json!({ "spec": {
        "maxUnavailable": 1,
        // Job pods carry the first label too, and no budget may count them.
        "selector": {
            "matchLabels": { names::DEPLOYMENT_LABEL: deployment.name },
            "matchExpressions": [{ "key": names::REVISION_LABEL, "operator": "Exists" }],
        },
    }});
    let kind = ("policy/v1", "PodDisruptionBudget");
    let labels = object::labels(deployment, &[]);
    object::object(deployment, kind, &deployment.name, &labels, &BTreeMap::new(), body)
}

/// Where the model answers inside the cluster.
pub(crate) fn url(deployment: &Deployment) -> String {
    let port =
        deployment.spec.serving.service.as_ref().and_then(|service| service.port).unwrap_or(DEFAULT_PORT);
    let port = if port == DEFAULT_PORT { String::new() } else { format!(":{port}") };
    let model = crate::runtime::model_name(deployment);
    format!("http://{}.{}.svc{port}/v2/models/{model}", deployment.name, deployment.namespace)
}
