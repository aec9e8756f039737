//! A model, ready to compute: what the server runs and what an evaluator may run in its own process.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use crate::backend::{self, Backend, EngineOptions, LoadError, RunError, TensorSpec};
use crate::tensor::Tensor;

/// A loaded model. Shared by reference between threads.
pub struct Engine {
    backend: Box<dyn Backend>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("backend", &self.backend.name()).finish_non_exhaustive()
    }
}

impl Engine {
    /// Loads a model file; external data is looked for beside it.
    ///
    /// # Errors
    /// See [`LoadError`]: among others, every operator that no engine here has is named.
    pub fn load(path: &Path, options: &EngineOptions) -> Result<Self, LoadError> {
        Ok(Self::from_backend(backend::load(path, options)?))
    }

    /// Wraps an engine of another make.
    pub fn from_backend(backend: Box<dyn Backend>) -> Self {
        Self { backend }
    }

    /// Name of the engine inside, such as `rten`.
    pub fn name(&self) -> &'static str {
        self.backend.name()
    }

    /// Version of the engine inside.
    pub fn version(&self) -> &str {
        self.backend.version()
    }

    /// The model's inputs, in its own order.
    pub fn inputs(&self) -> &[TensorSpec] {
        self.backend.inputs()
    }

    /// The model's outputs, in its own order.
    pub fn outputs(&self) -> &[TensorSpec] {
        self.backend.outputs()
    }

    /// Whether requests may be joined along the first axis: it varies in every input and output.
    pub fn can_batch(&self) -> bool {
        let mut specs = self.inputs().iter().chain(self.outputs());
        !self.inputs().is_empty() && specs.all(TensorSpec::has_dynamic_leading_axis)
    }

    /// Computes every output from one tensor for each input, in the model's order.
    ///
    /// # Errors
    /// [`RunError::Input`] where count, type, shape or values do not fit; the others where the engine fails. A
    /// panic inside the engine is caught and told as [`RunError::Panicked`].
    pub fn run(&self, inputs: Vec<Tensor>) -> Result<Vec<Tensor>, RunError> {
        self.check(&inputs)?;
        self.run_checked(inputs)
    }

    /// As [`Engine::run`], for the outputs at these places alone, in the order asked for.
    ///
    /// # Errors
    /// As [`Engine::run`]; a place that the model has no output for is [`RunError::Engine`].
    pub fn run_some(&self, inputs: Vec<Tensor>, places: &[usize]) -> Result<Vec<Tensor>, RunError> {
        self.check(&inputs)?;
        if let Some(place) = places.iter().find(|place| **place >= self.outputs().len()) {
            return Err(RunError::Engine(format!("the model has no output {place}")));
        }
        catch_unwind(AssertUnwindSafe(|| self.backend.run_some(inputs, places)))
            .unwrap_or(Err(RunError::Panicked))
    }

    fn check(&self, inputs: &[Tensor]) -> Result<(), RunError> {
        let wanted = self.inputs();
        if inputs.len() != wanted.len() {
            return Err(RunError::Input(format!("expected {} inputs, got {}", wanted.len(), inputs.len())));
        }
        wanted.iter().zip(inputs).try_for_each(|(spec, tensor)| check(spec, tensor))
    }

    /// Runs a piece of work on a thread from which [`Engine::run`] is cheapest, and waits for it.
    pub fn on_worker(&self, work: &mut (dyn FnMut() + Send)) {
        self.backend.on_worker(work);
    }

    /// As `run`, for inputs that are known to fit.
    pub(crate) fn run_checked(&self, inputs: Vec<Tensor>) -> Result<Vec<Tensor>, RunError> {
        catch_unwind(AssertUnwindSafe(|| self.backend.run(inputs))).unwrap_or(Err(RunError::Panicked))
    }
}

fn check(spec: &TensorSpec, tensor: &Tensor) -> Result<(), RunError> {
    if tensor.datatype() != spec.datatype {
        let (name, want, got) = (&spec.name, spec.datatype, tensor.datatype());
        return Err(RunError::Input(format!("input {name:?} expects {want}, got {got}")));
    }
    if !spec.accepts(tensor.shape()) {
        return Err(RunError::Input(shape_message(spec, tensor.shape())));
    }
    Ok(())
}

/// Says which shape an input expects and which one came.
pub(crate) fn shape_message(spec: &TensorSpec, got: &[usize]) -> String {
    format!("input {:?} expects shape {:?} (-1 is any size), got {got:?}", spec.name, spec.protocol_shape())
}
