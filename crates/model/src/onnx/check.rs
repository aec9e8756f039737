//! The checks every tensor passes before a model counts as opened.

use std::collections::HashSet;
use std::path::Path;

use super::error::{OnnxError, TensorProblem};
use super::external::ExternalData;
use super::graph::{attribute_tensors, graphs, nodes, subgraphs};
use super::overlap::Ranges;
use super::proto::tensor_proto::DataLocation;
use super::proto::{GraphProto, ModelProto, TensorProto};
use super::{DataType, proto::tensor_proto::DataType as Code};

const MAX_DIMS: usize = 64;

/// Checks that the message is a model and that each of its tensors is whole.
pub(super) fn check_model(model: &ModelProto, folder: &Path) -> Result<(), OnnxError> {
    check_is_model(model)?;
    let mut checker = Checker { folder, ranges: Ranges::default() };
    for graph in model.graph.iter().flat_map(graphs).chain(function_graphs(model)) {
        checker.initializers(graph)?;
    }
    for (label, tensor) in nodes(model).into_iter().flat_map(attribute_tensors) {
        checker.tensor(&label, tensor)?;
    }
    checker.ranges.check()
}

pub(super) fn function_graphs(model: &ModelProto) -> impl Iterator<Item = &GraphProto> {
    model.functions.iter().flat_map(|function| &function.node).flat_map(subgraphs).flat_map(graphs)
}

fn check_is_model(model: &ModelProto) -> Result<(), OnnxError> {
    let reason = match &model.graph {
        _ if model.ir_version() < 1 => "it has no IR version",
        None => "it has no graph",
        Some(graph) if graph.output.is_empty() => "its graph has no outputs",
        _ if model.opset_import.is_empty() => "it imports no operator set",
        Some(_) => return Ok(()),
    };
    Err(OnnxError::NotAModel { reason })
}

struct Checker<'a> {
    folder: &'a Path,
    ranges: Ranges,
}

impl Checker<'_> {
    fn initializers(&mut self, graph: &GraphProto) -> Result<(), OnnxError> {
        let mut seen = HashSet::new();
        for tensor in &graph.initializer {
            if !seen.insert(tensor.name()) {
                return Err(OnnxError::DuplicateTensor { tensor: tensor.name().to_owned() });
            }
            self.tensor(tensor.name(), tensor)?;
        }
        let sparse = graph.sparse_initializer.iter();
        for tensor in sparse.flat_map(|sparse| sparse.values.iter().chain(&sparse.indices)) {
            self.tensor(tensor.name(), tensor)?;
        }
        Ok(())
    }

    fn tensor(&mut self, label: &str, tensor: &TensorProto) -> Result<(), OnnxError> {
        let problem = |problem| OnnxError::Tensor { tensor: label.to_owned(), problem };
        if let Some(data) = external_data(tensor, self.folder).map_err(problem)? {
            self.ranges.add(label, &data).map_err(problem)?;
        }
        Ok(())
    }
}

/// Checks one tensor; where its data lies, when that is in another file.
fn external_data(tensor: &TensorProto, folder: &Path) -> Result<Option<ExternalData>, TensorProblem> {
    if tensor.segment.is_some() {
        return Err(TensorProblem::Unsupported("is one segment of a larger tensor"));
    }
    let data_type =
        DataType::from_code(tensor.data_type()).ok_or(TensorProblem::UnknownType(tensor.data_type()))?;
    let elements = element_count(&tensor.dims)?;
    let bytes = match data_type.bits() {
        Some(_) => data_type
            .byte_len(elements)
            .filter(|bytes| i64::try_from(*bytes).is_ok())
            .ok_or_else(|| TensorProblem::Overflow(tensor.dims.clone()))?,
        None => return expect_len(tensor.string_data.len(), elements, "strings").map(|()| None),
    };
    if tensor.data_location() == DataLocation::External {
        let data = ExternalData::resolve(folder, tensor)?;
        return expect_u64(data.length, bytes, "bytes").map(|()| Some(data));
    }
    match &tensor.raw_data {
        Some(raw) => expect_len(raw.len(), bytes, "bytes")?,
        None => check_typed_data(tensor, data_type, elements)?,
    }
    Ok(None)
}

/// The number of elements of a shape.
pub(super) fn element_count(dims: &[i64]) -> Result<u64, TensorProblem> {
    if dims.len() > MAX_DIMS {
        return Err(TensorProblem::TooManyDims(dims.len()));
    }
    let overflow = || TensorProblem::Overflow(dims.to_vec());
    dims.iter().try_fold(1_u64, |product, &dim| {
        let dim = u64::try_from(dim).map_err(|_| TensorProblem::NegativeDim(dim))?;
        product.checked_mul(dim).filter(|count| i64::try_from(*count).is_ok()).ok_or_else(overflow)
    })
}

/// Data kept in one of the typed fields instead of raw bytes.
fn check_typed_data(tensor: &TensorProto, data_type: DataType, elements: u64) -> Result<(), TensorProblem> {
    let code = Code::try_from(data_type.code()).unwrap_or(Code::Undefined);
    let (actual, per_element) = match code {
        Code::Float => (tensor.float_data.len(), 1),
        Code::Complex64 => (tensor.float_data.len(), 2),
        Code::Double => (tensor.double_data.len(), 1),
        Code::Complex128 => (tensor.double_data.len(), 2),
        Code::Int64 => (tensor.int64_data.len(), 1),
        Code::Uint32 | Code::Uint64 => (tensor.uint64_data.len(), 1),
        Code::Uint2 | Code::Int2 | Code::Uint4 | Code::Int4 | Code::Float4e2m1 => {
            let packed = data_type.byte_len(elements).unwrap_or(u64::MAX);
            return expect_len(tensor.int32_data.len(), packed, "values");
        }
        _ => (tensor.int32_data.len(), 1),
    };
    let expected =
        elements.checked_mul(per_element).ok_or_else(|| TensorProblem::Overflow(tensor.dims.clone()))?;
    expect_len(actual, expected, "values")
}

fn expect_len(actual: usize, expected: u64, unit: &'static str) -> Result<(), TensorProblem> {
    expect_u64(actual as u64, expected, unit)
}

fn expect_u64(actual: u64, expected: u64, unit: &'static str) -> Result<(), TensorProblem> {
    if actual == expected { Ok(()) } else { Err(TensorProblem::Length { actual, expected, unit }) }
}
