//! Slipway's own server: the pod template of a revision, and the servers that the gate drives.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use slipway_api::{Backend, OnMismatch, Resources, Serving, job::JUDGE_METRICS_OFFSET, names};

use super::Room;
use crate::{Deployment, Settings, object};

const MODEL_MOUNT: &str = "/models";
const HTTP_PORT: u16 = 8080;
const METRICS_PORT: u16 = 9090;
/// How long a pod goes on serving after its deletion was asked for, so that every proxy has heard of it.
const PRE_STOP_SECONDS: i64 = 5;
const GRACE_SECONDS: i64 = 60;
const DEFAULT_STARTUP_SECONDS: i64 = 300;

/// What a revision's pods are rendered from.
pub(crate) struct Rendered<'a> {
    pub(crate) deployment: &'a Deployment,
    pub(crate) settings: &'a Settings,
    pub(crate) hash: &'a str,
    /// The artifact's reference, by digest.
    pub(crate) uri: &'a str,
    /// Room for the artifact.
    pub(crate) room: Room,
    /// The golden samples' reference, by digest.
    pub(crate) golden: Option<&'a str>,
    /// The accuracy that the gate measured.
    pub(crate) accuracy: Option<&'a str>,
}

/// The pod template (`core/v1 PodTemplateSpec`) of a revision.
pub(crate) fn template(rendered: &Rendered<'_>) -> Value {
    let Rendered { deployment, settings, hash, .. } = rendered;
    let pod = deployment.spec.serving.pod.clone().unwrap_or_default();
    let mut labels = pod.labels.clone();
    labels.extend(object::labels(deployment, &[(names::REVISION_LABEL, hash)]));
    let secrets: Vec<_> = (settings.image_pull_secrets.iter())
        .chain(pod.image_pull_secrets.iter().map(|reference| &reference.name))
        .map(|name| json!({ "name": name }))
        .collect();
    let mut spec = json!({
        "automountServiceAccountToken": false,
        "enableServiceLinks": false,
        "securityContext": object::pod_security(),
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "initContainers": [pull_container(rendered)],
        "containers": [server_container(rendered)],
        "volumes": [models_volume(rendered.room)],
    });
    set(&mut spec, "imagePullSecrets", &secrets, secrets.is_empty());
    set(&mut spec, "nodeSelector", &pod.node_selector, pod.node_selector.is_empty());
    set(&mut spec, "tolerations", &pod.tolerations, pod.tolerations.is_empty());
    set(&mut spec, "priorityClassName", &pod.priority_class_name, pod.priority_class_name.is_none());
    let mut metadata = json!({ "labels": labels });
    set(&mut metadata, "annotations", &pod.annotations, pod.annotations.is_empty());
    json!({ "metadata": metadata, "spec": spec })
}

/// The volume that models are fetched into.
pub(crate) fn models_volume(room: Room) -> Value {
    json!({ "name": "models", "emptyDir": { "sizeLimit": room.quantity() } })
}

fn set<T: serde::Serialize>(object: &mut Value, field: &str, value: T, leave_out: bool) {
    if !leave_out {
        object[field] = json!(value);
    }
}

fn pull_container(rendered: &Rendered<'_>) -> Value {
    let mut args = pull_args(MODEL_MOUNT, rendered.uri, rendered.room);
    if let Some(golden) = rendered.golden {
        args.extend(["--golden-reference".into(), golden.into()]);
    }
    let backend = rendered.deployment.spec.serving.backend();
    container(backend, rendered.settings, "fetch", args, Value::Null, &pull_resources())
}

fn pull_args(into: &str, uri: &str, room: Room) -> Vec<String> {
    let limit = room.bytes().to_string();
    ["pull", "--into", into, "--reference", uri, "--size-limit", &limit].map(String::from).to_vec()
}

fn server_container(rendered: &Rendered<'_>) -> Value {
    let serving = &rendered.deployment.spec.serving;
    let mut args =
        server_args(serving, model_name(rendered.deployment), HTTP_PORT, METRICS_PORT, MODEL_MOUNT);
    args.extend(["--revision".into(), rendered.hash.into()]);
    if rendered.golden.is_some() {
        args.extend(["--self-check".into(), self_check(serving).into()]);
    }
    if let Some(accuracy) = rendered.accuracy {
        args.extend(["--accuracy".into(), accuracy.into()]);
    }
    let startup =
        serving.startup_deadline.as_ref().map_or(DEFAULT_STARTUP_SECONDS, slipway_api::Duration::seconds);
    let more = json!({
        "ports": [
            { "name": "http", "containerPort": HTTP_PORT },
            { "name": "metrics", "containerPort": METRICS_PORT },
        ],
        "startupProbe": probe("/v2/health/live", "http", 1, startup),
        "readinessProbe": probe("/v2/health/ready", "http", 2, 3),
        "livenessProbe": probe("/v2/health/live", "http", 10, 6),
        "lifecycle": { "preStop": { "sleep": { "seconds": PRE_STOP_SECONDS } } },
    });
    container(serving.backend(), rendered.settings, "server", args, more, &serving_resources(serving))
}

