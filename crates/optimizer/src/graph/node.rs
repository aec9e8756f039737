//! Making and naming nodes.

use slipway_model::onnx::proto::NodeProto;

/// A node of ONNX's own domain.
pub(crate) fn node(name: String, op: &str, inputs: &[&str], outputs: &[&str]) -> NodeProto {
    let strings = |names: &[&str]| names.iter().map(ToString::to_string).collect();
    NodeProto {
        input: strings(inputs),
        output: strings(outputs),
        name: Some(name),
        op_type: Some(op.to_owned()),
        ..NodeProto::default()
    }
}

/// What to call a node: its name, or its first output's.
pub(crate) fn node_name(node: &NodeProto) -> &str {
    match node.name() {
        "" => node.output.first().map_or("", String::as_str),
        name => name,
    }
}
