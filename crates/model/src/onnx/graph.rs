//! Walks over graphs and the graphs inside them.

use super::proto::{GraphProto, ModelProto, NodeProto, TensorProto};

/// Whether an operator's domain is ONNX's own (`""` or `ai.onnx`).
pub fn is_default_domain(domain: &str) -> bool {
    domain.is_empty() || domain == "ai.onnx"
}

/// The domain of operators that ONNX Runtime had first.
pub const CONTRIB: &str = "com.microsoft";

/// Whether a node is a `Gelu` from before ONNX had one, by its own name, that of an approximation, or with a bias.
pub fn is_contrib_gelu(node: &NodeProto) -> bool {
    node.domain() == CONTRIB && matches!(node.op_type(), "Gelu" | "FastGelu" | "QuickGelu" | "BiasGelu")
}

/// Whether a node is an operator of [`CONTRIB`] whose first output has the type and the rank of its first input.
pub fn is_contrib_float(node: &NodeProto) -> bool {
    let others = ["MatMulNBits", "SkipLayerNormalization", "SkipSimplifiedLayerNormalization"];
    is_contrib_gelu(node) || (node.domain() == CONTRIB && others.contains(&node.op_type()))
}

/// Whether a convolution with a kernel of these dimensions in space is a mere multiplication of matrices: a kernel of
/// one point, no padding, every point of the input, all channels in one group.
pub fn is_pointwise(node: &NodeProto, kernel: &[i64]) -> bool {
    let find = |name: &str| node.attribute.iter().find(|attribute| attribute.name() == name);
    let all = |name, value: i64| find(name).is_none_or(|found| found.ints.iter().all(|int| *int == value));
    kernel.iter().all(|size| *size == 1)
        && find("group").is_none_or(|group| group.i() == 1)
        && all("strides", 1)
        && all("dilations", 1)
        && all("pads", 0)
}

/// The graphs directly inside a node's attributes (the bodies of If, Loop, Scan).
pub fn subgraphs(node: &NodeProto) -> impl Iterator<Item = &GraphProto> {
    node.attribute.iter().flat_map(|attribute| attribute.g.iter().chain(&attribute.graphs))
}

/// As [`subgraphs`], to be changed.
pub fn subgraphs_mut(node: &mut NodeProto) -> impl Iterator<Item = &mut GraphProto> {
    node.attribute.iter_mut().flat_map(|attribute| attribute.g.iter_mut().chain(&mut attribute.graphs))
}

/// `root` and every graph inside it, outermost first.
pub fn graphs(root: &GraphProto) -> Vec<&GraphProto> {
    let mut found = vec![root];
    let mut next = 0;
    while let Some(graph) = found.get(next).copied() {
        found.extend(graph.node.iter().flat_map(subgraphs));
        next += 1;
    }
    found
}

/// Every graph of a model: its own, and those inside it and inside its functions.
pub(super) fn all_graphs(model: &ModelProto) -> impl Iterator<Item = &GraphProto> {
    let functions = model.functions.iter().flat_map(|function| &function.node);
    model.graph.iter().chain(functions.flat_map(subgraphs)).flat_map(graphs)
}

/// The tensors that a graph starts with, and the parts of those that are sparse.
pub(super) fn graph_tensors(graph: &GraphProto) -> impl Iterator<Item = &TensorProto> {
    let sparse = graph.sparse_initializer.iter();
    graph.initializer.iter().chain(sparse.flat_map(|tensor| tensor.values.iter().chain(&tensor.indices)))
}

/// Every node of a model: of its graphs and its functions.
pub(super) fn nodes(model: &ModelProto) -> Vec<&NodeProto> {
    let functions = model.functions.iter().flat_map(|function| &function.node);
    all_graphs(model).flat_map(|graph| &graph.node).chain(functions).collect()
}

/// The tensors in a node's attributes, with the name to call each by.
pub fn attribute_tensors(node: &NodeProto) -> impl Iterator<Item = (String, &TensorProto)> {
    node.attribute.iter().flat_map(move |attribute| {
        let sparse = attribute.sparse_tensor.iter().chain(&attribute.sparse_tensors);
        let parts = sparse.flat_map(|tensor| tensor.values.iter().chain(&tensor.indices));
        let label = tensor_label(node, attribute.name());
        attribute.t.iter().chain(&attribute.tensors).chain(parts).map(move |tensor| (label.clone(), tensor))
    })
}

fn tensor_label(node: &NodeProto, attribute: &str) -> String {
    match node.output.first() {
        Some(output) if node.op_type() == "Constant" => output.clone(),
        Some(output) => format!("{output}.{attribute}"),
        None => format!("{}.{attribute}", node.name()),
    }
}
