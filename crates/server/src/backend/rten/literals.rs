//! Constants given as numbers, written out as tensors.

use slipway_model::onnx::attribute::tensor;
use slipway_model::onnx::proto::attribute_proto::AttributeType;
use slipway_model::onnx::proto::{AttributeProto, GraphProto, TensorProto};
use slipway_model::onnx::{DataType, is_default_domain, subgraphs_mut};

/// Writes `value_int`, `value_ints`, `value_float` and `value_floats` of every `Constant` as its `value`.
pub(super) fn spell_out(graph: &mut GraphProto) {
    for node in &mut graph.node {
        if node.op_type() == "Constant" && is_default_domain(node.domain()) {
            node.attribute.iter_mut().for_each(|attribute| {
                if let Some(value) = spelled_out(attribute) {
                    *attribute = tensor("value", value);
                }
            });
        }
        subgraphs_mut(node).for_each(spell_out);
    }
}

fn spelled_out(attribute: &AttributeProto) -> Option<TensorProto> {
    let is_list = matches!(attribute.name(), "value_ints" | "value_floats");
    let (data_type, count, bytes) = match (attribute.name(), AttributeType::try_from(attribute.r#type?).ok()?)
    {
        ("value_int", AttributeType::Int) => (DataType::INT64, 1, attribute.i().to_le_bytes().to_vec()),
        ("value_float", AttributeType::Float) => (DataType::FLOAT, 1, attribute.f().to_le_bytes().to_vec()),
        ("value_ints", AttributeType::Ints) => (
            DataType::INT64,
            attribute.ints.len(),
            attribute.ints.iter().flat_map(|value| value.to_le_bytes()).collect(),
        ),
        ("value_floats", AttributeType::Floats) => (
            DataType::FLOAT,
            attribute.floats.len(),
            attribute.floats.iter().flat_map(|value| value.to_le_bytes()).collect(),
        ),
        _ => return None,
    };
    Some(TensorProto {
        dims: if is_list { vec![i64::try_from(count).ok()?] } else { Vec::new() },
        data_type: Some(data_type.code()),
        raw_data: Some(bytes.into()),
        ..TensorProto::default()
    })
}
