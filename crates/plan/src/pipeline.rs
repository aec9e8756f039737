//! The pipeline: which steps this generation has, which are done, and which Job comes next.
//!
//! A step's result is looked for by its key: in the revisions, in status, in a finished Job. A Job is started only
//! when none of them has it, and looks in the registry before it computes anything. So nothing is done twice and
//! nothing depends on status alone.

use slipway_api::{
    DataSet, Gate, Source,
    condition::reason,
    job::{GateWork, JobResult, Work},
    status::{ArtifactStatus, GateStatus, StageState, StageStatus},
};

use crate::{
    Desired, Job, JobState, Observed, Phase, Settings, Step, StepKind, Trouble, TroubleKind, gate,
    key::{self, GateInputs},
    runtime, steps,
};

const CANDIDATE_PORT: u16 = 8081;
const BASELINE_PORT: u16 = 8082;

/// What is known of this generation's steps.
pub(crate) struct Pipeline {
    /// Every step, in order.
    pub(crate) stages: Vec<StageStatus>,
    /// Keys of the steps that are known by now.
    pub(crate) keys: Vec<String>,
    /// Jobs to start.
    pub(crate) start: Vec<Desired>,
    /// Whether every stage has its output.
    pub(crate) optimized: Phase,
    /// The artifact, once it exists.
    pub(crate) artifact: Option<ArtifactStatus>,
    /// Whether it may serve.
    pub(crate) gate: Phase,
    /// What the gate measured.
    pub(crate) gate_status: Option<GateStatus>,
    /// The golden samples that the gate recorded.
    pub(crate) golden: Option<String>,
}

/// Walks through the steps of this generation as far as their inputs exist.
pub(crate) fn walk(observed: &Observed, settings: &Settings) -> Pipeline {
    let mut walk = Walk { observed, settings, stages: Vec::new(), keys: Vec::new(), start: Vec::new() };
    if let Some(artifact) = direct_artifact(observed) {
        return walk.finish_direct(artifact);
    }
    let artifact = walk.artifact();
    let data = walk.gate_data();
    let judged = walk.judge(artifact.as_ref(), data.as_deref());
    walk.finish(artifact, judged)
}

/// An artifact that needs no step: pinned by digest in an OCI registry, with no stage and no gate.
///
/// The pods themselves verify its digest and refuse operators that the engine does not know.
fn direct_artifact(observed: &Observed) -> Option<ArtifactStatus> {
    let spec = &observed.deployment.spec;
    if !spec.stages.is_empty() || spec.gate.is_some() {
        return None;
    }
    let Source { uri, file, digest, credentials_secret_ref } = &spec.model.source;
    let (_, pinned) = uri.strip_prefix("oci://")?.split_once('@')?;
    let agreed = digest.as_ref().is_none_or(|digest| digest == pinned);
    (agreed && file.is_none() && credentials_secret_ref.is_none()).then(|| ArtifactStatus {
        digest: pinned.to_owned(),
        uri: uri.clone(),
        source_digest: Some(pinned.to_owned()),
        ..ArtifactStatus::default()
    })
}

struct Walk<'a> {
    observed: &'a Observed,
    settings: &'a Settings,
    stages: Vec<StageStatus>,
    keys: Vec<String>,
    start: Vec<Desired>,
}

struct Judged {
    phase: Phase,
    status: Option<GateStatus>,
    golden: Option<String>,
}

