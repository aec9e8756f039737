//! Steps: the pieces of work of a pipeline, and the Jobs that do them.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use slipway_api::{
    Backend, Source, canonical_json,
    job::{
        CREDENTIALS_MOUNT, EXIT_FINAL, GateWork, JobSpec, Registry, SCRATCH_MOUNT, SIGNING_MOUNT,
        SOURCE_MOUNT, Work,
    },
    names,
};

use crate::{
    Deployment, Desired, Settings, object,
    runtime::{Judge, Room, judge_containers, models_volume},
};

/// The container of a job pod that does the work.
pub const JOB_CONTAINER: &str = "job";
/// The servers that a gate drives, by the names of their containers: with the candidate, and with the baseline.
pub(crate) const SERVERS: [&str; 2] = ["candidate", "baseline"];
/// How a container ends that used more memory than its limit; one that was killed for another cause ends so too, and
/// the plan tells the two apart by the container's own reason.
const SIGKILLED: i32 = 137;
/// A job ends at once when it is asked to.
const GRACE_SECONDS: i64 = 10;
const DEFAULT_DEADLINE_SECONDS: i64 = 3600;
const DEFAULT_RETRIES: i32 = 2;
const DEFAULT_SCRATCH: &str = "10Gi";

/// One piece of work, with its name, kind and key.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// `source`, `data-NAME`, `calibrate-STAGE`, the stage's name, or `gate`.
    pub name: String,
    /// What it is.
    pub kind: StepKind,
    /// The key of its work.
    pub key: String,
    /// The artifact that goes in.
    pub input: Option<String>,
    /// The work itself.
    pub work: Work,
}

/// What a step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepKind {
    /// Fetching the model.
    Source,
    /// Fetching a data set.
    Data,
    /// Running an artifact for the ranges of its activations.
    Calibration,
    /// A stage, by the key under which users write it.
    Stage(&'static str),
    /// Judging.
    Gate,
}

impl StepKind {
    /// The text in `status.stages[].kind`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Data => "data",
            Self::Calibration => "calibration",
            Self::Stage(kind) => kind,
            Self::Gate => "gate",
        }
    }
}

/// The repository of an object's artifacts.
pub(crate) fn registry(deployment: &Deployment, settings: &Settings) -> Registry {
    Registry {
        host: settings.registry.clone(),
        repository: names::repository(&deployment.namespace, &deployment.name),
        plain_http: settings.registry_plain_http,
    }
}

/// Bytes of the artifacts that steps have made, by digest.
pub(crate) type Sizes = BTreeMap<String, i64>;

/// The Job that does a step; `attempt` counts the Jobs that went before and whose answers are lost.
pub(crate) fn job(
    deployment: &Deployment,
    settings: &Settings,
    step: &Step,
    attempt: usize,
    sizes: &Sizes,
) -> Desired {
    let jobs = deployment.spec.jobs.clone().unwrap_or_default();
    let labels = object::labels(deployment, &[(names::STAGE_LABEL, &step.name)]);
    let mut pod_labels = jobs.pod.clone().unwrap_or_default().labels;
    pod_labels.extend(labels.clone());
    let deadline = jobs.deadline.as_ref().map_or(DEFAULT_DEADLINE_SECONDS, slipway_api::Duration::seconds);
    let body = json!({ "spec": {
        "backoffLimit": jobs.retries.unwrap_or(DEFAULT_RETRIES),
        "activeDeadlineSeconds": deadline,
        "podFailurePolicy": { "rules": [
            { "action": "Ignore", "onPodConditions": [{ "type": "DisruptionTarget", "status": "True" }] },
            { "action": "FailJob", "onExitCodes": {
                "containerName": JOB_CONTAINER, "operator": "In", "values": [i32::from(EXIT_FINAL), SIGKILLED],
            } },
        ] },
        "template": { "metadata": { "labels": pod_labels }, "spec": pod(deployment, settings, step, sizes) },
    }});
    let annotations = BTreeMap::from([(names::KEY_ANNOTATION.to_owned(), step.key.clone())]);
    let name = names::job(&deployment.name, &step.name, &step.key, attempt);
    Desired {
        create_only: true,
        ..object::object(deployment, ("batch/v1", "Job"), &name, &labels, &annotations, body)
    }
}

