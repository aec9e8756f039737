//! What a stage says of a node that it left as it was.

use serde::{Deserialize, Serialize};
use slipway_model::onnx::proto::NodeProto;

use crate::graph::node_name;

/// An operator that stayed as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Skipped {
    /// The node's name, or its first output's; a constant's own, where it is no operator's input.
    pub node: String,
    /// The operator type; empty for a constant that is no operator's input.
    pub op: String,
    /// Why.
    pub reason: String,
    /// The large float constants that it keeps as they are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tensors: Vec<String>,
}

impl Skipped {
    /// A node, and why it stays.
    pub(crate) fn of(node: &NodeProto, reason: impl Into<String>) -> Self {
        let (name, op) = (node_name(node).to_owned(), node.op_type().to_owned());
        Self { node: name, op, reason: reason.into(), tensors: Vec::new() }
    }
}
