//! One Job's pod: made, ended with an answer, and the Job told.

use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};
use kube::{
    Api, ResourceExt,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use slipway_api::{
    job::{JobResult, JobSpec, Work},
    status::{CheckStatus, GateStatus, Verdict},
};

use super::{Shared, digest};

/// Makes the pod of a Job, lets it answer, and marks the Job as ended. What is gone meanwhile is left alone.
pub(super) async fn finish(shared: &Shared, job: &Job) {
    let Some(result) = answer(shared, job) else { return };
    let failed = result.failure.is_some();
    let pod = pod(job);
    let name = pod["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let pods: Api<Pod> = Api::namespaced(shared.client.clone(), &shared.namespace);
    let Ok(pod) = serde_json::from_value(pod) else { return };
    let _made = pods.create(&PostParams::default(), &pod).await;
    let ended = json!({ "status": {
        "phase": if failed { "Failed" } else { "Succeeded" },
        "containerStatuses": [{
            "name": "job", "image": "job", "imageID": "", "ready": false, "restartCount": 0,
            "state": { "terminated": { "exitCode": i32::from(failed), "message": result.to_message() } },
        }],
    } });
    let params = PatchParams::default();
    let _patched = pods.patch_status(&name, &params, &Patch::Strategic(ended)).await;
    let jobs: Api<Job> = Api::namespaced(shared.client.clone(), &shared.namespace);
    let status = json!({ "status": job_status(failed) });
    let _patched = jobs.patch_status(&job.name_any(), &params, &Patch::Merge(status)).await;
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

fn pod(job: &Job) -> Value {
    let template = job.spec.as_ref().map(|spec| &spec.template);
    let mut labels =
        template.and_then(|template| template.metadata.as_ref()?.labels.clone()).unwrap_or_default();
    labels.insert("batch.kubernetes.io/job-name".into(), job.name_any());
    let uid = job.uid().unwrap_or_default();
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": format!("{}-{}", job.name_any(), uid.get(..5).unwrap_or_default()),
            "labels": labels,
            "ownerReferences": [{ "apiVersion": "batch/v1", "kind": "Job", "name": job.name_any(), "uid": uid,
                                  "controller": true }],
        },
        "spec": { "restartPolicy": "Never", "containers": [{ "name": "job", "image": "job" }] },
    })
}

fn answer(shared: &Shared, job: &Job) -> Option<JobResult> {
    let template = job.spec.as_ref()?.template.spec.as_ref()?;
    let args = template.containers.first()?.args.as_ref()?;
    let spec: JobSpec = serde_json::from_str(args.get(2)?).ok()?;
    let mut state = shared.lock();
    if let Some((_, failure)) = state.failing.iter().find(|(step, _)| *step == spec.step) {
        return Some(JobResult { failure: Some(failure.clone()), ..JobResult::default() });
    }
    let reused = state.computed.contains(&spec.key);
    if !reused {
        state.computed.push(spec.key.clone());
    }
    let output = digest(&spec.key);
    Some(match &spec.work {
        Work::Gate(gate) => JobResult {
            golden: Some(output),
            gate: Some(judge(state.verdict, &gate.candidate)),
            reused,
            ..JobResult::default()
        },
        Work::Source { .. } | Work::Data { .. } | Work::Stage { .. } => {
            JobResult { output: Some(output), size_bytes: Some(1000), reused, ..JobResult::default() }
        }
    })
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