impl Walk<'_> {
    /// Source and stages, each with the output of the one before.
    fn artifact(&mut self) -> Option<ArtifactStatus> {
        let spec = &self.observed.deployment.spec;
        let onnxruntime = spec.serving.may_use_onnxruntime();
        let source = Step {
            name: "source".into(),
            kind: StepKind::Source,
            key: key::source(&spec.model.source, spec.model.format, onnxruntime),
            input: None,
            work: Work::Source { source: spec.model.source.clone(), format: spec.model.format, onnxruntime },
        };
        let fetched = self.take(&source);
        let mut output = fetched.clone();
        for stage in &spec.stages {
            let kind = StepKind::Stage(stage.kind().map_or("unknown", |kind| kind.key()));
            let Some(input) = output.and_then(|status| status.output_digest) else {
                self.pend(&stage.name, kind);
                output = None;
                continue;
            };
            let key = key::stage(stage, &input);
            let work = Work::Stage { stage: stage.clone(), input: input.clone() };
            output = self.take(&Step { name: stage.name.clone(), kind, key, input: Some(input), work });
        }
        let output = output?;
        let digest = output.output_digest?;
        Some(ArtifactStatus {
            uri: steps::registry(&self.observed.deployment, self.settings).uri(&digest),
            digest,
            format: Some("onnx".into()),
            size_bytes: output.size_bytes,
            source_digest: fetched.and_then(|fetched| fetched.output_digest),
        })
    }

    /// The gate's data set.
    fn gate_data(&mut self) -> Option<String> {
        let data = self.bound_data()?.clone();
        let step = Step {
            name: format!("data-{}", data.name),
            kind: StepKind::Data,
            key: key::data(&data),
            input: None,
            work: Work::Data { data },
        };
        self.take(&step)?.output_digest
    }

    fn bound_data(&self) -> Option<&DataSet> {
        let spec = &self.observed.deployment.spec;
        let gate = spec.gate.as_ref()?;
        spec.data.iter().find(|data| data.name == gate.data)
    }

    fn judge(&mut self, artifact: Option<&ArtifactStatus>, data_digest: Option<&str>) -> Judged {
        let Some(gate) = &self.observed.deployment.spec.gate else {
            return Judged {
                phase: Phase::done(reason::NO_GATE, "no gate is asked for"),
                status: None,
                golden: None,
            };
        };
        let (Some(artifact), Some(data_digest)) = (artifact, data_digest) else {
            self.pend("gate", StepKind::Gate);
            return Judged { phase: self.before_gate(), status: None, golden: None };
        };
        let step = self.gate_step(gate, artifact, data_digest);
        let taken = self.take(&step);
        let Some((status, golden)) = taken.and_then(|_| self.gate_result(&step.key)) else {
            return Judged { phase: self.gate_trouble(), status: None, golden: None };
        };
        Judged { phase: gate::phase(gate, &status), status: Some(status), golden }
    }

    fn gate_step(&self, gate: &Gate, artifact: &ArtifactStatus, data_digest: &str) -> Step {
        let deployment = &self.observed.deployment;
        let baseline = gate.baseline.as_ref().map_or("source", |baseline| baseline.stage.as_str());
        let baseline = (self.stages.iter().find(|stage| stage.name == baseline))
            .and_then(|stage| stage.output_digest.clone())
            .unwrap_or_else(|| artifact.digest.clone());
        let data = self.bound_data().expect("its digest is known").clone();
        let inputs = GateInputs { candidate: &artifact.digest, baseline: &baseline, data: data_digest };
        Step {
            name: "gate".into(),
            kind: StepKind::Gate,
            key: key::gate(gate, &data, &deployment.spec.serving, inputs),
            input: Some(artifact.digest.clone()),
            work: Work::Gate(Box::new(GateWork {
                gate: gate.clone(),
                data,
                data_digest: data_digest.to_owned(),
                candidate: artifact.digest.clone(),
                baseline: baseline.clone(),
                candidate_port: CANDIDATE_PORT,
                baseline_port: BASELINE_PORT,
                model_name: runtime::model_name(deployment).to_owned(),
            })),
        }
    }

    /// What the gate measured under this key, from whichever place still has it.
    fn gate_result(&self, key: &str) -> Option<(GateStatus, Option<String>)> {
        let judged_here = |stages: &[StageStatus]| has_result(stages, key).is_some();
        let from_revision = (self.observed.revisions.iter())
            .find(|revision| judged_here(&revision.data.stages))
            .and_then(|revision| Some((revision.data.gate.clone()?, revision.data.golden_digest.clone())));
        let from_job = || {
            let result = self.job(key)?.result.as_ref()?;
            Some((result.gate.clone()?, result.golden.clone()))
        };
        let from_status = || {
            let status = &self.observed.deployment.status;
            let recorded = has_result(&status.stages, key)?;
            Some((status.gate.clone()?, recorded.output_digest.clone()))
        };
        from_revision.or_else(from_job).or_else(from_status)
    }

    fn before_gate(&self) -> Phase {
        match self.stages.iter().find(|stage| stage.kind == "data" && stage.state == StageState::Failed) {
            Some(failed) => Phase::failed(known_reason(failed), failed.message.clone().unwrap_or_default()),
            None => Phase::waiting(reason::WAITING, "waits for the artifact and the data set"),
        }
    }

    fn gate_trouble(&self) -> Phase {
        let gate = self.stages.iter().find(|stage| stage.kind == "gate");
        let message =
            gate.and_then(|gate| gate.message.clone()).unwrap_or_else(|| "the gate is judging".into());
        match gate {
            Some(gate) if gate.state == StageState::Failed => {
                Phase::failed(gate_reason(known_reason(gate)), message)
            }
            Some(gate) => Phase::running(known_reason(gate), message),
            None => Phase::waiting(reason::WAITING, message),
        }
    }

    /// One step whose inputs exist: its result where it is done, otherwise its Job.
    fn take(&mut self, step: &Step) -> Option<StageStatus> {
        self.keys.push(step.key.clone());
        let status = self.status_of(step);
        self.stages.push(status.clone());
        (status.state == StageState::Succeeded).then_some(status)
    }

    fn pend(&mut self, name: &str, kind: StepKind) {
        self.stages.push(StageStatus {
            name: name.into(),
            kind: kind.as_str().into(),
            ..StageStatus::default()
        });
    }

    fn status_of(&mut self, step: &Step) -> StageStatus {
        let recorded = (self.observed.revisions.iter())
            .find_map(|revision| has_result(&revision.data.stages, &step.key))
            .or_else(|| has_result(&self.observed.deployment.status.stages, &step.key));
        if let Some(recorded) = recorded {
            return StageStatus { name: step.name.clone(), ..recorded.clone() };
        }
        let base = StageStatus {
            name: step.name.clone(),
            kind: step.kind.as_str().into(),
            key: Some(step.key.clone()),
            input_digest: step.input.clone(),
            ..StageStatus::default()
        };
        match self.job(&step.key) {
            Some(job) => job_status(base, job),
            None => self.begin(base, step),
        }
    }

    fn begin(&mut self, base: StageStatus, step: &Step) -> StageStatus {
        if self.observed.deployment.spec.suspend {
            let message = "suspend is true: no new work is started".to_owned();
            return StageStatus { reason: Some(reason::SUSPENDED.into()), message: Some(message), ..base };
        }
        let job = steps::job(&self.observed.deployment, self.settings, step);
        let name = job.name.clone();
        self.start.push(job);
        StageStatus { state: StageState::Running, job: Some(name), ..base }
    }

    /// The Job of a key.
    fn job(&self, key: &str) -> Option<&Job> {
        self.observed.jobs.iter().find(|job| job.key == key)
    }

    fn finish(self, artifact: Option<ArtifactStatus>, judged: Judged) -> Pipeline {
        let optimized = self.optimized(artifact.is_some());
        let Judged { phase: gate, status: gate_status, golden } = judged;
        let Self { stages, keys, start, .. } = self;
        Pipeline { stages, keys, start, optimized, artifact, gate, gate_status, golden }
    }

    fn finish_direct(mut self, artifact: ArtifactStatus) -> Pipeline {
        self.stages.push(StageStatus {
            name: "source".into(),
            kind: StepKind::Source.as_str().into(),
            state: StageState::Succeeded,
            output_digest: Some(artifact.digest.clone()),
            message: Some("pinned by digest; every pod verifies it".into()),
            ..StageStatus::default()
        });
        let gate = Phase::done(reason::NO_GATE, "no gate is asked for");
        self.finish(Some(artifact), Judged { phase: gate, status: None, golden: None })
    }

    fn optimized(&self, done: bool) -> Phase {
        if done {
            return Phase::done(reason::SUCCEEDED, "every stage has its output");
        }
        let steps = || self.stages.iter().filter(|stage| stage.kind != "data" && stage.kind != "gate");
        let say = |stage: &StageStatus| {
            let message = stage.message.clone().unwrap_or_else(|| "is under way".into());
            format!("{}: {message}", stage.name)
        };
        if let Some(failed) = steps().find(|stage| stage.state == StageState::Failed) {
            return Phase::failed(known_reason(failed), say(failed));
        }
        match steps().find(|stage| stage.state != StageState::Succeeded) {
            Some(stage) if stage.reason.as_deref() == Some(reason::SUSPENDED) => {
                Phase::waiting(reason::SUSPENDED, say(stage))
            }
            Some(stage) => Phase::running(known_reason(stage), say(stage)),
            None => Phase::running(reason::PROGRESSING, "the stages are under way"),
        }
    }
}