fn probe(path: &str, port: impl serde::Serialize, period: i64, failures: i64) -> Value {
    json!({
        "httpGet": { "path": path, "port": port },
        "periodSeconds": period,
        "failureThreshold": failures,
        "timeoutSeconds": 5,
    })
}

fn container(
    backend: Option<Backend>,
    settings: &Settings,
    name: &str,
    mut args: Vec<String>,
    more: Value,
    resources: &Resources,
) -> Value {
    if let Some(backend) = backend {
        args.extend(["--backend".into(), backend.name().into()]);
    }
    let mut container = json!({
        "name": name,
        "image": settings.server_image_with(backend.unwrap_or_default()),
        "imagePullPolicy": settings.image_pull_policy,
        "args": with_plain_http(settings, args),
        "securityContext": object::container_security(),
        "resources": resources,
        "volumeMounts": [{ "name": "models", "mountPath": MODEL_MOUNT, "readOnly": name != "fetch" }],
    });
    if let (Some(container), Value::Object(more)) = (container.as_object_mut(), more) {
        container.extend(more);
    }
    container
}

fn with_plain_http(settings: &Settings, mut args: Vec<String>) -> Vec<String> {
    if settings.registry_plain_http && args.first().is_some_and(|verb| verb == "pull") {
        args.extend(["--plain-http".into(), settings.registry.clone()]);
    }
    args
}

/// The name in `/v2/models/{name}`.
pub(crate) fn model_name(deployment: &Deployment) -> &str {
    deployment.spec.serving.model_name.as_deref().unwrap_or(&deployment.name)
}

fn server_args(serving: &Serving, name: &str, http: u16, metrics: u16, model: &str) -> Vec<String> {
    let mut args = ["serve", "--model", model, "--name", name].map(String::from).to_vec();
    args.extend(["--http-port".into(), http.to_string(), "--metrics-port".into(), metrics.to_string()]);
    let runtime = serving.runtime.as_ref().and_then(|runtime| runtime.slipway.as_ref());
    if let Some(threads) = runtime.and_then(|runtime| runtime.threads) {
        args.extend(["--threads".into(), threads.to_string()]);
    }
    if let Some(batching) = &serving.batching {
        args.extend(["--max-batch".into(), batching.max_size.to_string()]);
        let delay = batching.max_delay.as_ref().map_or_else(|| "2ms".to_owned(), ToString::to_string);
        args.extend(["--max-delay".into(), delay]);
        if batching.allow_cross_request_effects {
            args.extend(["--cross-request-effects".into(), "allow".into()]);
        }
    }
    args
}

fn self_check(serving: &Serving) -> &'static str {
    let runtime = serving.runtime.as_ref().and_then(|runtime| runtime.slipway.as_ref());
    match runtime
        .and_then(|runtime| runtime.self_check.as_ref())
        .map(|check| check.on_mismatch)
        .unwrap_or_default()
    {
        OnMismatch::NotReady => "not-ready",
        OnMismatch::Warn => "warn",
    }
}

fn serving_resources(serving: &Serving) -> Resources {
    serving.resources.clone().unwrap_or_else(|| requests("50m", "64Mi"))
}

fn pull_resources() -> Resources {
    requests("50m", "32Mi")
}

fn requests(cpu: &str, memory: &str) -> Resources {
    let quantities = [("cpu", cpu), ("memory", memory)];
    Resources {
        requests: quantities.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
        limits: BTreeMap::new(),
    }
}

/// One server that the gate drives: its name, engine, port and artifact, and room for it.
pub(crate) struct Judge {
    pub(crate) name: &'static str,
    pub(crate) backend: Option<Backend>,
    pub(crate) port: u16,
    pub(crate) uri: String,
    pub(crate) room: Room,
}

/// The init containers by which a gate's pod has a running server: one that fetches, and the server as a native
/// sidecar, with the serving pod's resources. Made-up inputs that it refuses are told alone: real samples follow.
pub(crate) fn judge_containers(deployment: &Deployment, settings: &Settings, judge: &Judge) -> [Value; 2] {
    let serving = &deployment.spec.serving;
    let Judge { name, backend, port, uri, room } = judge;
    let folder = format!("{MODEL_MOUNT}/{name}");
    let pull = pull_args(&folder, uri, *room);
    let mut fetch =
        container(*backend, settings, &format!("fetch-{name}"), pull, Value::Null, &pull_resources());
    fetch["volumeMounts"][0]["readOnly"] = json!(false);
    let startup =
        serving.startup_deadline.as_ref().map_or(DEFAULT_STARTUP_SECONDS, slipway_api::Duration::seconds);
    let mut args = server_args(serving, model_name(deployment), *port, port + JUDGE_METRICS_OFFSET, &folder);
    args.extend(["--self-check".into(), "warn".into()]);
    let more = json!({
        "restartPolicy": "Always",
        "startupProbe": probe("/v2/health/ready", port, 1, startup),
    });
    [fetch, container(*backend, settings, name, args, more, &serving_resources(serving))]
}
