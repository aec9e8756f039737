//! The built-in engine: rten, pure Rust.
//!
//! It computes in `f32`, `i32`, `i8` and `u8`. What a model declares as another type is converted here, at the edge,
//! and a value that does not fit is refused. It computes some of ONNX's operators otherwise than ONNX says, so it runs only
//! models whose every node has a form that was proven equal.

mod adapt;
mod bounds;
#[cfg(test)]
mod cases;
mod external;
mod form;
mod fusions;
mod limits;
mod literals;
mod made;
mod names;
mod operators;
mod proven;
mod quantization;
mod values;

pub use operators::unsupported_operators;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use half::f16;
use prost::Message;
use rten::{Model, ModelOptions, NodeId, RunErrorKind, RunOptions, ThreadPool, Value, ValueOrView};
use rten_tensor::Layout;
use slipway_model::onnx::OnnxModel;
use slipway_model::onnx::proto::ModelProto;

use super::declared::{self, Declared};
use super::{Backend, LoadError, RunError, TensorSpec};
use crate::tensor::{DataType, Tensor, TensorData};
use external::Renamed;
use fusions::Misfits;
use values::Values;

const NAME: &str = "rten";
/// As the lock file pins it; the crate does not say.
const VERSION: &str = "0.27.0";

/// A model in rten.
pub(super) struct Rten {
    model: Model,
    pool: Arc<ThreadPool>,
    declared: Declared,
    input_ids: Vec<NodeId>,
    output_ids: Vec<NodeId>,
}

impl Rten {
    pub(super) fn load(path: &Path, threads: usize) -> Result<Self, LoadError> {
        let file = declared::open(path)?;
        let declared = declared_by(&file)?;
        let (model, optimizes) = prepared(&file)?;
        let model = load_weights(path, file, model, optimizes)?;
        let ids = |specs: &[TensorSpec]| {
            let id = |spec: &TensorSpec| model.node_id(&spec.name).map_err(refused);
            specs.iter().map(id).collect::<Result<Vec<_>, _>>()
        };
        let (input_ids, output_ids) = (ids(&declared.inputs)?, ids(&declared.outputs)?);
        let pool = Arc::new(ThreadPool::with_num_threads(threads.max(1)));
        Ok(Self { model, pool, declared, input_ids, output_ids })
    }
}

/// Whether the engine has every operator and type of a model in a proven form, told without its weights.
pub(super) fn check(path: &Path) -> Result<(), LoadError> {
    let file = declared::open(path)?;
    declared_by(&file)?;
    prepared(&file).map(drop)
}

fn declared_by(file: &OnnxModel) -> Result<Declared, LoadError> {
    lacks_nothing(operators::missing(file).into_iter().collect())?;
    Declared::of(NAME, file, |datatype| !matches!(datatype, DataType::Bytes | DataType::Fp64))
}

/// What the engine gets: the model with all written out that it asks for, and whether its optimizer may have it.
fn prepared(file: &OnnxModel) -> Result<(ModelProto, bool), LoadError> {
    let mut model = file.proto().clone();
    let Prepared { refusals, optimizes } = prepare(&mut model, &[]);
    lacks_nothing(refusals)?;
    Ok((model, optimizes))
}

fn lacks_nothing(operators: Vec<String>) -> Result<(), LoadError> {
    if operators.is_empty() {
        Ok(())
    } else {
        Err(LoadError::UnsupportedOperators { engine: NAME, operators })
    }
}

/// What is known of a model that is prepared for the engine.
struct Prepared {
    /// What of it the engine is not proven to compute as ONNX says, sorted, each once.
    refusals: Vec<String>,
    /// Whether the engine's optimizer changes no value of it.
    optimizes: bool,
}

/// Makes a model what the engine takes. `counts` names inputs whose integers are known to count sizes.
fn prepare(model: &mut ModelProto, counts: &[String]) -> Prepared {
    let opset = proven::opset(model);
    let Some(graph) = &mut model.graph else { return Prepared { refusals: Vec::new(), optimizes: true } };
    adapt::adapt(graph, opset);
    let values = Values::of(graph, counts);
    let Misfits { inner_values, forbids_optimizer } = fusions::misfits(graph, &values);
    let mut refusals = proven::unproven(graph, opset, &values);
    fusions::expose(graph, inner_values);
    adapt::forget_descriptions(graph);
    refusals.sort();
    refusals.dedup();
    Prepared { refusals, optimizes: !forbids_optimizer }
}

fn refused(error: impl std::fmt::Display) -> LoadError {
    LoadError::Refused { engine: NAME, message: error.to_string() }
}

/// Reads the weights in the way that needs the least memory for this model.
fn load_weights(
    path: &Path,
    file: OnnxModel,
    model: ModelProto,
    optimizes: bool,
) -> Result<Model, LoadError> {
    let mut options = ModelOptions::with_all_ops();
    options.enable_optimization(optimizes);
    let changed = model != *file.proto();
    let renamed = Renamed::of(model, file.folder())?;
    drop(file);
    // The ending is how rten tells what a file is.
    let is_named = path.extension().is_some_and(|end| end.eq_ignore_ascii_case("onnx"));
    if is_named && renamed.found && !changed {
        return guarded(|| options.load_file(path));
    }
    for (name, file) in renamed.files {
        let read = |source| LoadError::Read { path: file.display().to_string(), source };
        options.external_data(&name, std::fs::read(&file).map_err(read)?);
    }
    guarded(|| options.load(renamed.model.encode_to_vec()))
}

