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
        let added = matrix(&scopes, graph, node)
            .and_then(|(matrix, depth)| add(&mut products, index, &node.input[0], matrix, depth));
        if let Err(Unresolved::Because(reason)) = added {
            skipped.push(Skipped::of(node, reason));
        }
    }
    let uses = uses(graph);
    products.retain(|product| {
        let reason = shared(product, graph, &uses);
        let told = |reason| product.nodes.iter().map(move |node| Skipped::of(&graph.node[*node], reason));
        skipped.extend(reason.into_iter().flat_map(told));
        reason.is_none()
    });
    (products, skipped)
}

/// Adds a node to those that take the same activation.
fn add(
    products: &mut Vec<Product>,
    node: usize,
    input: &str,
    weight: Matrix,
    depth: usize,
) -> Result<(), Unresolved> {
    let found = products.iter().position(|product| product.input == input);
    let place = found.unwrap_or_else(|| {
        products.push(Product { input: input.to_owned(), depth, nodes: Vec::new(), weights: Vec::new() });
        products.len() - 1
    });
    let product = &mut products[place];
    if product.depth != depth {
        let reason =
            format!("it takes {depth} channels of {input:?}, and a product before it {}", product.depth);
        return Err(Unresolved::Because(reason));
    }
    product.nodes.push(node);
    if !product.weights.contains(&weight) {
        product.weights.push(weight);
    }
    Ok(())
}

/// Why a weight of a product cannot take its factors: it is not the product's alone, or would need others as well.
fn shared(product: &Product, graph: &GraphProto, uses: &HashMap<&str, usize>) -> Option<&'static str> {
    let is_used_elsewhere = |weight: &Matrix| {
        let own = product.nodes.iter().map(|node| &graph.node[*node].input[1]);
        let name = graph.initializer[weight.tensor].name();
        uses.get(name) != Some(&own.filter(|input| *input == name).count())
    };
    let is_taken_both_ways =
        |weight: &Matrix| product.weights.contains(&Matrix { turned: !weight.turned, ..*weight });
    if product.weights.iter().any(is_used_elsewhere) {
        Some("something else uses its weight too")
    } else if product.weights.iter().any(is_taken_both_ways) {
        Some("its weight is taken both as it is and transposed")
    } else {
        None
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
        return because("its weight is no initializer: simplify the model before");
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
