//! Replacements that rten makes of several nodes by one where the one does not compute the same.
//!
//! rten replaces nothing whose inner value somebody else takes. So the inner value of a replacement that does not fit
//! becomes an output of the graph, which nobody asks for. Where that does not help, rten gets the model without its optimizer.

use std::collections::HashMap;

use slipway_model::onnx::attribute::int_or;
use slipway_model::onnx::proto::{GraphProto, NodeProto, TensorProto, ValueInfoProto};
use slipway_model::onnx::{is_default_domain, subgraphs};

use super::values::{Values, elements};

/// What of a model's replacements does not fit.
pub(super) struct Misfits {
    /// Values of the main graph that keep a replacement from happening once they are outputs.
    pub(super) inner_values: Vec<String>,
    /// Whether there are some that nothing keeps from happening but leaving the optimizer out.
    pub(super) forbids_optimizer: bool,
}

/// The replacements that do not fit in a model's main graph and all graphs inside it.
pub(super) fn misfits(root: &GraphProto, values: &Values<'_>) -> Misfits {
    let main = Graph::of(root, values);
    let inside = root.node.iter().flat_map(subgraphs).any(|inner| has_misfits(inner, values));
    Misfits { inner_values: main.misfits(), forbids_optimizer: inside || main.loses_axes_somewhere() }
}

/// The outputs of an inner graph are counted by the node that holds it, so no value can be added there.
fn has_misfits(graph: &GraphProto, outer: &Values<'_>) -> bool {
    let values = Values::within(graph, outer);
    let this = Graph::of(graph, &values);
    !this.misfits().is_empty()
        || this.loses_axes_somewhere()
        || graph.node.iter().flat_map(subgraphs).any(|inner| has_misfits(inner, &values))
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
    fn misfits(&self) -> Vec<String> {
        let mut values = Vec::new();
        for node in self.nodes() {
            values.extend(self.bias_that_does_not_fit(node));
            values.extend(self.norm_that_does_not_fit(node));
            values.extend(self.repetition(node));
        }
        values.sort();
        values.dedup();
        values
    }

    fn nodes(&self) -> impl Iterator<Item = &'a NodeProto> {
        self.graph.node.iter().filter(|node| is_default_domain(node.domain()))
    }

    fn loses_axes_somewhere(&self) -> bool {
        self.nodes().any(|node| self.loses_axes(node))
    }

    fn made_by(&self, name: &str, operator: &str) -> Option<&'a NodeProto> {
        self.makers.get(name).copied().filter(|node| node.op_type() == operator)
    }

    /// What rten may take for a constant: it computes ahead whatever constants alone decide.
    fn fixed(&self, name: &str) -> Option<Fixed<'a>> {
        let fixed = || self.values.is_fixed(name).then_some(Fixed::Computed);
        self.values.constant(name).map(Fixed::Tensor).or_else(fixed)
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
        let axes = |name: &String| match self.fixed(name) {
            None => 0,
            Some(Fixed::Tensor(tensor)) if elements(tensor) == 1 => tensor.dims.len(),
            Some(Fixed::Tensor(_)) => 0,
            Some(Fixed::Computed) => self.values.rank(name).unwrap_or(usize::MAX),
        };
        let most = node.input.iter().map(axes).max().unwrap_or_default();
        let others = node.input.iter().filter(|name| self.fixed(name).is_none());
        let mut ranks = others.map(|name| self.values.rank(name)).peekable();
        most > 0 && ranks.peek().is_some() && ranks.flatten().max().is_none_or(|rank| rank < most)
    }

    /// The product before a bias that may have another length than the product is wide.
    fn bias_that_does_not_fit(&self, node: &'a NodeProto) -> Option<String> {
        if node.op_type() != "Add" {
            return None;
        }
        Self::operands(node).find_map(|(product, bias)| {
            let width = |weight: &TensorProto| weight.dims.last().copied().filter(|_| weight.dims.len() > 1);
            let fixed = self.fixed(bias)?;
            let product = self.made_by(product, "MatMul")?;
            let weight = product.input.get(1).and_then(|name| self.values.constant(name)).and_then(width);
            let fits = match fixed {
                Fixed::Tensor(bias) => bias.dims.len() != 1 || weight == bias.dims.first().copied(),
                Fixed::Computed => self.values.rank(bias).is_some_and(|rank| rank != 1),
            };
            (!fits).then(|| product.output.first().cloned())?
        })
    }

    /// The normalized value before a scale or a shift that is not a vector over the last axis, or whose means lost an axis.
    fn norm_that_does_not_fit(&self, node: &'a NodeProto) -> Option<String> {
        match node.op_type() {
            "Mul" => Self::operands(node).find_map(|(normalized, scale)| {
                let scale = self.fixed(scale)?;
                let divided = self.made_by(normalized, "Div").filter(|divided| self.divides_by_root(divided));
                let scaled = || self.made_by(normalized, "Mul").filter(|scaled| self.has_root(scaled));
                let inner = divided.or_else(scaled)?;
                (!scale.is_vector() || self.lost_an_axis(inner)).then(|| inner.output.first().cloned())?
            }),
            "Add" => Self::operands(node).find_map(|(scaled, shift)| {
                let shift = self.fixed(shift)?;
                let scaled = self.made_by(scaled, "Mul")?;
                let scale = Self::operands(scaled).find_map(|(normalized, scale)| {
                    self.made_by(normalized, "Div").filter(|divided| self.divides_by_root(divided))?;
                    self.fixed(scale)
                })?;
                (!shift.is_vector() || shift.dims() != scale.dims())
                    .then(|| scaled.output.first().cloned())?
            }),
            _ => None,
        }
    }

    /// The spread value of a chain that rten takes for a repetition of elements, wherever the new axis stands.
    fn repetition(&self, node: &'a NodeProto) -> Option<String> {
        let reshaped = node.input.first().filter(|_| node.op_type() == "Reshape")?;
        let spread = self.made_by(reshaped, "Expand")?;
        self.made_by(spread.input.first()?, "Unsqueeze")?;
        Some(reshaped.clone())
    }

    fn divides_by_root(&self, node: &NodeProto) -> bool {
        node.input.get(1).is_some_and(|divisor| self.made_by(divisor, "Sqrt").is_some())
    }

    fn has_root(&self, node: &NodeProto) -> bool {
        let root = |name: &String| self.made_by(name, "Sqrt").is_some();
        node.input.iter().any(|name| {
            self.made_by(name, "Reciprocal").and_then(|node| node.input.first()).is_some_and(root)
                || self.made_by(name, "Div").is_some_and(|node| self.divides_by_root(node))
        })
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

/// A value that rten may compute ahead.
#[derive(Clone, Copy)]
enum Fixed<'a> {
    /// A constant of the model.
    Tensor(&'a TensorProto),
    /// What is computed from constants.
    Computed,
}

impl<'a> Fixed<'a> {
    /// Whether it is known to be a vector of several elements.
    fn is_vector(self) -> bool {
        self.dims().is_some_and(|dims| dims.len() == 1 && dims[0] > 1)
    }

    fn dims(self) -> Option<&'a [i64]> {
        match self {
            Self::Tensor(tensor) => Some(&tensor.dims),
            Self::Computed => None,
        }
    }
}