fn has_result<'a>(stages: &'a [StageStatus], key: &str) -> Option<&'a StageStatus> {
    stages.iter().find(|stage| stage.state == StageState::Succeeded && stage.key.as_deref() == Some(key))
}

/// A step's status from its Job.
fn job_status(base: StageStatus, job: &Job) -> StageStatus {
    let base = StageStatus { job: Some(job.name.clone()), ..base };
    match (&job.state, &job.result) {
        (JobState::Succeeded, Some(result)) if result.failure.is_none() => succeeded(base, result),
        (JobState::Succeeded, _) => StageStatus {
            state: StageState::Running,
            message: Some(
                "the job ended and its answer is lost; it is asked again and computes nothing twice".into(),
            ),
            ..base
        },
        (JobState::Active, _) => StageStatus { state: StageState::Running, ..with_trouble(base, job) },
        (JobState::Failed { reason, message }, _) => {
            StageStatus { state: StageState::Failed, ..failed(base, job, reason, message) }
        }
    }
}

fn succeeded(base: StageStatus, result: &JobResult) -> StageStatus {
    let JobResult { output, report, golden, size_bytes, format: _, facts, tool, reused, gate: _, failure: _ } =
        result;
    StageStatus {
        state: StageState::Succeeded,
        output_digest: output.clone().or_else(|| golden.clone()),
        report_digest: report.clone(),
        size_bytes: *size_bytes,
        tool: tool.clone(),
        facts: facts.clone(),
        message: reused.then(|| "it was in the registry already; nothing was computed".into()),
        ..base
    }
}

