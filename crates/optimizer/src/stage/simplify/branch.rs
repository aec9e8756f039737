//! `If` nodes whose condition is known.

use std::collections::HashMap;

use slipway_model::onnx::proto::{GraphProto, NodeProto};
use slipway_model::onnx::{is_default_domain, subgraphs_mut};

use crate::graph::{attribute, node};

/// Writes the branch that is taken in place of its `If`; how many there were.
///
/// `known` holds the conditions. Names are unique, so nothing needs to be renamed: what the
/// `If` gave is what the branch gives, by way of an `Identity`.
pub(super) fn take(graph: &mut GraphProto, known: &HashMap<String, bool>) -> usize {
    let mut taken = 0;
    let mut nodes = Vec::with_capacity(graph.node.len());
    for mut node in std::mem::take(&mut graph.node) {
        match branch(&mut node, known) {
            Some(branch) => {
                taken += 1;
                graph.initializer.extend(branch.initializer);
                graph.sparse_initializer.extend(branch.sparse_initializer);
                nodes.extend(branch.node);
                let pairs = branch.output.iter().zip(&node.output).filter(|(_, to)| !to.is_empty());
                nodes.extend(pairs.map(|(from, to)| identity(from.name(), to)));
            }
            None => nodes.push(node),
        }
    }
    graph.node = nodes;
    for inner in graph.node.iter_mut().flat_map(subgraphs_mut) {
        taken += take(inner, known);
    }
    taken
}

fn branch(node: &mut NodeProto, known: &HashMap<String, bool>) -> Option<GraphProto> {
    if node.op_type() != "If" || !is_default_domain(node.domain()) {
        return None;
    }
    let condition = *known.get(node.input.first()?)?;
    let name = if condition { "then_branch" } else { "else_branch" };
    let outputs = attribute(node, name)?.g.as_ref()?.output.len();
    if outputs != node.output.len() {
        return None;
    }
    node.attribute.iter_mut().find(|attribute| attribute.name() == name)?.g.take()
}

fn identity(from: &str, to: &str) -> NodeProto {
    node(format!("{to}_Identity"), "Identity", &[from], &[to])
}
