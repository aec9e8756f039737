//! Golden samples: a few inputs with the outputs that the gate saw, replayed by a server before it says ready.
//!
//! An int8 model's answers depend on the engine and the CPU, so what the gate judged is checked again where it serves. The gate
//! writes these types and a server reads them; their form on disk is in `file.rs`.

mod compare;
mod file;

use crate::backend::{RunError, TensorSpec};
use crate::engine::Engine;
use crate::tensor::{NamedTensor, Tensor};

pub use file::{GoldenError, MAX_BYTES, MAX_TENSOR_BYTES};

use compare::{has_highest_at, largest_difference};

/// Golden samples; none where not even one fits the bound.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GoldenSamples {
    /// The samples.
    pub samples: Vec<GoldenSample>,
}

/// One request and its answer.
#[derive(Debug, Clone, PartialEq)]
pub struct GoldenSample {
    /// One tensor for each input of the model, in any order.
    pub inputs: Vec<NamedTensor>,
    /// At least one of the model's outputs.
    pub outputs: Vec<GoldenOutput>,
}

/// What an output held.
#[derive(Debug, Clone, PartialEq)]
pub struct GoldenOutput {
    /// Name of the output.
    pub name: String,
    /// Its elements.
    pub tensor: Tensor,
    /// Largest allowed difference of any element, absolute, finite and not negative.
    pub tolerance: f64,
    /// The element that has to be the highest, where the gate saw one that leads.
    pub class: Option<usize>,
}

impl GoldenSample {
    /// Bytes of all elements.
    pub fn size_bytes(&self) -> usize {
        let inputs = self.inputs.iter().map(|input| &input.tensor);
        let tensors = inputs.chain(self.outputs.iter().map(|output| &output.tensor));
        tensors.map(|tensor| tensor.data().size_bytes()).sum()
    }
}

/// How a replay ended when it did not pass.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Mismatch {
    /// An element differs by more than is allowed.
    #[error(
        "sample {sample}: output {output:?} differs by {difference} at element {element}; {tolerance} is allowed"
    )]
    Differs {
        /// Position of the sample in the file.
        sample: usize,
        /// Name of the output.
        output: String,
        /// Position of the element with the largest difference.
        element: usize,
        /// That difference; NaN where one side alone is NaN.
        difference: f64,
        /// What the gate allowed.
        tolerance: f64,
    },
    /// The highest score is at another class.
    #[error(
        "sample {sample}: output {output:?} does not have its highest score at class {class}, as it had in the gate"
    )]
    Class {
        /// Position of the sample in the file.
        sample: usize,
        /// Name of the output.
        output: String,
        /// The class that the gate saw.
        class: usize,
    },
    /// The sample does not fit the model.
    #[error("sample {sample} does not fit the model: {reason}")]
    Unfit {
        /// Position of the sample in the file.
        sample: usize,
        /// What does not fit.
        reason: String,
    },
    /// The engine gave no answer.
    #[error("sample {sample}: {error}")]
    Failed {
        /// Position of the sample in the file.
        sample: usize,
        /// What the engine said.
        error: RunError,
    },
}

impl GoldenSamples {
    /// Runs every sample through an engine and compares.
    ///
    /// # Errors
    /// The first mismatch.
    pub fn replay(&self, engine: &Engine) -> Result<(), Mismatch> {
        self.samples.iter().enumerate().try_for_each(|(index, sample)| replay_one(engine, index, sample))
    }
}

fn replay_one(engine: &Engine, sample: usize, golden: &GoldenSample) -> Result<(), Mismatch> {
    let unfit = |reason| Mismatch::Unfit { sample, reason };
    let inputs = golden_inputs(engine.inputs(), golden).map_err(unfit)?;
    let outputs = engine.run(inputs).map_err(|error| Mismatch::Failed { sample, error })?;
    let named = || engine.outputs().iter().zip(&outputs);
    golden.outputs.iter().try_for_each(|want| {
        let (_, got) = named()
            .find(|(spec, _)| spec.name == want.name)
            .ok_or_else(|| unfit(format!("the model has no output {:?}", want.name)))?;
        check(sample, want, got)
    })
}

fn check(sample: usize, want: &GoldenOutput, got: &Tensor) -> Result<(), Mismatch> {
    let GoldenOutput { name, tensor, tolerance, class } = want;
    let form = |tensor: &Tensor| format!("{} with shape {:?}", tensor.datatype(), tensor.shape());
    if (tensor.datatype(), tensor.shape()) != (got.datatype(), got.shape()) {
        let reason = format!("{name:?} is {}, in the sample {}", form(got), form(tensor));
        return Err(Mismatch::Unfit { sample, reason });
    }
    let (element, difference) = largest_difference(tensor, got);
    if difference.is_nan() || difference > *tolerance {
        let (output, tolerance) = (name.clone(), *tolerance);
        return Err(Mismatch::Differs { sample, output, element, difference, tolerance });
    }
    match class {
        Some(class) if !has_highest_at(got, *class) => {
            Err(Mismatch::Class { sample, output: name.clone(), class: *class })
        }
        _ => Ok(()),
    }
}

fn golden_inputs(specs: &[TensorSpec], golden: &GoldenSample) -> Result<Vec<Tensor>, String> {
    if golden.inputs.len() != specs.len() {
        return Err(format!("it has {} inputs, the model {}", golden.inputs.len(), specs.len()));
    }
    let of = |spec: &TensorSpec| {
        let given = golden.inputs.iter().find(|input| input.name == spec.name);
        given.map(|input| input.tensor.clone()).ok_or_else(|| format!("input {:?} is missing", spec.name))
    };
    specs.iter().map(of).collect()
}
