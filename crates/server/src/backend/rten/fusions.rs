//! Replacements that rten makes of several nodes by one where the one does not compute the same.
//!
//! rten replaces nothing whose inner value somebody else takes. So the inner value of a replacement that does not fit
//! becomes an output of the graph, which nobody asks for. Where a single node is replaced, the model is refused.

use std::collections::HashMap;

use slipway_model::onnx::attribute::int_or;
use slipway_model::onnx::proto::{GraphProto, NodeProto, TensorProto, ValueInfoProto};
use slipway_model::onnx::{is_default_domain, subgraphs};

use super::form::operator;
use super::values::{Values, elements};

/// What of a model's replacements does not fit.
#[derive(Default)]
pub(super) struct Misfits {
    /// Values of the main graph that keep a replacement from happening once they are outputs.
    pub(super) inner_values: Vec<String>,
    /// Nodes that cannot be helped, in words.
    pub(super) refusals: Vec<String>,
}

/// The replacements that do not fit in a model's main graph and all graphs inside it.
pub(super) fn misfits(root: &GraphProto, values: &Values<'_>) -> Misfits {
    let mut found = Misfits::default();
    found.inner_values = Graph::of(root, values).misfits(&mut found.refusals);
    for inner in root.node.iter().flat_map(subgraphs) {
        inside(inner, values, &mut found.refusals);
    }
    found
}

/// The outputs of an inner graph are counted by the node that holds it, so there a misfit is refused.
fn inside(graph: &GraphProto, outer: &Values<'_>, refusals: &mut Vec<String>) {
    let values = Values::within(graph, outer);
    let misfits = Graph::of(graph, &values).misfits(refusals);
    refusals.extend(
        misfits.into_iter().map(|value| format!("the chain of nodes behind {value:?} inside another node")),
    );
    for inner in graph.node.iter().flat_map(subgraphs) {
        inside(inner, &values, refusals);
    }
}

/// Makes values outputs of a graph.
pub(super) fn expose(graph: &mut GraphProto, inner_values: Vec<String>) {
    let is_output = |name: &String| graph.output.iter().any(|output| output.name() == name);
    let new: Vec<_> = inner_values.into_iter().filter(|name| !is_output(name)).collect();
    let output = |name| ValueInfoProto { name: Some(name), ..ValueInfoProto::default() };
    graph.output.extend(new.into_iter().map(output));
}

/// A graph with who makes each of its values.
struct Graph<'a> {
    graph: &'a GraphProto,
    values: &'a Values<'a>,
    makers: HashMap<&'a str, &'a NodeProto>,
}

impl<'a> Graph<'a> {
    fn of(graph: &'a GraphProto, values: &'a Values<'a>) -> Self {
        let own = graph.node.iter().filter(|node| is_default_domain(node.domain()));
        let makers =
            own.flat_map(|node| node.output.iter().map(move |output| (output.as_str(), node))).collect();
        Self { graph, values, makers }
    }

    /// The values that keep a replacement from happening when they are taken.
    fn misfits(&self, refusals: &mut Vec<String>) -> Vec<String> {
        let mut values = Vec::new();
        for node in self.graph.node.iter().filter(|node| is_default_domain(node.domain())) {
            refusals.extend(self.loses_axes(node).then(|| {
                format!(
                    "{} with a constant of one element and more axes than the other input may have",
                    operator(node)
                )
            }));
            values.extend(self.bias_that_does_not_fit(node));
            values.extend(self.norm_that_does_not_fit(node));
        }
        values.sort();
        values.dedup();
        values
    }

