//! Data sets, and the calibrations that stages need: each is a step of its own, so that equal ones are done once.

use slipway_api::{
    DataSet, Stage,
    job::{CalibrateWork, StageData, Work},
    stage::Static,
    status::{StageState, StageStatus},
};

use super::Walk;
use crate::{Step, StepKind, key};

impl Walk<'_> {
    /// The calibration of a stage's input.
    pub(super) fn calibration(
        &mut self,
        stage: &Stage,
        spec: &Static,
        input: Option<&str>,
    ) -> Option<String> {
        let data_digest = self.data(&spec.data);
        let name = format!("calibrate-{}", stage.name);
        let (Some(input), Some(data_digest), Some(data)) = (input, data_digest, self.data_set(&spec.data))
        else {
            self.pend(&name, StepKind::Calibration);
            return None;
        };
        let (data, backend) = (data.clone(), self.observed.deployment.spec.serving.engine());
        let step = Step {
            name,
            kind: StepKind::Calibration,
            key: key::calibration(spec, &data, input, &data_digest, backend),
            input: Some(input.to_owned()),
            work: Work::Calibrate(Box::new(CalibrateWork {
                calibrate: spec.clone(),
                input: input.to_owned(),
                backend,
                data,
                data_digest,
            })),
        };
        self.take(&step)?.output_digest
    }

    /// The data that a stage looks at itself, once it is fetched.
    pub(super) fn looked_at(&mut self, name: &str) -> Option<Box<StageData>> {
        let digest = self.data(name)?;
        let data = self.data_set(name)?.clone();
        Some(Box::new(StageData { data, digest }))
    }

    /// A data set's artifact; whoever needs it, it is one step.
    pub(super) fn data(&mut self, name: &str) -> Option<String> {
        if let Some(known) = self.data_step(name) {
            return known.output_digest.clone().filter(|_| known.state == StageState::Succeeded);
        }
        let data = self.data_set(name)?.clone();
        let step = Step {
            name: step_of(name),
            kind: StepKind::Data,
            key: key::data(&data),
            input: None,
            work: Work::Data { data },
        };
        self.take(&step)?.output_digest
    }

    /// What became of the step that fetches a data set; a stage may have its name.
    pub(super) fn data_step(&self, name: &str) -> Option<&StageStatus> {
        let step = step_of(name);
        self.stages.iter().find(|stage| stage.name == step && stage.kind == StepKind::Data.as_str())
    }

    /// A data set of the spec.
    pub(super) fn data_set(&self, name: &str) -> Option<&DataSet> {
        self.observed.deployment.spec.data.iter().find(|data| data.name == name)
    }

    /// Whether a step fetches data that no stage needs.
    pub(super) fn is_for_the_gate(&self, step: &StageStatus) -> bool {
        let mut needed = self.observed.deployment.spec.stages.iter().flat_map(Stage::data_sets);
        step.kind == StepKind::Data.as_str() && !needed.any(|(_, data)| step_of(data) == step.name)
    }
}

/// The name of the step that fetches a data set.
pub(super) fn step_of(data: &str) -> String {
    format!("data-{data}")
}
