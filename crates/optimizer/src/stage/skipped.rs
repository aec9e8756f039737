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

/// The first reasons of some nodes, or what is said where there is none.
pub(crate) fn reasons(skipped: &[Skipped], none: &str) -> String {
    const SHOWN: usize = 3;
    if skipped.is_empty() {
        return none.to_owned();
    }
    let shown =
        skipped.iter().take(SHOWN).map(|Skipped { node, op, reason, tensors: _ }| match op.as_str() {
            "" => format!("{node:?}: {reason}"),
            op => format!("{op} {node:?}: {reason}"),
        });
    let more = skipped.len().saturating_sub(SHOWN);
    let tail = if more == 0 { String::new() } else { format!(" (and {more} more)") };
    shown.collect::<Vec<_>>().join("; ") + &tail
}