fn pod(deployment: &Deployment, settings: &Settings, step: &Step, sizes: &Sizes) -> Value {
    let jobs = deployment.spec.jobs.clone().unwrap_or_default();
    let placement = jobs.pod.unwrap_or_default();
    let scratch = jobs.scratch.as_deref().unwrap_or(DEFAULT_SCRATCH);
    let mut volumes = vec![json!({ "name": "scratch", "emptyDir": { "sizeLimit": scratch } })];
    let mut mounts = vec![json!({ "name": "scratch", "mountPath": SCRATCH_MOUNT })];
    for (volume, mount) in source_volumes(&step.work).into_iter().chain([signing_volume()]) {
        volumes.push(volume);
        mounts.push(mount);
    }
    let mut pod = json!({
        "restartPolicy": "Never",
        "automountServiceAccountToken": false,
        "enableServiceLinks": false,
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "securityContext": object::pod_security(),
        "containers": [job_container(deployment, settings, step, &mounts)],
    });
    if let Work::Gate(gate) = &step.work {
        let judges = judges(&registry(deployment, settings), deployment.spec.serving.backend(), gate, sizes);
        pod["initContainers"] =
            judges.iter().flat_map(|judge| judge_containers(deployment, settings, judge)).collect();
        volumes.push(models_volume(judges.iter().map(|judge| judge.room).sum()));
    }
    pod["volumes"] = json!(volumes);
    if !settings.image_pull_secrets.is_empty() {
        pod["imagePullSecrets"] =
            settings.image_pull_secrets.iter().map(|name| json!({ "name": name })).collect();
    }
    if !placement.node_selector.is_empty() {
        pod["nodeSelector"] = json!(placement.node_selector);
    }
    if !placement.tolerations.is_empty() {
        pod["tolerations"] = json!(placement.tolerations);
    }
    pod
}

/// The servers that a gate drives.
///
/// The candidate in the engine that is going to serve it, the baseline in the one that defines what is right: ONNX Runtime
/// wherever that loads it, so that the gate sees a fault of the serving engine.
fn judges(registry: &Registry, backend: Option<Backend>, gate: &GateWork, sizes: &Sizes) -> [Judge; 2] {
    let judge = |name, backend, port, digest: &String| {
        let room = Room::of(sizes.get(digest).copied());
        Judge { name, backend, port, uri: registry.uri(digest), room }
    };
    let [candidate, baseline] = SERVERS;
    [
        judge(candidate, backend, gate.candidate_port, &gate.candidate),
        judge(baseline, None, gate.baseline_port, &gate.baseline),
    ]
}

fn job_container(deployment: &Deployment, settings: &Settings, step: &Step, mounts: &[Value]) -> Value {
    let spec = JobSpec {
        key: step.key.clone(),
        step: step.name.clone(),
        registry: registry(deployment, settings),
        work: step.work.clone(),
    };
    let resources = (deployment.spec.jobs.as_ref().and_then(|jobs| jobs.resources.as_ref())).map_or_else(
        || json!({ "requests": { "cpu": "100m", "memory": "128Mi" }, "limits": { "memory": "1Gi" } }),
        |resources| json!(resources),
    );
    json!({
        "name": JOB_CONTAINER,
        "image": settings.job_image_of(&step.work),
        "imagePullPolicy": settings.image_pull_policy,
        "args": ["run", "--spec", canonical_json(&spec)],
        "env": [{ "name": "TMPDIR", "value": SCRATCH_MOUNT }],
        "securityContext": object::container_security(),
        "resources": resources,
        "volumeMounts": mounts,
    })
}

/// The volume and mount of the key with which the job signs what it records; a gate's servers have no use for it.
fn signing_volume() -> (Value, Value) {
    let secret = json!({ "secretName": names::SIGNING_SECRET, "defaultMode": 0o400 });
    let mount = json!({ "name": "signing", "mountPath": SIGNING_MOUNT, "readOnly": true });
    (json!({ "name": "signing", "secret": secret }), mount)
}

/// The volume and mount of a source that the kubelet brings: a `ConfigMap`, a claim, a Secret with credentials.
///
/// `ConfigMap` and Secret are optional, so that a missing one is the job's clear error, not a pod that hangs.
fn source_volumes(work: &Work) -> Vec<(Value, Value)> {
    let Some(source) = work.source() else { return Vec::new() };
    let mounted = |name: &str, path: &str, mut volume: Value| {
        volume["name"] = json!(name);
        (volume, json!({ "name": name, "mountPath": path, "readOnly": true }))
    };
    let mut volumes = Vec::new();
    if let Some(name) = config_map(source) {
        let volume = json!({ "configMap": { "name": name, "optional": true } });
        volumes.push(mounted("source", SOURCE_MOUNT, volume));
    }
    if let Some(claim) = claim(source) {
        let volume = json!({ "persistentVolumeClaim": { "claimName": claim, "readOnly": true } });
        volumes.push(mounted("source", SOURCE_MOUNT, volume));
    }
    if let Some(secret) = &source.credentials_secret_ref {
        let volume = json!({ "secret": { "secretName": secret.name, "optional": true } });
        volumes.push(mounted("credentials", CREDENTIALS_MOUNT, volume));
    }
    volumes
}

fn config_map(source: &Source) -> Option<&str> {
    source.uri.strip_prefix("configmap://").map(|name| name.trim_end_matches('/'))
}

fn claim(source: &Source) -> Option<&str> {
    source.uri.strip_prefix("pvc://").and_then(|rest| rest.split('/').next())
}
