//! ONNX Runtime, loaded when the program starts: every operator and type of ONNX and of `ai.onnx.ml`.

mod library;
mod places;
mod values;
mod zipmap;

use std::borrow::Cow;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use ort::ErrorCode;
use ort::session::{OutputSelector, RunOptions, Session, SessionInputValue};
use slipway_model::onnx::OnnxModel;

use super::declared;
use super::{Backend, EngineOptions, LoadError, RunError, TensorSpec};
use crate::tensor::Tensor;
use library::Library;
use zipmap::Columns;

const NAME: &str = "onnxruntime";
const PROPER_NAME: &str = "ONNX Runtime";

/// A model in ONNX Runtime.
pub(super) struct OnnxRuntime {
    /// Held for a whole run: a session computes one inference at a time, and the server has one worker for it.
    session: Mutex<Session>,
    surface: Surface,
    version: String,
}

/// What a model takes and gives here.
struct Surface {
    inputs: Vec<TensorSpec>,
    outputs: Vec<TensorSpec>,
    /// For each output, the columns of what `ZipMap` makes.
    columns: Vec<Option<Columns>>,
}

impl OnnxRuntime {
    pub(super) fn load(path: &Path, options: &EngineOptions) -> Result<Self, LoadError> {
        let library = Library::load(options.library.as_deref())?;
        let surface = Surface::of(&declared::open(path)?)?;
        let session = session(&library, path, options.threads.max(1)).map_err(|error| refused(&error))?;
        Ok(Self { session: Mutex::new(session), surface, version: library.version })
    }
}

/// Whether the library is here and exchanges the model's types.
pub(super) fn check(path: &Path, options: &EngineOptions) -> Result<(), LoadError> {
    Library::load(options.library.as_deref())?;
    Surface::of(&declared::open(path)?).map(drop)
}

impl Surface {
    fn of(model: &OnnxModel) -> Result<Self, LoadError> {
        let facts = model.facts();
        let spec = |value| declared::spec(PROPER_NAME, value, |_| true);
        let inputs = facts.inputs.iter().map(spec).collect::<Result<_, _>>()?;
        let columns: Vec<_> = facts.outputs.iter().map(|value| Columns::of(model, &value.name)).collect();
        let output = |(value, columns): (_, &Option<Columns>)| match columns {
            Some(columns) => Ok(columns.spec(value)),
            None => spec(value),
        };
        let outputs = facts.outputs.iter().zip(&columns).map(output).collect::<Result<_, _>>()?;
        Ok(Self { inputs, outputs, columns })
    }
}

/// Threads that wait sleep: spinning ones would use up the pod's share of the processor.
fn session(library: &Library, path: &Path, threads: usize) -> ort::Result<Session> {
    Session::builder(&library.environment)?
        .with_intra_threads(threads)?
        .with_inter_threads(1)?
        .with_intra_op_spinning(false)?
        .with_inter_op_spinning(false)?
        .with_deterministic_compute(true)?
        .commit_from_file(path)
}

fn refused(error: &ort::Error) -> LoadError {
    LoadError::Refused { engine: PROPER_NAME, message: error.message().to_owned() }
}

impl Backend for OnnxRuntime {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> &str {
        &self.version
    }

    fn inputs(&self) -> &[TensorSpec] {
        &self.surface.inputs
    }

    fn outputs(&self) -> &[TensorSpec] {
        &self.surface.outputs
    }

    fn run(&self, inputs: Vec<Tensor>) -> Result<Vec<Tensor>, RunError> {
        self.run_some(inputs, &(0..self.surface.outputs.len()).collect::<Vec<_>>())
    }

    fn run_some(&self, inputs: Vec<Tensor>, places: &[usize]) -> Result<Vec<Tensor>, RunError> {
        let Surface { inputs: specs, outputs, columns } = &self.surface;
        let values = specs.iter().zip(inputs);
        let values = values
            .map(|(spec, tensor)| Ok((Cow::from(spec.name.as_str()), values::to_value(spec, tensor)?)))
            .collect::<Result<Vec<(Cow<'_, str>, SessionInputValue<'_>)>, RunError>>()?;
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let names = places.iter().map(|place| outputs[*place].name.as_str());
        let selected = names.fold(OutputSelector::no_default(), OutputSelector::with);
        let options = RunOptions::new().map_err(|error| run_error(&error))?.with_outputs(selected);
        let answers = session.run_with_options(values, &options).map_err(|error| run_error(&error))?;
        places
            .iter()
            .map(|place| (&outputs[*place], &columns[*place]))
            .map(|(spec, columns)| {
                let value = answers.get(&spec.name).ok_or_else(|| values::broken(spec, "it is absent"))?;
                match columns {
                    Some(columns) => columns.tensor(spec, value),
                    None => values::from_value(spec, value),
                }
            })
            .collect()
    }
}

/// What ONNX Runtime says about one request. What an operator cannot take, such as an index out of range, is the
/// request's fault; the rest is not.
fn run_error(error: &ort::Error) -> RunError {
    let of_the_input = match error.code() {
        ErrorCode::InvalidArgument => true,
        ErrorCode::GenericFailure | ErrorCode::RuntimeException => error.message().contains(IN_OPERATOR),
        _ => false,
    };
    let words = || format!("the model cannot compute this input: {}", for_strangers(error.message()));
    match of_the_input {
        true if error.message().contains(UNKNOWN_CATEGORY) => RunError::UnknownValue(words()),
        true => RunError::Input(words()),
        false => RunError::Engine(error.message().to_owned()),
    }
}

/// How messages begin that an operator gave.
const IN_OPERATOR: &str = "Non-zero status code returned while running ";
/// What a `OneHotEncoder` whose `zeros` is 0 says of a category that it was not trained with.
const UNKNOWN_CATEGORY: &str = "Unknown Category";
const STATUS: &str = "Status Message: ";

/// The operator's words, without the place in ONNX Runtime's own sources.
fn for_strangers(message: &str) -> &str {
    let words = message.rsplit_once(STATUS).map_or(message, |(_, words)| words).trim();
    if words.contains(".cc:") || words.contains(".h:") { "an operator refuses it" } else { words }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_of_the_library_are_not_told() {
        let message = "Non-zero status code returned while running Gather node. Name:'g' Status Message: idx=9 must \
                       be within the inclusive range [-4,3]";
        assert_eq!(for_strangers(message), "idx=9 must be within the inclusive range [-4,3]");
        let message = "Non-zero status code returned while running Reshape node. Name:'' Status Message: \
                       /src/core/reshape_helper.h:41 ReshapeHelper(…) size != 0 was false";
        assert_eq!(for_strangers(message), "an operator refuses it");
    }
}