fn with_trouble(base: StageStatus, job: &Job) -> StageStatus {
    match (&job.trouble, job.result.as_ref().and_then(|result| result.failure.as_ref())) {
        (_, Some(failure)) => StageStatus {
            reason: Some(failure.category.reason().into()),
            message: Some(if failure.retryable {
                format!("{}; it is tried again", failure.message)
            } else {
                failure.message.clone()
            }),
            ..base
        },
        (Some(trouble), None) => StageStatus {
            reason: Some(trouble_reason(trouble.kind).into()),
            message: Some(format!("{} (job {})", words(trouble), job.name)),
            ..base
        },
        (None, None) => StageStatus { message: Some(format!("job {} is running", job.name)), ..base },
    }
}

fn failed(base: StageStatus, job: &Job, job_reason: &str, job_message: &str) -> StageStatus {
    let remedy = format!("change the spec, or delete job {} to try again", job.name);
    let failure = job.result.as_ref().and_then(|result| result.failure.as_ref());
    let (reason, message) = match (failure, &job.trouble) {
        _ if job_reason == "DeadlineExceeded" => {
            let detail =
                job.trouble.as_ref().map(|trouble| format!(": {}", trouble.message)).unwrap_or_default();
            (
                reason::DEADLINE_EXCEEDED,
                format!("it took longer than jobs.deadline{detail}; raise jobs.deadline"),
            )
        }
        (Some(failure), _) if failure.retryable => {
            (failure.category.reason(), format!("{}; it is tried again every two minutes", failure.message))
        }
        (Some(failure), _) => (failure.category.reason(), format!("{}; {remedy}", failure.message)),
        (None, Some(trouble)) if trouble.kind == TroubleKind::OutOfMemory => {
            (reason::OUT_OF_MEMORY, words(trouble))
        }
        (None, Some(trouble)) => (trouble_reason(trouble.kind), format!("{}; {remedy}", trouble.message)),
        (None, None) => (reason::STAGE_FAILED, format!("{job_reason}: {job_message}; {remedy}")),
    };
    StageStatus { reason: Some(reason.into()), message: Some(message), ..base }
}

/// A trouble with what to do about it, where that is one field.
fn words(trouble: &Trouble) -> String {
    match trouble.kind {
        TroubleKind::OutOfMemory => format!("{}; raise jobs.resources.limits.memory", trouble.message),
        TroubleKind::ImagePull
        | TroubleKind::Evicted
        | TroubleKind::Unschedulable
        | TroubleKind::Crashed
        | TroubleKind::CannotStart => trouble.message.clone(),
    }
}

fn trouble_reason(kind: TroubleKind) -> &'static str {
    match kind {
        TroubleKind::ImagePull => reason::IMAGE_PULL_FAILED,
        TroubleKind::OutOfMemory => reason::OUT_OF_MEMORY,
        TroubleKind::Evicted
        | TroubleKind::Unschedulable
        | TroubleKind::Crashed
        | TroubleKind::CannotStart => reason::STAGE_FAILED,
    }
}

/// The constant that equals a stage's reason.
fn known_reason(stage: &StageStatus) -> &'static str {
    let text = stage.reason.as_deref().unwrap_or(reason::PROGRESSING);
    reason::ALL.iter().find(|known| **known == text).copied().unwrap_or(reason::STAGE_FAILED)
}

/// A gate that broke is an error of the gate, unless the reason says more.
fn gate_reason(reason: &'static str) -> &'static str {
    if reason == reason::STAGE_FAILED { reason::GATE_ERROR } else { reason }
}
