//! Running a model for one of its outputs.

use slipway_server::{DataType, Engine};

use super::SensitivityError;
use super::measure::Answer;
use crate::calibrate::Feeds;
use crate::progress::Progress;

/// The output that is compared.
pub(super) struct Output {
    pub(super) name: String,
    place: usize,
}

impl Output {
    /// The output of a name, or the first that holds floats.
    pub(super) fn of(engine: &Engine, name: Option<&str>) -> Result<Self, SensitivityError> {
        let is_float = |datatype| matches!(datatype, DataType::Fp16 | DataType::Fp32 | DataType::Fp64);
        let outputs = engine.outputs();
        let found = match name {
            Some(name) => outputs.iter().position(|output| output.name == name),
            None => outputs.iter().position(|output| is_float(output.datatype)),
        };
        let names = || outputs.iter().map(|output| output.name.as_str()).collect::<Vec<_>>().join(", ");
        let place = found.ok_or_else(|| SensitivityError::Output {
            reason: match name {
                Some(name) => format!("the model has no output {name:?}; it has {}", names()),
                None => format!("no output holds floats, of {}", names()),
            },
        })?;
        Ok(Self { name: outputs[place].name.clone(), place })
    }
}

/// Runs a model on every sample.
pub(super) fn answers(
    engine: &Engine,
    output: &Output,
    feeds: &dyn Feeds,
    progress: &dyn Progress,
    visit: &mut dyn FnMut(usize, Answer) -> Result<(), SensitivityError>,
) -> Result<(), SensitivityError> {
    for sample in 0..feeds.count() {
        if progress.is_cancelled() {
            return Err(SensitivityError::Cancelled);
        }
        let place = feeds.place(sample);
        let inputs = feeds.sample(sample).ok_or(SensitivityError::Sample { sample: place })?;
        let run = |source| SensitivityError::Run { sample: place, source };
        let outputs = engine.run_some(inputs, &[output.place]).map_err(run)?;
        for tensor in outputs {
            visit(sample, Answer { shape: tensor.shape().to_vec(), values: tensor.data().to_f64() })?;
        }
        progress.advance(1);
    }
    Ok(())
}
