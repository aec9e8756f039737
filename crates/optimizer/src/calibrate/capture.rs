//! Running a model so that its inner values are seen, within a budget of memory.

use std::ops::Range;
use std::path::{Path, PathBuf};

use slipway_model::onnx::OnnxModel;
use slipway_server::{DataType, Engine, EngineOptions, Tensor, TensorData, TensorSpec};

use super::shown::{Copy, copy};
use super::{CaptureError, Feeds, Refusal};
use crate::progress::Progress;

/// How a model is run for its values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaptureOptions {
    /// Bytes of the values that are shown in one run; a value that is larger alone is shown alone.
    pub budget: u64,
    /// The engine; the built-in one wherever it has all operators.
    pub engine: EngineOptions,
    /// A folder with room for a copy of the model, which is removed afterwards.
    pub scratch: PathBuf,
}

impl Default for CaptureOptions {
    /// 64 MiB, every processor that this process may use, and the system's folder for temporary files.
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let engine = EngineOptions { threads, ..EngineOptions::default() };
        Self { budget: 64 << 20, engine, scratch: std::env::temp_dir() }
    }
}

/// A value of one sample.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a> {
    /// Its place among the names that were asked for.
    pub value: usize,
    /// Its name.
    pub name: &'a str,
    /// The sample.
    pub sample: usize,
    /// Its dimensions.
    pub shape: &'a [usize],
    /// Its elements, row-major.
    pub values: &'a [f32],
}

/// A model that shows values of its main graph.
#[derive(Debug)]
pub struct Capture {
    engine: Engine,
    values: Vec<String>,
    /// Of the values, those that are inputs, each with its place among the model's inputs.
    given: Vec<(usize, usize)>,
    /// The others, in the order of the engine's outputs.
    computed: Vec<usize>,
    budget: u64,
    // Held until the engine has no more use for the files.
    _copy: tempfile::TempDir,
}

impl Capture {
    /// Loads a model so that the named values can be seen: floats of single precision that the main graph takes or
    /// computes.
    ///
    /// Functions count as if they were written out in place of their calls.
    ///
    /// # Errors
    /// [`CaptureError::NoValue`] for a name that is no such value; the others where the model cannot be copied or run.
    pub fn open(model: &Path, values: Vec<String>, options: &CaptureOptions) -> Result<Self, CaptureError> {
        let model = OnnxModel::open(model)?;
        let inputs = model.facts().inputs;
        let is_input = |name: &String| inputs.iter().any(|input| input.name == *name);
        let computed: Vec<usize> = (0..values.len()).filter(|value| !is_input(&values[*value])).collect();
        let names: Vec<&str> = computed.iter().map(|value| values[*value].as_str()).collect();
        let Copy { folder, path } = copy(&model, &names, &options.scratch)?;
        drop(model);
        let engine = Engine::load(&path, &options.engine).map_err(CaptureError::Load)?;
        let mut given = Vec::new();
        for (value, name) in values.iter().enumerate().filter(|(_, name)| is_input(name)) {
            let place = engine.inputs().iter().position(|spec| spec.name == *name);
            let place = place.filter(|place| engine.inputs()[*place].datatype == DataType::Fp32);
            given.push((value, place.ok_or_else(|| CaptureError::NoValue { value: name.clone() })?));
        }
        Ok(Self { engine, values, given, computed, budget: options.budget, _copy: folder })
    }

    /// The model's inputs, in its own order.
    pub fn inputs(&self) -> &[TensorSpec] {
        self.engine.inputs()
    }

    /// The engine that runs the model, with its version.
    pub fn engine(&self) -> String {
        format!("{} {}", self.engine.name(), self.engine.version())
    }

