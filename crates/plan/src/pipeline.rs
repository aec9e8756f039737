//! The pipeline: which steps this generation has, which are done, and which Job comes next.
//!
//! A step's result is looked for by its key: in the revisions, in status, in a finished Job. A Job is started only
//! when none of them has it, and looks in the registry before it computes anything. So nothing is done twice and
//! nothing depends on status alone.

mod answer;
mod attempt;
mod calibrate;
mod judge;

use slipway_api::{
    Source, Stage,
    condition::reason,
    job::Work,
    status::{ArtifactStatus, GateStatus, StageState, StageStatus},
};

use self::{attempt::Attempt, judge::Judged};
use crate::{Desired, Observed, Phase, Settings, Step, StepKind, key, steps};

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

impl Pipeline {
    /// Whether nothing is asked of the spec, since it is refused: a walk has at least the source.
    pub(crate) fn is_refused(&self) -> bool {
        self.stages.is_empty()
    }
}

/// Walks through the steps of this generation as far as their inputs exist.
pub(crate) fn walk(observed: &Observed, settings: &Settings) -> Pipeline {
    let mut walk = Walk { observed, settings, stages: Vec::new(), keys: Vec::new(), start: Vec::new() };
    // A laptop has no pod that could take it from the registry.
    if !settings.local
        && let Some(artifact) = direct_artifact(observed)
    {
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

impl Walk<'_> {
    /// Source and stages, each with the output of the one before.
    fn artifact(&mut self) -> Option<ArtifactStatus> {
        let spec = &self.observed.deployment.spec;
        let backend = spec.serving.engine();
        let source = Step {
            name: "source".into(),
            kind: StepKind::Source,
            key: key::source(&spec.model.source, spec.model.format, backend),
            input: None,
            work: Work::Source { source: spec.model.source.clone(), format: spec.model.format, backend },
        };
        let fetched = self.take(&source);
        let mut output = fetched.clone();
        for stage in &spec.stages {
            let input = output.and_then(|status| status.output_digest);
            output = self.stage(stage, input);
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

    /// One stage, once its input and its calibration exist.
    fn stage(&mut self, stage: &Stage, input: Option<String>) -> Option<StageStatus> {
        let kind = StepKind::Stage(stage.kind().map_or("unknown", |kind| kind.key()));
        let calibration = stage.calibrates().map(|spec| self.calibration(stage, spec, input.as_deref()));
        let data = stage.looks_at().map(|looks| self.looked_at(looks.data));
        let (Some(input), false, false) = (input, calibration == Some(None), data == Some(None)) else {
            self.pend(&stage.name, kind);
            return None;
        };
        let (calibration, data) = (calibration.flatten(), data.flatten());
        let backend = self.observed.deployment.spec.serving.engine();
        let key = key::stage(stage, &input, calibration.as_deref(), data.as_deref(), backend);
        let work = Work::Stage { stage: stage.clone(), input: input.clone(), calibration, data, backend };
        self.take(&Step { name: stage.name.clone(), kind, key, input: Some(input), work })
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
        match attempt::of(&self.observed.jobs, &step.key) {
            Attempt::Running(job) => {
                answer::status(base, job, self.told_before(&step.key), self.settings.local)
            }
            Attempt::Next(number) => self.begin(base, step, number),
            Attempt::GivenUp(jobs) => answer::lost(base, &jobs),
        }
    }

    /// What status said of this key when it was stored last.
    fn told_before(&self, key: &str) -> Option<&StageStatus> {
        let before = &self.observed.deployment.status.stages;
        before.iter().find(|stage| stage.key.as_deref() == Some(key))
    }

    fn begin(&mut self, base: StageStatus, step: &Step, attempt: usize) -> StageStatus {
        if self.observed.deployment.spec.suspend {
            let message = "suspend is true: no new work is started".to_owned();
            return StageStatus { reason: Some(reason::SUSPENDED.into()), message: Some(message), ..base };
        }
        let job = steps::job(&self.observed.deployment, self.settings, step, attempt, &self.sizes());
        let name = job.name.clone();
        self.start.push(job);
        let message = (attempt > 0).then(|| {
            "a job ended and its answer is lost; it is asked again and computes nothing twice".to_owned()
        });
        StageStatus { state: StageState::Running, job: Some(name), message, ..base }
    }

    fn sizes(&self) -> steps::Sizes {
        let made = self.stages.iter().filter_map(|stage| stage.output_digest.clone().zip(stage.size_bytes));
        made.collect()
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
        let steps =
            || self.stages.iter().filter(|stage| stage.kind != "gate" && !self.is_for_the_gate(stage));
        let say = |stage: &StageStatus| {
            let message = stage.message.clone().unwrap_or_else(|| "is under way".into());
            format!("{}: {message}", stage.name)
        };
        if let Some(failed) = steps().find(|stage| stage.state == StageState::Failed) {
            return Phase::failed(answer::known_reason(failed), say(failed));
        }
        match steps().find(|stage| stage.state != StageState::Succeeded) {
            Some(stage) if stage.reason.as_deref() == Some(reason::SUSPENDED) => {
                Phase::waiting(reason::SUSPENDED, say(stage))
            }
            Some(stage) => Phase::running(answer::known_reason(stage), say(stage)),
            None => Phase::running(reason::PROGRESSING, "the stages are under way"),
        }
    }
}

fn has_result<'a>(stages: &'a [StageStatus], key: &str) -> Option<&'a StageStatus> {
    stages.iter().find(|stage| stage.state == StageState::Succeeded && stage.key.as_deref() == Some(key))
}
