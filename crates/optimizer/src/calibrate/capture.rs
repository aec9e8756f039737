//! Running a model so that its inner values are seen, within a budget of memory.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};

use slipway_model::onnx::OnnxModel;
use slipway_server::{DataType, Engine, EngineOptions, Tensor, TensorData, TensorSpec};

use super::shown::{Copy, copy};
use super::{CaptureError, Feeds, Refusal};
use crate::file::FileError;
use crate::progress::{Progress, Quiet, Silent};

/// How a model is run for its values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaptureOptions {
    /// Bytes of the values that are shown in one run, for the largest samples; a value that is larger alone is shown alone.
    pub budget: u64,
    /// The engine; `auto`, the default, takes ONNX Runtime where its library is there and loads the model, or else rten.
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
    /// The sample's place in the data.
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
        Self::open_watched(model, values, options, &Silent)
    }

    /// As [`open`](Self::open), until it is called off.
    pub(crate) fn open_watched(
        model: &Path,
        values: Vec<String>,
        options: &CaptureOptions,
        progress: &dyn Progress,
    ) -> Result<Self, CaptureError> {
        let model = OnnxModel::open(model)?;
        let inputs = model.facts().inputs;
        let is_input = |name: &String| inputs.iter().any(|input| input.name == *name);
        let computed: Vec<usize> = (0..values.len()).filter(|value| !is_input(&values[*value])).collect();
        let names: Vec<&str> = computed.iter().map(|value| values[*value].as_str()).collect();
        let Copy { folder, path } = copy(&model, &names, &options.scratch, &Quiet(progress))?;
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
    /// The groups come from the sizes in the largest samples. Within a group values come sample by sample, each in the
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
        self.run_for(&|_| true, feeds, progress, visit)
    }

    /// As [`run`](Self::run), for some of the values.
    pub(crate) fn run_for(
        &self,
        is_wanted: &dyn Fn(&str) -> bool,
        feeds: &dyn Feeds,
        progress: &dyn Progress,
        visit: &mut dyn FnMut(Shown<'_>) -> Result<(), Refusal>,
    ) -> Result<(), CaptureError> {
        let places: Vec<usize> =
            (0..self.computed.len()).filter(|place| is_wanted(self.name(*place))).collect();
        let go_on = || if progress.is_cancelled() { Err(FileError::Cancelled) } else { Ok(()) };
        go_on()?;
        let groups = self.groups(&places, feeds)?;
        progress.total((groups.len() * feeds.count()) as u64);
        for sample in 0..feeds.count() {
            let inputs = inputs(feeds, sample)?;
            for (value, place) in self.given.iter().filter(|(value, _)| is_wanted(&self.values[*value])) {
                self.show(*value, feeds.place(sample), inputs.get(*place), visit)?;
            }
        }
        for group in groups {
            for sample in 0..feeds.count() {
                go_on()?;
                let tensors = self.compute(group, Part::Values, sample, feeds)?;
                for (place, tensor) in group.iter().zip(&tensors) {
                    self.show(self.computed[*place], feeds.place(sample), Some(tensor), visit)?;
                }
                progress.advance(1);
            }
        }
        Ok(())
    }

    /// The name of a computed value.
    fn name(&self, place: usize) -> &str {
        &self.values[self.computed[place]]
    }

    /// Cuts computed values into groups that fit the budget, by what they take in the largest samples.
    fn groups<'p>(&self, places: &'p [usize], feeds: &dyn Feeds) -> Result<Vec<&'p [usize]>, CaptureError> {
        if feeds.count() == 0 || places.is_empty() {
            return Ok(Vec::new());
        }
        let mut sizes = vec![0; places.len()];
        for sample in largest(feeds)? {
            let shapes = self.compute(places, Part::Shapes, sample, feeds)?;
            sizes.iter_mut().zip(&shapes).for_each(|(size, shape)| *size = bytes(shape).max(*size));
        }
        Ok(grouped(&sizes, self.budget).into_iter().map(|group| &places[group]).collect())
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
        group: &[usize],
        part: Part,
        sample: usize,
        feeds: &dyn Feeds,
    ) -> Result<Vec<Tensor>, CaptureError> {
        let first = match part {
            Part::Shapes => 0,
            Part::Values => self.computed.len(),
        };
        let places: Vec<usize> = group.iter().map(|place| first + place).collect();
        self.engine.run_some(inputs(feeds, sample)?, &places).map_err(|source| CaptureError::Run {
            sample: feeds.place(sample),
            values: group.iter().map(|place| self.name(*place).to_owned()).collect(),
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
    feeds.sample(sample).ok_or_else(|| CaptureError::Sample { sample: feeds.place(sample) })
}

/// The samples that are the longest along an axis of an input, the first such for each: what a model computes of any
/// sample is no larger than what it computes of one of these, in all but odd models.
fn largest(feeds: &dyn Feeds) -> Result<BTreeSet<usize>, CaptureError> {
    let mut longest: BTreeMap<(usize, usize), (usize, usize)> = BTreeMap::new();
    for sample in 0..feeds.count() {
        for (input, tensor) in inputs(feeds, sample)?.iter().enumerate() {
            for (axis, length) in tensor.shape().iter().enumerate() {
                let most = longest.entry((input, axis)).or_insert((*length, sample));
                if *length > most.0 {
                    *most = (*length, sample);
                }
            }
        }
    }
    // A model without inputs, or of scalars alone, computes the same sizes of every sample.
    let samples: BTreeSet<usize> = longest.into_values().map(|(_, sample)| sample).collect();
    Ok(if samples.is_empty() { BTreeSet::from([0]) } else { samples })
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
