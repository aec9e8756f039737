//! Inputs and outputs as the model file declares them, in the protocol's types.

use slipway_model::onnx::{Dim, OnnxError, OnnxModel, ValueFacts};

use super::{LoadError, TensorSpec};
use crate::tensor::DataType;

/// What a model takes and gives.
pub(super) struct Declared {
    pub(super) inputs: Vec<TensorSpec>,
    pub(super) outputs: Vec<TensorSpec>,
}

impl Declared {
    /// Reads the declarations for an engine that exchanges some of the protocol's types.
    pub(super) fn of(
        engine: &'static str,
        model: &OnnxModel,
        exchanges: impl Fn(DataType) -> bool,
    ) -> Result<Self, LoadError> {
        let facts = model.facts();
        let specs = |values: &[ValueFacts]| {
            values.iter().map(|value| spec(engine, value, &exchanges)).collect::<Result<Vec<_>, _>>()
        };
        Ok(Self { inputs: specs(&facts.inputs)?, outputs: specs(&facts.outputs)? })
    }
}

/// Opens a model file; what is wrong with it is told as a failure to load.
pub(super) fn open(path: &std::path::Path) -> Result<OnnxModel, LoadError> {
    OnnxModel::open(path).map_err(|error| match error {
        OnnxError::Read { path, source } => LoadError::Read { path: path.display().to_string(), source },
        other => LoadError::Invalid(other.to_string()),
    })
}

/// A model's inputs as its file declares them, whichever engine is going to run it.
///
/// # Errors
/// For a type that the protocol does not have.
pub fn declared_inputs(model: &OnnxModel) -> Result<Vec<TensorSpec>, LoadError> {
    model.facts().inputs.iter().map(|value| spec("the server", value, |_| true)).collect()
}

/// One declaration; an error where the engine does not exchange its type.
pub(super) fn spec(
    engine: &'static str,
    value: &ValueFacts,
    exchanges: impl Fn(DataType) -> bool,
) -> Result<TensorSpec, LoadError> {
    let datatype = datatype(&value.data_type).filter(|datatype| exchanges(*datatype)).ok_or_else(|| {
        LoadError::UnsupportedType { engine, tensor: value.name.clone(), datatype: value.data_type.clone() }
    })?;
    let shape = value.dims.as_ref().map(|dims| dims.iter().map(fixed).collect());
    Ok(TensorSpec { name: value.name.clone(), datatype, shape })
}

fn datatype(onnx: &str) -> Option<DataType> {
    Some(match onnx {
        "bool" => DataType::Bool,
        "int8" => DataType::Int8,
        "uint8" => DataType::UInt8,
        "int32" => DataType::Int32,
        "int64" => DataType::Int64,
        "float16" => DataType::Fp16,
        "float" => DataType::Fp32,
        "double" => DataType::Fp64,
        "string" => DataType::Bytes,
        _ => return None,
    })
}

fn fixed(dim: &Dim) -> Option<usize> {
    match dim {
        // Some exporters write -1 for a size that varies.
        Dim::Fixed(size) => usize::try_from(*size).ok(),
        Dim::Symbol(_) | Dim::Unknown => None,
    }
}
