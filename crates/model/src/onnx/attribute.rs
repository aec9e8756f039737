//! Reading and making attributes of nodes.

use super::proto::attribute_proto::AttributeType;
use super::proto::{AttributeProto, NodeProto, TensorProto};

/// The attribute of a node by name.
pub fn attribute<'a>(node: &'a NodeProto, name: &str) -> Option<&'a AttributeProto> {
    node.attribute.iter().find(|attribute| attribute.name() == name)
}

/// A float attribute, or what the operator takes without it.
pub fn float_or(node: &NodeProto, name: &str, otherwise: f32) -> f32 {
    attribute(node, name).and_then(|attribute| attribute.f).unwrap_or(otherwise)
}

/// An integer attribute, or what the operator takes without it.
pub fn int_or(node: &NodeProto, name: &str, otherwise: i64) -> i64 {
    attribute(node, name).and_then(|attribute| attribute.i).unwrap_or(otherwise)
}

/// Whether an integer attribute is there and not zero.
pub fn flag(node: &NodeProto, name: &str) -> bool {
    int_or(node, name, 0) != 0
}

/// A list of integers, if it is there.
pub fn ints_of<'a>(node: &'a NodeProto, name: &str) -> Option<&'a [i64]> {
    attribute(node, name).map(|attribute| attribute.ints.as_slice())
}

/// An integer attribute.
pub fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto { i: Some(value), ..named(name, AttributeType::Int) }
}

/// An attribute of integers.
pub fn ints(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto { ints: values.to_vec(), ..named(name, AttributeType::Ints) }
}

/// A float attribute.
pub fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto { f: Some(value), ..named(name, AttributeType::Float) }
}

/// An attribute of text.
pub fn text(name: &str, value: &str) -> AttributeProto {
    AttributeProto { s: Some(value.as_bytes().to_vec().into()), ..named(name, AttributeType::String) }
}

/// A tensor attribute.
pub fn tensor(name: &str, value: TensorProto) -> AttributeProto {
    AttributeProto { t: Some(value), ..named(name, AttributeType::Tensor) }
}

fn named(name: &str, kind: AttributeType) -> AttributeProto {
    AttributeProto { name: Some(name.to_owned()), r#type: Some(kind as i32), ..AttributeProto::default() }
}