    /// Shows every value of every sample to `visit`: inputs first, then group by group so that the budget holds.
    ///
    /// The groups come from the sizes in the first sample. Within a group values come sample by sample, each in the
    /// order asked for; progress counts runs of the model.
    ///
    /// # Errors
    /// Where a sample does not fit or the model fails, which names what was to be shown; what `visit` refuses ends it.
    pub fn run(
        &self,
        feeds: &dyn Feeds,
        progress: &dyn Progress,
        visit: &mut dyn FnMut(Shown<'_>) -> Result<(), Refusal>,
    ) -> Result<(), CaptureError> {
        let groups = self.groups(feeds)?;
        progress.total((groups.len() * feeds.count()) as u64);
        for sample in 0..feeds.count() {
            let inputs = inputs(feeds, sample)?;
            for (value, place) in &self.given {
                self.show(*value, sample, inputs.get(*place), visit)?;
            }
        }
        for group in groups {
            for sample in 0..feeds.count() {
                let tensors = self.compute(group.clone(), Part::Values, sample, feeds)?;
                for (value, tensor) in self.computed[group.clone()].iter().zip(&tensors) {
                    self.show(*value, sample, Some(tensor), visit)?;
                }
                progress.advance(1);
            }
        }
        Ok(())
    }

    /// Cuts the computed values into groups that fit the budget, by what they take in the first sample.
    fn groups(&self, feeds: &dyn Feeds) -> Result<Vec<Range<usize>>, CaptureError> {
        if feeds.count() == 0 || self.computed.is_empty() {
            return Ok(Vec::new());
        }
        let shapes = self.compute(0..self.computed.len(), Part::Shapes, 0, feeds)?;
        let sizes: Vec<u64> = shapes.iter().map(bytes).collect();
        Ok(grouped(&sizes, self.budget))
    }

    fn show(
        &self,
        value: usize,
        sample: usize,
        tensor: Option<&Tensor>,
        visit: &mut dyn FnMut(Shown<'_>) -> Result<(), Refusal>,
    ) -> Result<(), CaptureError> {
        let name = self.values[value].as_str();
        let Some((tensor, TensorData::Fp32(values))) = tensor.map(|tensor| (tensor, tensor.data())) else {
            return Err(CaptureError::NoValue { value: name.to_owned() });
        };
        let shown = Shown { value, name, sample, shape: tensor.shape(), values };
        visit(shown).map_err(|refusal| CaptureError::Refused { value: name.to_owned(), sample, refusal })
    }

    /// Runs the model for some of the computed values, or for their shapes.
    fn compute(
        &self,
        group: Range<usize>,
        part: Part,
        sample: usize,
        feeds: &dyn Feeds,
    ) -> Result<Vec<Tensor>, CaptureError> {
        let first = match part {
            Part::Shapes => 0,
            Part::Values => self.computed.len(),
        };
        let places: Vec<usize> = group.clone().map(|place| first + place).collect();
        self.engine.run_some(inputs(feeds, sample)?, &places).map_err(|source| CaptureError::Run {
            sample,
            values: self.computed[group].iter().map(|value| self.values[*value].clone()).collect(),
            source,
        })
    }
}

/// Which outputs of the copy are asked for: the shapes come first.
#[derive(Clone, Copy)]
enum Part {
    Shapes,
    Values,
}

fn inputs(feeds: &dyn Feeds, sample: usize) -> Result<Vec<Tensor>, CaptureError> {
    feeds.sample(sample).ok_or(CaptureError::Sample { sample })
}

/// Bytes of the floats of a shape, which the engine gave as integers.
fn bytes(shape: &Tensor) -> u64 {
    let TensorData::Int64(dims) = shape.data() else { return 0 };
    dims.iter().fold(4, |product: u64, dim| product.saturating_mul(dim.unsigned_abs()))
}

/// Ranges of neighbours whose sizes add up to the budget at most, or that are one.
fn grouped(sizes: &[u64], budget: u64) -> Vec<Range<usize>> {
    let mut groups: Vec<Range<usize>> = Vec::new();
    let mut used = 0_u64;
    for (index, size) in sizes.iter().enumerate() {
        match groups.last_mut() {
            Some(group) if used.saturating_add(*size) <= budget => {
                group.end = index + 1;
                used += size;
            }
            _ => {
                groups.push(index..index + 1);
                used = *size;
            }
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_keep_the_order_and_the_budget() {
        assert_eq!(grouped(&[4, 4, 4, 20, 1, 1], 8), [0..2, 2..3, 3..4, 4..6]);
        assert_eq!(grouped(&[], 8), Vec::<Range<usize>>::new());
        assert_eq!(grouped(&[u64::MAX, u64::MAX], 8), [0..1, 1..2]);
        assert_eq!(grouped(&[0, 0, 0], 0), vec![0..3]);
    }
}
