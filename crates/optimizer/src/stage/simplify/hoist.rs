//! Constants wherever they stand become initializers of the main graph.

use std::collections::HashSet;

use slipway_model::onnx::proto::{AttributeProto, GraphProto, NodeProto, TensorProto, ValueInfoProto};
use slipway_model::onnx::{is_default_domain, subgraphs_mut};

use super::tensor::Tensor;

/// Moves tensors of `Constant` nodes and of inner graphs to the main graph; how many there were.
///
/// What a graph gives as an output stays where it is, and so do strings.
pub(super) fn hoist(root: &mut GraphProto) -> usize {
    let mut found = Vec::new();
    nodes(root, &mut found);
    let count = found.len();
    root.initializer.extend(found);
    count
}

/// The constants of a graph's nodes, and of all inside it.
fn nodes(graph: &mut GraphProto, found: &mut Vec<TensorProto>) {
    let outputs: HashSet<String> = graph.output.iter().map(|output| output.name().to_owned()).collect();
    let is_given = |node: &NodeProto| node.output.iter().any(|output| outputs.contains(output));
    graph.node.retain(|node| match constant(node).filter(|_| !is_given(node)) {
        Some(tensor) => {
            found.push(tensor);
            false
        }
        None => true,
    });
    for inner in graph.node.iter_mut().flat_map(subgraphs_mut) {
        tensors(inner, found);
        nodes(inner, found);
    }
}

/// The initializers of an inner graph.
fn tensors(graph: &mut GraphProto, found: &mut Vec<TensorProto>) {
    let own = graph.output.iter().chain(&graph.input).map(ValueInfoProto::name).map(str::to_owned);
    let own: HashSet<String> = own.collect();
    let (stay, go) =
        std::mem::take(&mut graph.initializer).into_iter().partition(|tensor| own.contains(tensor.name()));
    graph.initializer = stay;
    found.extend::<Vec<_>>(go);
}

/// What a `Constant` node holds, under the name of its output; `None` for strings and sparse tensors.
fn constant(node: &NodeProto) -> Option<TensorProto> {
    let name = node.output.first().filter(|name| !name.is_empty())?;
    if node.op_type() != "Constant" || !is_default_domain(node.domain()) {
        return None;
    }
    let tensor = node.attribute.iter().find_map(value)?;
    Some(TensorProto { name: Some(name.clone()), ..tensor })
}

fn value(attribute: &AttributeProto) -> Option<TensorProto> {
    let tensor = match attribute.name() {
        "value" => return attribute.t.clone().filter(|tensor| tensor.string_data.is_empty()),
        "value_float" => Tensor::new(vec![], attribute.f),
        "value_floats" => Tensor::new(vec![attribute.floats.len()], attribute.floats.iter().copied()),
        "value_int" => Tensor::new(vec![], attribute.i),
        "value_ints" => Tensor::new(vec![attribute.ints.len()], attribute.ints.iter().copied()),
        _ => return None,
    };
    let single = attribute.name() == "value_float" || attribute.name() == "value_int";
    (!single || !tensor.bytes.is_empty()).then(|| super::tensor::Constant::from(tensor).initializer(""))
}
