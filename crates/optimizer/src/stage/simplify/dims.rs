//! Open dimensions that get a size, because it was asked for.

use std::collections::{BTreeMap, BTreeSet};

use slipway_model::onnx::proto::tensor_shape_proto::{Dimension, dimension};
use slipway_model::onnx::proto::{GraphProto, ValueInfoProto, type_proto};

use super::SimplifyError;

/// Replaces dimensions of inputs and outputs by name; how many there were.
///
/// # Errors
/// When no input has a dimension of a name that is given, or a size is zero.
pub(super) fn fix(graph: &mut GraphProto, dims: &BTreeMap<String, u64>) -> Result<usize, SimplifyError> {
    let open: BTreeSet<String> = graph.input.iter_mut().flat_map(dims_of).filter_map(name_of).collect();
    for (name, size) in dims {
        let wrong = |reason| Err(SimplifyError::Options { reason });
        if *size == 0 || i64::try_from(*size).is_err() {
            return wrong(format!("dimension {name} cannot have the size {size}"));
        }
        if !open.contains(name) {
            let known = open.iter().cloned().collect::<Vec<_>>().join(", ");
            let known = if known.is_empty() { "none".to_owned() } else { known };
            return wrong(format!("no input has a dimension named {name}; open dimensions: {known}"));
        }
    }
    let mut fixed = 0;
    for dim in graph.input.iter_mut().chain(&mut graph.output).flat_map(dims_of) {
        if let Some(size) = name_of(dim).and_then(|name| dims.get(&name)) {
            dim.value = Some(dimension::Value::DimValue(i64::try_from(*size).unwrap_or(i64::MAX)));
            fixed += 1;
        }
    }
    Ok(fixed)
}

fn dims_of(value: &mut ValueInfoProto) -> &mut [Dimension] {
    match value.r#type.as_mut().and_then(|kind| kind.value.as_mut()) {
        Some(type_proto::Value::TensorType(tensor)) => {
            tensor.shape.as_mut().map(|shape| shape.dim.as_mut_slice()).unwrap_or_default()
        }
        _ => &mut [],
    }
}

fn name_of(dim: &mut Dimension) -> Option<String> {
    match &dim.value {
        Some(dimension::Value::DimParam(name)) if !name.is_empty() => Some(name.clone()),
        _ => None,
    }
}
