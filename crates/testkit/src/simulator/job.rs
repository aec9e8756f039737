//! One Job's pod: made, ended with an answer, and the Job told.

use std::sync::Arc;

use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
    runtime::wait::await_condition,
};
use serde_json::{Value, json};
use slipway_api::{
    job::{JobResult, JobSpec, Work},
    status::{CheckStatus, GateStatus, Verdict},
};

use super::{Shared, digest};

/// What keeps the pod of a held job, as a container that takes its time to end would.
const HELD: &str = "slipway.dev/held-by-a-test";
/// What the garbage collector takes off an object when all that it owns is gone.
const FOREGROUND: &str = "foregroundDeletion";

/// Makes the pod of a Job, and lets it answer unless its step is held. What is gone meanwhile is left alone.
pub(super) async fn run(shared: &Shared, job: &Job) {
    let Some(spec) = spec(job) else { return };
    let held = shared.lock().endless.contains(&spec.step);
    let Ok(pod) = serde_json::from_value(pod(job, held)) else { return };
    let _made = pods(shared).create(&PostParams::default(), &pod).await;
    if held {
        let running = json!({ "status": { "phase": "Running" } });
        let params = PatchParams::default();
        let _patched = pods(shared).patch_status(&pod_name(job), &params, &Patch::Merge(running)).await;
    } else {
        finish(shared, job, &answer(shared, &spec)).await;
    }
}

async fn finish(shared: &Shared, job: &Job, result: &JobResult) {
    let failed = result.failure.is_some();
    let ended = json!({ "status": {
        "phase": if failed { "Failed" } else { "Succeeded" },
        "containerStatuses": [{
            "name": "job", "image": "job", "imageID": "", "ready": false, "restartCount": 0,
            "state": { "terminated": { "exitCode": i32::from(failed), "message": result.to_message() } },
        }],
    } });
    let params = PatchParams::default();
    let _patched = pods(shared).patch_status(&pod_name(job), &params, &Patch::Strategic(ended)).await;
    let status = json!({ "status": job_status(failed) });
    let _patched = jobs(shared).patch_status(&job.name_any(), &params, &Patch::Merge(status)).await;
}

/// Deletes the pod of a Job that is deleted in the foreground; the Job goes once its pod is gone.
pub(super) async fn collect(shared: &Arc<Shared>, job: &Job) {
    if !job.finalizers().iter().any(|finalizer| finalizer == FOREGROUND) {
        return;
    }
    let name = pod_name(job);
    let _deleted = pods(shared).delete(&name, &DeleteParams::default()).await;
    let (shared, job) = (Arc::clone(shared), job.name_any());
    tokio::spawn(async move {
        let _gone = await_condition(pods(&shared), &name, |pod: Option<&Pod>| pod.is_none()).await;
        let free = json!({ "metadata": { "finalizers": null } });
        let _patched = jobs(&shared).patch(&job, &PatchParams::default(), &Patch::Merge(free)).await;
    });
}

/// Lets the pods of held jobs end.
pub(super) async fn let_go(shared: &Shared) {
    let all = pods(shared).list(&ListParams::default()).await.map(|pods| pods.items).unwrap_or_default();
    let free = Patch::Merge(json!({ "metadata": { "finalizers": null } }));
    for pod in all.iter().filter(|pod| pod.finalizers().iter().any(|finalizer| finalizer == HELD)) {
        let _patched = pods(shared).patch(&pod.name_any(), &PatchParams::default(), &free).await;
    }
}

fn pods(shared: &Shared) -> Api<Pod> {
    Api::namespaced(shared.client.clone(), &shared.namespace)
}

fn jobs(shared: &Shared) -> Api<Job> {
    Api::namespaced(shared.client.clone(), &shared.namespace)
}

fn pod_name(job: &Job) -> String {
    let uid = job.uid().unwrap_or_default();
    format!("{}-{}", job.name_any(), uid.get(..5).unwrap_or_default())
}

fn job_status(failed: bool) -> Value {
    let now = format!("{:.0}", k8s_openapi::jiff::Timestamp::now());
    let condition = |name: &str| {
        json!({ "type": name, "status": "True", "reason": "Simulated", "message": "simulated",
                "lastProbeTime": now, "lastTransitionTime": now })
    };
    if failed {
        json!({ "startTime": now, "failed": 1, "conditions": [condition("FailureTarget"), condition("Failed")] })
    } else {
        json!({ "startTime": now, "completionTime": now, "succeeded": 1,
                "conditions": [condition("SuccessCriteriaMet"), condition("Complete")] })
    }
}

fn pod(job: &Job, held: bool) -> Value {
    let template = job.spec.as_ref().map(|spec| &spec.template);
    let mut labels =
        template.and_then(|template| template.metadata.as_ref()?.labels.clone()).unwrap_or_default();
    labels.insert("batch.kubernetes.io/job-name".into(), job.name_any());
    let uid = job.uid().unwrap_or_default();
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": pod_name(job),
            "labels": labels,
            "finalizers": if held { vec![HELD] } else { Vec::new() },
            "ownerReferences": [{ "apiVersion": "batch/v1", "kind": "Job", "name": job.name_any(), "uid": uid,
                                  "controller": true }],
        },
        "spec": { "restartPolicy": "Never", "containers": [{ "name": "job", "image": "job" }] },
    })
}

fn spec(job: &Job) -> Option<JobSpec> {
    let template = job.spec.as_ref()?.template.spec.as_ref()?;
    let args = template.containers.first()?.args.as_ref()?;
    serde_json::from_str(args.get(2)?).ok()
}

fn answer(shared: &Shared, spec: &JobSpec) -> JobResult {
    let mut state = shared.lock();
    if let Some((_, failure)) = state.failing.iter().find(|(step, _)| *step == spec.step) {
        return JobResult { failure: Some(failure.clone()), ..JobResult::default() };
    }
    let reused = state.computed.contains(&spec.key);
    if !reused {
        state.computed.push(spec.key.clone());
    }
    let output = digest(&spec.key);
    match &spec.work {
        Work::Gate(gate) => JobResult {
            golden: Some(output),
            gate: Some(judge(state.verdict, &gate.candidate)),
            reused,
            ..JobResult::default()
        },
        Work::Source { .. } | Work::Data { .. } | Work::Calibrate(_) | Work::Stage { .. } => {
            JobResult { output: Some(output), size_bytes: Some(1000), reused, ..JobResult::default() }
        }
    }
}

fn judge(verdict: Verdict, candidate: &str) -> GateStatus {
    let check = CheckStatus {
        name: "right".into(),
        verdict,
        measured: Some("0.91".into()),
        threshold: Some("0.9".into()),
        n: 800,
        message: "measured 0.91, wanted 0.9".into(),
        ..CheckStatus::default()
    };
    GateStatus {
        verdict,
        samples: 800,
        accuracy: Some("0.91".into()),
        artifact_digest: Some(candidate.into()),
        checks: vec![check],
    }
}