/// Loads; a crash of the engine's own analysis is a refusal.
fn guarded(load: impl FnOnce() -> Result<Model, rten::LoadError>) -> Result<Model, LoadError> {
    catch_unwind(AssertUnwindSafe(load)).map_err(|_| refused("it crashed on the model"))?.map_err(refused)
}

impl Backend for Rten {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> &'static str {
        VERSION
    }

    fn inputs(&self) -> &[TensorSpec] {
        &self.declared.inputs
    }

    fn outputs(&self) -> &[TensorSpec] {
        &self.declared.outputs
    }

    fn run(&self, inputs: Vec<Tensor>) -> Result<Vec<Tensor>, RunError> {
        self.run_some(inputs, &(0..self.output_ids.len()).collect::<Vec<_>>())
    }

    fn run_some(&self, inputs: Vec<Tensor>, places: &[usize]) -> Result<Vec<Tensor>, RunError> {
        let ids: Vec<_> = places.iter().map(|place| self.output_ids[*place]).collect();
        let values = self.input_ids.iter().zip(&self.declared.inputs).zip(inputs);
        let values = values
            .map(|((id, spec), tensor)| Ok((*id, ValueOrView::Value(to_value(spec, tensor)?))))
            .collect::<Result<Vec<_>, RunError>>()?;
        let options = RunOptions::default().with_thread_pool(Some(Arc::clone(&self.pool)));
        let outputs = self.model.run(values, &ids, Some(options)).map_err(|error| run_error(&error))?;
        let specs = places.iter().map(|place| &self.declared.outputs[*place]);
        specs.zip(outputs).map(|(spec, value)| from_value(spec, value)).collect()
    }

    /// Inside the pool, where the engine starts to compute without waking another thread.
    fn on_worker(&self, work: &mut (dyn FnMut() + Send)) {
        self.pool.run(work);
    }
}

/// What rten says about one request. Values that an operator cannot take, such as an index out of range, are the
/// request's fault; a plan that cannot be made is not.
fn run_error(error: &rten::RunError) -> RunError {
    match error.kind() {
        RunErrorKind::InvalidInput | RunErrorKind::OperatorError => {
            RunError::Input(format!("the model cannot compute this input: {error}"))
        }
        _ => RunError::Engine(error.to_string()),
    }
}

fn to_value(spec: &TensorSpec, tensor: Tensor) -> Result<Value, RunError> {
    let (shape, data) = tensor.into_parts();
    match data {
        TensorData::Bool(values) => value(&shape, values.into_iter().map(i32::from).collect()),
        TensorData::Int8(values) => value(&shape, values),
        TensorData::UInt8(values) => value(&shape, values),
        TensorData::Int32(values) => value(&shape, values),
        TensorData::Int64(values) => value(&shape, narrow_integers(spec, &values)?),
        TensorData::Fp16(values) => value(&shape, values.into_iter().map(f16::to_f32).collect()),
        TensorData::Fp32(values) => value(&shape, values),
        TensorData::Fp64(_) | TensorData::Bytes(_) => {
            Err(RunError::Engine(format!("{NAME} has neither doubles nor strings")))
        }
    }
}

fn value<T>(shape: &[usize], values: Vec<T>) -> Result<Value, RunError>
where
    Value: From<rten_tensor::Tensor<T>>,
{
    Value::from_shape(shape, values).map_err(|error| RunError::Engine(error.to_string()))
}

fn narrow_integers(spec: &TensorSpec, values: &[i64]) -> Result<Vec<i32>, RunError> {
    let narrow = |&value: &i64| i32::try_from(value).map_err(|_| out_of_range(spec, value));
    values.iter().map(narrow).collect()
}

fn out_of_range(spec: &TensorSpec, value: i64) -> RunError {
    RunError::Input(format!(
        "input {:?}: {value} is out of range, {NAME} computes in 32-bit integers",
        spec.name
    ))
}

fn from_value(spec: &TensorSpec, value: Value) -> Result<Tensor, RunError> {
    let wrong = |what: String| RunError::Engine(format!("output {:?} {what}", spec.name));
    let shape = value.shape().to_vec();
    let data = match (value, spec.datatype) {
        (Value::FloatTensor(t), DataType::Fp32) => TensorData::Fp32(t.into_data()),
        (Value::FloatTensor(t), DataType::Fp16) => {
            TensorData::Fp16(t.into_data().into_iter().map(f16::from_f32).collect())
        }
        (Value::Int32Tensor(t), DataType::Int32) => TensorData::Int32(t.into_data()),
        (Value::Int32Tensor(t), DataType::Int64) => {
            TensorData::Int64(t.into_data().into_iter().map(i64::from).collect())
        }
        (Value::Int32Tensor(t), DataType::Bool) => {
            TensorData::Bool(t.into_data().into_iter().map(|v| v != 0).collect())
        }
        (Value::Int8Tensor(t), DataType::Int8) => TensorData::Int8(t.into_data()),
        (Value::UInt8Tensor(t), DataType::UInt8) => TensorData::UInt8(t.into_data()),
        (value, want) => return Err(wrong(format!("has type {}, the model declares {want}", value.dtype()))),
    };
    Tensor::new(shape, data).ok_or_else(|| wrong("has fewer elements than its shape".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_is_the_one_that_is_built_in() {
        let lock = include_str!("../../../../../Cargo.lock");
        assert!(lock.contains(&format!("name = \"rten\"\nversion = \"{VERSION}\"\n")), "not {VERSION}");
    }
}