    fn made_by(&self, name: &str, operator: &str) -> Option<&'a NodeProto> {
        self.makers.get(name).copied().filter(|node| node.op_type() == operator)
    }

    fn constant(&self, name: &str) -> Option<&'a TensorProto> {
        self.values.constant(name)
    }

    /// The two operands of a node, each beside the other.
    fn operands(node: &'a NodeProto) -> impl Iterator<Item = (&'a str, &'a str)> {
        match node.input.as_slice() {
            [left, right] => vec![(left.as_str(), right.as_str()), (right.as_str(), left.as_str())],
            _ => Vec::new(),
        }
        .into_iter()
    }

    /// Whether the node's result may have the axes of a constant of one element, which rten takes for a scalar.
    fn loses_axes(&self, node: &NodeProto) -> bool {
        if !matches!(node.op_type(), "Add" | "Sub" | "Mul" | "Div" | "Pow" | "Where") {
            return false;
        }
        let axes = |name: &String| {
            let single = self.constant(name).filter(|tensor| elements(tensor) == 1);
            single.map_or(0, |tensor| tensor.dims.len())
        };
        let most = node.input.iter().map(axes).max().unwrap_or_default();
        let other = |name: &&String| self.constant(name).is_none_or(|tensor| elements(tensor) != 1);
        let others = node.input.iter().filter(other).map(|name| self.values.rank(name));
        most > 0 && others.flatten().max().is_none_or(|rank| rank < most)
    }

    /// The product before a bias of another length than the product is wide.
    fn bias_that_does_not_fit(&self, node: &'a NodeProto) -> Option<String> {
        if node.op_type() != "Add" {
            return None;
        }
        Self::operands(node).find_map(|(product, bias)| {
            let bias = self.constant(bias).filter(|tensor| tensor.dims.len() == 1)?;
            let product = self.made_by(product, "MatMul")?;
            let weight = product.input.get(1).and_then(|name| self.constant(name));
            let width = weight.filter(|tensor| tensor.dims.len() > 1).and_then(|tensor| tensor.dims.last());
            (width != bias.dims.first()).then(|| product.output.first().cloned())?
        })
    }

    /// The normalized value before a scale or a shift that is not a vector over the last axis, or whose means lost an axis.
    fn norm_that_does_not_fit(&self, node: &'a NodeProto) -> Option<String> {
        match node.op_type() {
            "Mul" => Self::operands(node).find_map(|(normalized, scale)| {
                let scale = self.constant(scale)?;
                let divided = self.made_by(normalized, "Div").filter(|divided| self.divides_by_root(divided));
                let scaled = || self.made_by(normalized, "Mul").filter(|scaled| self.has_root(scaled));
                let inner = divided.or_else(scaled)?;
                (!is_vector(scale) || self.lost_an_axis(inner)).then(|| inner.output.first().cloned())?
            }),
            "Add" => Self::operands(node).find_map(|(scaled, shift)| {
                let shift = self.constant(shift)?;
                let scaled = self.made_by(scaled, "Mul")?;
                let scale = Self::operands(scaled).find_map(|(normalized, scale)| {
                    self.made_by(normalized, "Div").filter(|divided| self.divides_by_root(divided))?;
                    self.constant(scale)
                })?;
                (!is_vector(shift) || shift.dims != scale.dims).then(|| scaled.output.first().cloned())?
            }),
            _ => None,
        }
    }

    fn divides_by_root(&self, node: &NodeProto) -> bool {
        node.input.get(1).is_some_and(|divisor| self.made_by(divisor, "Sqrt").is_some())
    }

    fn has_root(&self, node: &NodeProto) -> bool {
        let reciprocal = node.input.iter().find_map(|name| self.made_by(name, "Reciprocal"));
        reciprocal
            .and_then(|node| node.input.first())
            .is_some_and(|root| self.made_by(root, "Sqrt").is_some())
    }

    /// Whether a mean that goes into a normalized value was taken without keeping its axis, or over several of them.
    fn lost_an_axis(&self, node: &NodeProto) -> bool {
        let mut left = 8;
        let mut names: Vec<&str> = node.input.iter().map(String::as_str).collect();
        while let Some(name) = names.pop().filter(|_| left > 0) {
            left -= 1;
            let Some(maker) = self.makers.get(name) else { continue };
            if maker.op_type() == "ReduceMean" {
                if int_or(maker, "keepdims", 1) == 0 {
                    return true;
                }
                continue;
            }
            if matches!(maker.op_type(), "Sqrt" | "Add" | "Sub" | "Reciprocal" | "Div") {
                names.extend(maker.input.iter().map(String::as_str));
            }
        }
        false
    }
}

fn is_vector(tensor: &TensorProto) -> bool {
    tensor.dims.len() == 1 && elements(tensor) > 1
}
