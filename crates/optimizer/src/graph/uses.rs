//! Who uses a value.

use std::collections::HashSet;

use slipway_model::onnx::graphs;
use slipway_model::onnx::proto::{GraphProto, ValueInfoProto};

/// Every name that a node of any depth takes, or that a graph gives.
///
/// A subgraph's own names count too, which only ever keeps more than is needed.
pub(super) fn used_names(root: &GraphProto) -> HashSet<String> {
    let mut used = HashSet::new();
    for graph in graphs(root) {
        used.extend(graph.node.iter().flat_map(|node| &node.input).cloned());
        used.extend(graph.output.iter().map(ValueInfoProto::name).map(str::to_owned));
    }
    used
}
