//! A pure cluster: it does what a plan asks, as controllers and job pods would, one step at a time.

#![allow(dead_code, reason = "each test file uses its own part")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail by panicking")]
#![allow(clippy::struct_excessive_bools, reason = "each says one thing that a test changes")]

use std::collections::BTreeMap;

use serde_json::{Value, json};
use slipway_api::{
    ModelDeploymentSpec, canonical_json,
    job::{Failure, FailureCategory, JobResult, JobSpec, Work},
    names, sha256_hex,
    status::{CheckStatus, GateStatus, Verdict},
};
use slipway_plan::{
    Child, Deployment, Job, JobState, Observed, Outcome, Plan, Revision, Service, Settings, Untag, Workload,
    plan, status,
};

/// A spec with one value replaced.
pub(crate) fn with(mut spec: Value, path: &str, value: Value) -> Value {
    *spec.pointer_mut(path).unwrap_or_else(|| panic!("{path}")) = value;
    spec
}

/// A cluster with one `ModelDeployment`.
pub(crate) struct World {
    pub(crate) observed: Observed,
    pub(crate) settings: Settings,
    /// What the next gate says.
    pub(crate) verdict: Verdict,
    /// Steps whose jobs fail, with the failure.
    pub(crate) failing: Vec<(String, Failure)>,
    /// Names of Jobs that were started, in order.
    pub(crate) started: Vec<String>,
    /// Keys whose work was computed and is in the registry.
    pub(crate) registry: Vec<String>,
    /// Keys that were computed, in order.
    pub(crate) computed: Vec<String>,
    /// Whether pods become ready, one of each Deployment a step; those that are ready stay so.
    pub(crate) pods_start: bool,
    /// Whether the statuses of Deployments lag behind what their pods do.
    pub(crate) statuses_lag: bool,
    /// The pods that are really ready, by the name of their Deployment.
    pub(crate) ready: BTreeMap<String, i32>,
    /// Kinds that the API server refuses to make.
    pub(crate) refused_kinds: Vec<String>,
    /// Whether Jobs end; otherwise they run on.
    pub(crate) jobs_end: bool,
    /// Whether the answers of Jobs that end are lost.
    pub(crate) answers_are_lost: bool,
    /// Bodies of Jobs that run, by uid.
    running: Vec<(String, Value)>,
    /// Names of Jobs that a plan deleted while they ran.
    pub(crate) abandoned: Vec<String>,
    /// Tags that a plan removed.
    pub(crate) untagged: Vec<String>,
    uid: u32,
}

pub(crate) fn settings() -> Settings {
    serde_json::from_value(json!({
        "serverImage": "registry.test/server:1", "jobImage": "registry.test/job:1",
        "registry": "artifacts.test:5000", "registryPlainHttp": true,
    }))
    .unwrap()
}

/// A spec with one stage and a gate.
pub(crate) fn spec() -> Value {
    json!({
        "model": { "source": { "uri": "configmap://net-model", "file": "net.onnx" } },
        "data": [{ "name": "unseen", "source": { "uri": "configmap://net-data", "file": "unseen.npz" }, "labels": "truth" }],
        "stages": [{ "name": "small", "quantize": { "dynamic": {} } }],
        "gate": {
            "data": "unseen", "task": { "classification": { "output": "scores" } },
            "checks": [{ "name": "right", "accuracy": { "minimum": "0.9" } }],
        },
        "serving": { "replicas": 2 },
    })
}

/// A digest that differs for every text.
pub(crate) fn digest(text: &str) -> String {
    format!("sha256:{}", sha256_hex(text))
}

impl World {
    pub(crate) fn new(spec: Value) -> Self {
        let deployment = Deployment::new("net", "vision", "uid-of-net", parse(spec));
        let observed = Observed::new("2026-01-01T00:00:00Z".parse().unwrap(), deployment);
        Self {
            observed,
            settings: settings(),
            verdict: Verdict::Pass,
            failing: Vec::new(),
            started: Vec::new(),
            registry: Vec::new(),
            computed: Vec::new(),
            pods_start: true,
            statuses_lag: false,
            ready: BTreeMap::new(),
            refused_kinds: Vec::new(),
            jobs_end: true,
            answers_are_lost: false,
            running: Vec::new(),
            abandoned: Vec::new(),
            untagged: Vec::new(),
            uid: 0,
        }
    }

    /// The user writes another spec.
    pub(crate) fn write(&mut self, spec: Value) {
        self.observed.deployment.spec = parse(spec);
        self.observed.deployment.generation += 1;
    }

    pub(crate) fn plan(&self) -> Plan {
        plan(&self.observed, &self.settings)
    }

