//! Reading and making attributes of nodes.

use slipway_model::onnx::proto::attribute_proto::AttributeType;
use slipway_model::onnx::proto::{AttributeProto, NodeProto, TensorProto};

/// The attribute of a node by name.
pub(crate) fn attribute<'a>(node: &'a NodeProto, name: &str) -> Option<&'a AttributeProto> {
    node.attribute.iter().find(|attribute| attribute.name() == name)
}

/// A float attribute, or what the operator takes without it.
pub(crate) fn float_or(node: &NodeProto, name: &str, otherwise: f32) -> f32 {
    attribute(node, name).and_then(|attribute| attribute.f).unwrap_or(otherwise)
}

/// An integer attribute, or what the operator takes without it.
pub(crate) fn int_or(node: &NodeProto, name: &str, otherwise: i64) -> i64 {
    attribute(node, name).and_then(|attribute| attribute.i).unwrap_or(otherwise)
}

/// Whether an integer attribute is there and not zero.
pub(crate) fn flag(node: &NodeProto, name: &str) -> bool {
    int_or(node, name, 0) != 0
}

/// A list of integers, if it is there.
pub(crate) fn ints_of<'a>(node: &'a NodeProto, name: &str) -> Option<&'a [i64]> {
    attribute(node, name).map(|attribute| attribute.ints.as_slice())
}

/// An integer attribute.
pub(crate) fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto { i: Some(value), ..named(name, AttributeType::Int) }
}

/// An attribute of integers.
pub(crate) fn ints(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto { ints: values.to_vec(), ..named(name, AttributeType::Ints) }
}

/// A float attribute.
pub(crate) fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto { f: Some(value), ..named(name, AttributeType::Float) }
}

/// An attribute of text.
pub(crate) fn text(name: &str, value: &str) -> AttributeProto {
    AttributeProto { s: Some(value.as_bytes().to_vec().into()), ..named(name, AttributeType::String) }
}

/// A tensor attribute.
pub(crate) fn tensor(name: &str, value: TensorProto) -> AttributeProto {
    AttributeProto { t: Some(value), ..named(name, AttributeType::Tensor) }
}

fn named(name: &str, kind: AttributeType) -> AttributeProto {
    AttributeProto { name: Some(name.to_owned()), r#type: Some(kind as i32), ..AttributeProto::default() }
}
