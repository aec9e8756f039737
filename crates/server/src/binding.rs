//! From what a client offers to what the model takes: names, types, shapes and lengths are checked here, for both
//! protocols.

use crate::backend::TensorSpec;
use crate::engine::shape_message;
use crate::error::ApiError;
use crate::tensor::{DataType, Tensor, TensorData, element_count};

/// One input as a client describes it, with its elements still in the form of its protocol.
#[derive(Debug)]
pub(crate) struct Offered<'a, C> {
    pub(crate) name: &'a str,
    pub(crate) datatype: &'a str,
    pub(crate) shape: &'a [i64],
    pub(crate) content: C,
}

/// The tensors of a request in the model's order.
///
/// `decode` turns content into elements of a type and shape; their count is checked again here.
pub(crate) fn bind<C>(
    specs: &[TensorSpec],
    offered: Vec<Offered<'_, C>>,
    decode: impl Fn(&str, DataType, &[usize], C) -> Result<TensorData, ApiError>,
) -> Result<Vec<Tensor>, ApiError> {
    let mut slots: Vec<Option<Tensor>> = specs.iter().map(|_| None).collect();
    for input in offered {
        let position = specs.iter().position(|spec| spec.name == input.name);
        let Some((spec, slot)) = position.and_then(|at| specs.get(at).zip(slots.get_mut(at))) else {
            return Err(ApiError::BadRequest(unknown_input(specs, input.name)));
        };
        if slot.is_some() {
            return Err(ApiError::BadRequest(format!("input {:?} is given twice", input.name)));
        }
        *slot = Some(bind_one(spec, input, &decode)?);
    }
    let missing = specs.iter().zip(&slots).find(|(_, slot)| slot.is_none());
    if let Some((spec, _)) = missing {
        return Err(ApiError::BadRequest(format!("input {:?} is missing", spec.name)));
    }
    Ok(slots.into_iter().flatten().collect())
}

fn bind_one<C>(
    spec: &TensorSpec,
    input: Offered<'_, C>,
    decode: impl Fn(&str, DataType, &[usize], C) -> Result<TensorData, ApiError>,
) -> Result<Tensor, ApiError> {
    let name = &spec.name;
    if input.datatype != spec.datatype.name() {
        let (want, got) = (spec.datatype, input.datatype);
        return Err(ApiError::BadRequest(format!("input {name:?} expects {want}, got {got}")));
    }
    let shape: Option<Vec<usize>> = input.shape.iter().map(|&size| usize::try_from(size).ok()).collect();
    let Some(shape) = shape else {
        return Err(ApiError::BadRequest(format!("input {name:?} has a negative dimension in its shape")));
    };
    if !spec.accepts(&shape) {
        return Err(ApiError::BadRequest(shape_message(spec, &shape)));
    }
    let Some(count) = element_count(&shape) else {
        return Err(ApiError::BadRequest(format!(
            "input {name:?} has a shape too large to count: {shape:?}"
        )));
    };
    let data = decode(name, spec.datatype, &shape, input.content)?;
    let got = data.len();
    Tensor::new(shape, data).ok_or_else(|| wrong_count(name, count, got))
}

/// Elements out of the binary form, after checking its length.
pub(crate) fn decode_binary(
    name: &str,
    datatype: DataType,
    shape: &[usize],
    bytes: &[u8],
) -> Result<TensorData, ApiError> {
    let count = element_count(shape).unwrap_or(usize::MAX);
    match TensorData::from_le_bytes(datatype, bytes) {
        Some(data) if data.len() == count => Ok(data),
        _ => Err(ApiError::BadRequest(format!(
            "input {name:?} needs {count} elements of {datatype} by its shape, got {} bytes",
            bytes.len()
        ))),
    }
}

/// Says that shape and data disagree.
pub(crate) fn wrong_count(name: &str, want: usize, got: usize) -> ApiError {
    ApiError::BadRequest(format!("input {name:?} needs {want} elements by its shape, got {got}"))
}

/// Position of an output by its name.
pub(crate) fn output_index(specs: &[TensorSpec], name: &str) -> Result<usize, ApiError> {
    specs.iter().position(|spec| spec.name == name).ok_or_else(|| {
        ApiError::BadRequest(format!("the model has no output {name:?}; it has {}", names(specs)))
    })
}

fn unknown_input(specs: &[TensorSpec], name: &str) -> String {
    format!("the model has no input {name:?}; it has {}", names(specs))
}

fn names(specs: &[TensorSpec]) -> String {
    let quoted: Vec<String> = specs.iter().map(|spec| format!("{:?}", spec.name)).collect();
    quoted.join(", ")
}
