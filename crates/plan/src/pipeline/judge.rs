//! The gate as a part of the pipeline: its data set, its Job, and what came of it.

use std::collections::BTreeMap;

use slipway_api::{
    DataSet, Gate, Stage,
    condition::reason,
    job::{GateWork, Work},
    status::{ArtifactStatus, GateStatus, StageState, StageStatus},
};

use super::{Walk, answer, attempt, calibrate, has_result};
use crate::{
    Phase, Step, StepKind, gate,
    key::{self, GateInputs},
    runtime,
};

const CANDIDATE_PORT: u16 = 8081;
const BASELINE_PORT: u16 = 8082;

/// What the gate says of the artifact.
pub(super) struct Judged {
    pub(super) phase: Phase,
    pub(super) status: Option<GateStatus>,
    pub(super) golden: Option<String>,
}

impl Walk<'_> {
    /// The gate's data set.
    pub(super) fn gate_data(&mut self) -> Option<String> {
        let name = self.observed.deployment.spec.gate.as_ref()?.data.clone();
        self.data(&name)
    }

    fn bound_data(&self) -> Option<&DataSet> {
        self.data_set(&self.observed.deployment.spec.gate.as_ref()?.data)
    }

    pub(super) fn judge(&mut self, artifact: Option<&ArtifactStatus>, data_digest: Option<&str>) -> Judged {
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
        // Validation has found the stage, and the artifact exists only when every stage has its output.
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
                looked_at: self.looked_at_by_stages(),
                candidate: artifact.digest.clone(),
                baseline: baseline.clone(),
                candidate_port: CANDIDATE_PORT,
                baseline_port: BASELINE_PORT,
                model_name: runtime::model_name(deployment).to_owned(),
            })),
        }
    }

    /// The artifacts of data sets that stages look at, by the names of the data sets.
    fn looked_at_by_stages(&self) -> BTreeMap<String, String> {
        let names = self.observed.deployment.spec.stages.iter().flat_map(Stage::data_sets);
        let fetched = |name: &str| self.data_step(name)?.output_digest.clone();
        names.filter_map(|(_, name)| Some((name.to_owned(), fetched(name)?))).collect()
    }

    /// What the gate measured under this key, from whichever place still has it.
    fn gate_result(&self, key: &str) -> Option<(GateStatus, Option<String>)> {
        let judged_here = |stages: &[StageStatus]| has_result(stages, key).is_some();
        let from_revision = (self.observed.revisions.iter())
            .find(|revision| judged_here(&revision.data.stages))
            .and_then(|revision| Some((revision.data.gate.clone()?, revision.data.golden_digest.clone())));
        let from_job = || {
            let result = attempt::answer(&self.observed.jobs, key)?;
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
        let name = self.bound_data().map(|data| calibrate::step_of(&data.name));
        let data = self.stages.iter().find(|stage| Some(&stage.name) == name.as_ref());
        let words = |data: &StageStatus| data.message.clone().unwrap_or_default();
        match data {
            Some(data) if data.state == StageState::Failed => {
                Phase::failed(answer::known_reason(data), words(data))
            }
            Some(data) if data.state == StageState::Running && data.reason.is_some() => {
                Phase::running(answer::known_reason(data), words(data))
            }
            Some(_) | None => Phase::waiting(reason::WAITING, "waits for the artifact and the data set"),
        }
    }

    fn gate_trouble(&self) -> Phase {
        let gate = self.stages.iter().find(|stage| stage.kind == "gate");
        let message =
            gate.and_then(|gate| gate.message.clone()).unwrap_or_else(|| "the gate is judging".into());
        match gate {
            Some(gate) if gate.state == StageState::Failed => {
                Phase::failed(error_reason(answer::known_reason(gate)), message)
            }
            Some(gate) => Phase::running(answer::known_reason(gate), message),
            None => Phase::waiting(reason::WAITING, message),
        }
    }
}

/// A gate that broke is an error of the gate, unless the reason says more.
fn error_reason(reason: &'static str) -> &'static str {
    if reason == reason::STAGE_FAILED { reason::GATE_ERROR } else { reason }
}