    /// One reconcile and one step of everything else; whether anything moved.
    pub(crate) fn step(&mut self) -> bool {
        let before = serde_json::to_value(&self.observed).unwrap();
        let plan = self.plan();
        self.apply(&plan);
        self.observed.deployment.status = status(&self.observed, &plan, &Outcome::default());
        self.controllers();
        before != serde_json::to_value(&self.observed).unwrap()
    }

    /// Steps until nothing moves.
    pub(crate) fn settle(&mut self) -> &mut Self {
        for _ in 0..60 {
            if !self.step() {
                return self;
            }
        }
        panic!("no fixpoint after 60 steps: {:#?}", self.observed.deployment.status);
    }

    pub(crate) fn condition(&self, name: &str) -> (String, String, String) {
        let conditions = &self.observed.deployment.status.conditions;
        let found = conditions.iter().find(|condition| condition.condition_type == name).expect(name);
        (found.status.clone(), found.reason.clone(), found.message.clone())
    }

    pub(crate) fn stable(&self) -> Option<String> {
        self.observed.service.as_ref().and_then(|service| service.revision.clone())
    }

    /// The only Job of a step.
    pub(crate) fn job(&self, step: &str) -> &Job {
        let mut jobs = self.observed.jobs.iter().filter(|job| job.step == step);
        let job = jobs.next().expect(step);
        assert_eq!(jobs.next(), None, "{step}");
        job
    }

    fn next_uid(&mut self) -> String {
        self.uid += 1;
        format!("uid-{}", self.uid)
    }

    fn apply(&mut self, plan: &Plan) {
        self.observed.deployment.finalizer = plan.finalizer;
        for desired in &plan.apply {
            self.apply_one(&desired.kind, &desired.name, &desired.body);
        }
        for scale in &plan.scale {
            let found =
                self.observed.workloads.iter_mut().find(|workload| workload.name == scale.name).unwrap();
            found.desired = scale.replicas;
            found.current = false;
            // Pods that are too many are ended long before anybody counts them.
            let ready = self.ready.entry(scale.name.clone()).or_default();
            *ready = (*ready).min(scale.replicas);
        }
        if let Untag::Tags(tags) = &plan.untag {
            self.registry.retain(|key| !tags.contains(&names::work_tag(key)));
            self.untagged.extend(tags.clone());
        }
        for delete in &plan.delete {
            let active = |job: &&Job| job.uid == delete.uid && job.state == JobState::Active;
            self.abandoned.extend(self.observed.jobs.iter().find(active).map(|job| job.name.clone()));
            let keep = |uid: &String| *uid != delete.uid;
            self.observed.jobs.retain(|one| keep(&one.uid));
            self.observed.revisions.retain(|one| keep(&one.uid));
            self.observed.workloads.retain(|one| keep(&one.uid));
            let exists = |name: &String| self.observed.workloads.iter().any(|one| one.name == *name);
            self.ready.retain(|name, _| exists(name));
            self.observed.others.retain(|one| keep(&one.uid));
        }
    }

    fn apply_one(&mut self, kind: &str, name: &str, body: &Value) {
        if self.refused_kinds.iter().any(|refused| refused == kind) {
            return;
        }
        let uid = self.next_uid();
        let label = |label: &str| body["metadata"]["labels"][label].as_str().unwrap_or_default().to_owned();
        match kind {
            "Job" if !self.observed.jobs.iter().any(|job| job.name == name) => {
                self.started.push(name.to_owned());
                let key = body["metadata"]["annotations"][names::KEY_ANNOTATION].as_str().unwrap().to_owned();
                self.observed.jobs.push(Job {
                    name: name.to_owned(),
                    uid: uid.clone(),
                    step: label(names::STAGE_LABEL),
                    key,
                    deleting: false,
                    state: JobState::Active,
                    finished_at: None,
                    result: None,
                    trouble: None,
                });
                self.running.push((uid, body.clone()));
            }
            "ControllerRevision" if !self.observed.revisions.iter().any(|revision| revision.name == name) => {
                self.observed.revisions.push(Revision {
                    name: name.to_owned(),
                    uid,
                    hash: label(names::REVISION_LABEL),
                    number: body["revision"].as_i64().unwrap(),
                    data: serde_json::from_value(body["data"].clone()).unwrap(),
                });
            }
            "Deployment" if !self.observed.workloads.iter().any(|workload| workload.name == name) => {
                assert!(body["spec"].get("replicas").is_none(), "an apply never carries replicas");
                self.observed.workloads.push(Workload {
                    name: name.to_owned(),
                    uid,
                    revision: label(names::REVISION_LABEL),
                    deleting: false,
                    current: false,
                    desired: 1,
                    replicas: 0,
                    updated: 0,
                    ready: 0,
                    available: 0,
                    deadline_exceeded: false,
                    replica_failure: None,
                });
            }
            "Service" if name == self.observed.deployment.name => {
                let revision = body["spec"]["selector"][names::REVISION_LABEL].as_str().map(str::to_owned);
                let uid = self.observed.service.as_ref().map_or(uid, |service| service.uid.clone());
                self.observed.service = Some(Service { uid, revision });
            }
            "PodDisruptionBudget" | "ServiceMonitor"
                if !self.observed.others.iter().any(|one| one.kind == kind) =>
            {
                let api_version = body["apiVersion"].as_str().unwrap().to_owned();
                self.observed.others.push(Child {
                    api_version,
                    kind: kind.to_owned(),
                    name: name.to_owned(),
                    uid,
                });
            }
            _ => {}
        }
    }

