//! Whole objects: labels, owner and names come from here and nowhere else.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use slipway_api::{GROUP, KIND, VERSION, names};

use crate::{Deployment, Desired};

/// The labels by which every object of a `ModelDeployment` is found.
pub(crate) fn labels(deployment: &Deployment, more: &[(&str, &str)]) -> BTreeMap<String, String> {
    let own = [
        (names::MANAGED_BY_LABEL, names::MANAGED_BY),
        (names::NAME_LABEL, names::MANAGED_BY),
        (names::INSTANCE_LABEL, deployment.name.as_str()),
        (names::DEPLOYMENT_LABEL, deployment.name.as_str()),
    ];
    own.iter().chain(more).map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// One object of a `ModelDeployment`: `body` holds what is beside `apiVersion`, `kind` and `metadata`.
pub(crate) fn object(
    deployment: &Deployment,
    (api_version, kind): (&str, &str),
    name: &str,
    labels: &BTreeMap<String, String>,
    annotations: &BTreeMap<String, String>,
    body: Value,
) -> Desired {
    let mut whole = json!({
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {
            "name": name,
            "namespace": deployment.namespace,
            "labels": labels,
            "ownerReferences": [{
                "apiVersion": format!("{GROUP}/{VERSION}"),
                "kind": KIND,
                "name": deployment.name,
                "uid": deployment.uid,
                "controller": true,
                "blockOwnerDeletion": true,
            }],
        },
    });
    if !annotations.is_empty() {
        whole["metadata"]["annotations"] = json!(annotations);
    }
    if let (Some(whole), Value::Object(body)) = (whole.as_object_mut(), body) {
        whole.extend(body);
    }
    Desired {
        api_version: api_version.into(),
        kind: kind.into(),
        name: name.into(),
        create_only: false,
        body: whole,
    }
}

/// The security context of every container: non-root, read-only root, no capabilities (Pod Security "restricted").
pub(crate) fn container_security() -> Value {
    json!({
        "allowPrivilegeEscalation": false,
        "capabilities": { "drop": ["ALL"] },
        "readOnlyRootFilesystem": true,
    })
}

/// The security context of every pod (Pod Security "restricted").
pub(crate) fn pod_security() -> Value {
    json!({
        "runAsNonRoot": true,
        "runAsUser": 65532,
        "runAsGroup": 65532,
        "fsGroup": 65532,
        "seccompProfile": { "type": "RuntimeDefault" },
    })
}
