//! Which products of a graph can be smoothed.

use std::collections::HashMap;

use slipway_model::onnx::proto::{GraphProto, NodeProto, ValueInfoProto};
use slipway_model::onnx::{DataType, graphs, is_default_domain};

use crate::graph::{Scopes, Source, Unresolved, flag};
use crate::stage::Skipped;

/// The products that take one activation.
#[derive(Debug)]
pub(super) struct Product {
    pub(super) input: String,
    /// Channels of the activation.
    pub(super) depth: usize,
    /// Indices of its nodes.
    pub(super) nodes: Vec<usize>,
    pub(super) weights: Vec<Matrix>,
}

/// A constant matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Matrix {
    /// Index of the initializer.
    pub(super) tensor: usize,
    /// Whether a row holds a value for each channel, `[N, K]`.
    pub(super) turned: bool,
}

/// The products that can be smoothed, in the order of the graph, and those that cannot.
pub(super) fn products(graph: &GraphProto) -> (Vec<Product>, Vec<Skipped>) {
    let scopes = Scopes::of(graph);
    let (mut products, mut skipped) = (Vec::<Product>::new(), Vec::new());
    for (index, node) in graph.node.iter().enumerate() {
        match matrix(&scopes, graph, node) {
            Ok((matrix, depth)) => add(&mut products, index, &node.input[0], matrix, depth),
            Err(Unresolved::Because(reason)) => skipped.push(Skipped::of(node, reason)),
            Err(Unresolved::Computed) => {}
        }
    }
    let uses = uses(graph);
    products.retain(|product| {
        let shared = product.weights.iter().any(|weight| {
            let own = product.nodes.iter().map(|node| &graph.node[*node].input[1]);
            let name = graph.initializer[weight.tensor].name();
            uses.get(name) != Some(&own.filter(|input| *input == name).count())
        });
        if shared {
            let told = |node: &usize| Skipped::of(&graph.node[*node], "something else uses its weight too");
            skipped.extend(product.nodes.iter().map(told));
        }
        !shared
    });
    (products, skipped)
}

fn add(products: &mut Vec<Product>, node: usize, input: &str, weight: Matrix, depth: usize) {
    if !products.iter().any(|product| product.input == input) {
        products.push(Product { input: input.to_owned(), depth, nodes: Vec::new(), weights: Vec::new() });
    }
    let Some(product) = products.iter_mut().find(|product| product.input == input) else { return };
    product.nodes.push(node);
    if !product.weights.contains(&weight) {
        product.weights.push(weight);
    }
}

/// The matrix that a product has on its right, and the length of its sums.
fn matrix(scopes: &Scopes<'_>, graph: &GraphProto, node: &NodeProto) -> Result<(Matrix, usize), Unresolved> {
    let because = |reason: &str| Err(Unresolved::Because(reason.to_owned()));
    let multiplies = is_default_domain(node.domain()) && matches!(node.op_type(), "MatMul" | "Gemm");
    let [left, right, ..] = node.input.as_slice() else { return Err(Unresolved::Computed) };
    if !multiplies || right.is_empty() {
        return Err(Unresolved::Computed);
    }
    let operand = scopes.resolve(0, right)?;
    if !matches!(scopes.resolve(0, left), Err(Unresolved::Computed)) {
        return because("it multiplies constants");
    }
    let Source::Initializer(0, tensor) = operand.source else {
        return because("its weight is no initializer");
    };
    if !operand.path.is_empty() {
        return because("its weight is computed: simplify the model before");
    }
    if graph.input.iter().any(|input| input.name() == right) {
        return because("a caller may give its weight another value: simplify the model before");
    }
    if operand.data_type != DataType::FLOAT.code() {
        return because("it computes in floats of 16 bits");
    }
    let [rows, columns] = operand.dims.as_slice() else {
        return because("its weight is no matrix");
    };
    if node.op_type() == "Gemm" && flag(node, "transA") {
        return because("it takes its input transposed");
    }
    let turned = node.op_type() == "Gemm" && flag(node, "transB");
    let depth = usize::try_from(if turned { *columns } else { *rows }).unwrap_or_default();
    Ok((Matrix { tensor, turned }, depth))
}

/// How often each value is taken, at any depth, or given.
fn uses(graph: &GraphProto) -> HashMap<&str, usize> {
    let mut uses = HashMap::new();
    for graph in graphs(graph) {
        let taken = graph.node.iter().flat_map(|node| &node.input).map(String::as_str);
        taken
            .chain(graph.output.iter().map(ValueInfoProto::name))
            .for_each(|name| *uses.entry(name).or_default() += 1);
    }
    uses
}