    /// What a job pod would answer.
    fn run(&mut self, body: &Value) -> JobResult {
        let args = &body["spec"]["template"]["spec"]["containers"][0]["args"];
        let spec: JobSpec = serde_json::from_str(args[2].as_str().unwrap()).unwrap();
        if let Some((_, failure)) = self.failing.iter().find(|(step, _)| *step == spec.step) {
            return JobResult { failure: Some(failure.clone()), ..JobResult::default() };
        }
        let reused = self.registry.contains(&spec.key);
        if !reused {
            self.registry.push(spec.key.clone());
            self.computed.push(spec.key.clone());
        }
        let output = digest(&spec.key);
        match &spec.work {
            Work::Gate(gate) => JobResult {
                golden: Some(output),
                gate: Some(self.judge(&gate.candidate)),
                reused,
                ..JobResult::default()
            },
            Work::Source { .. } | Work::Data { .. } | Work::Calibrate(_) | Work::Stage { .. } => {
                JobResult { output: Some(output), size_bytes: Some(1000), reused, ..JobResult::default() }
            }
        }
    }

    fn judge(&self, candidate: &str) -> GateStatus {
        let check = CheckStatus {
            name: "right".into(),
            verdict: self.verdict,
            measured: Some("0.91".into()),
            threshold: Some("0.9".into()),
            n: 800,
            message: "measured 0.91, wanted 0.9".into(),
            ..CheckStatus::default()
        };
        GateStatus {
            verdict: self.verdict,
            samples: 800,
            accuracy: Some("0.91".into()),
            artifact_digest: Some(candidate.into()),
            checks: vec![check],
        }
    }

    /// Ends every Job that runs.
    fn end_jobs(&mut self) {
        for (uid, body) in std::mem::take(&mut self.running) {
            let Some(index) = self.observed.jobs.iter().position(|job| job.uid == uid) else { continue };
            let result = self.run(&body);
            let job = &mut self.observed.jobs[index];
            job.state = match &result.failure {
                Some(_) => {
                    JobState::Failed { reason: "BackoffLimitExceeded".into(), message: "failed".into() }
                }
                None => JobState::Succeeded,
            };
            job.finished_at = Some(self.observed.now);
            job.result = (!self.answers_are_lost).then_some(result);
        }
    }

    /// What the Job and Deployment controllers and the kubelet would do.
    fn controllers(&mut self) {
        if self.jobs_end {
            self.end_jobs();
        }
        for workload in &mut self.observed.workloads {
            let ready = self.ready.entry(workload.name.clone()).or_default();
            // A pod that was only just asked for is not ready yet.
            if self.pods_start && workload.current && *ready < workload.desired {
                *ready += 1;
            }
            if self.statuses_lag {
                continue;
            }
            workload.current = true;
            workload.replicas = workload.desired;
            workload.updated = workload.desired;
            workload.ready = *ready;
            workload.available = *ready;
        }
    }

    /// The pods of a revision that are really ready.
    pub(crate) fn ready_of(&self, revision: &str) -> i32 {
        let workload = self.observed.workloads.iter().find(|workload| workload.revision == revision);
        workload.and_then(|workload| self.ready.get(&workload.name)).copied().unwrap_or(0)
    }
}

pub(crate) fn final_failure(category: FailureCategory, message: &str) -> Failure {
    Failure { category, retryable: false, message: message.into() }
}

fn parse(spec: Value) -> ModelDeploymentSpec {
    serde_json::from_value(spec).unwrap()
}

/// What must not move at rest: everything that a reconcile would write.
pub(crate) fn writes(plan: &Plan) -> String {
    canonical_json(
        &json!({ "scale": plan.scale, "delete": plan.delete, "events": plan.events, "untag": plan.untag }),
    )
}
