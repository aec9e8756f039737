//! Finding the constant tensor behind an operand.

use std::collections::HashMap;

use slipway_model::onnx::proto::{AttributeProto, GraphProto, NodeProto, TensorProto};
use slipway_model::onnx::{OperatorId, is_default_domain};

/// Nodes a walk passes at most: a graph with a cycle is no model, but may be a file.
const STEPS: usize = 16;

/// Where a constant tensor stands in a graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Source {
    /// Index of an initializer.
    Initializer(usize),
    /// Index of a `Constant` node.
    Constant(usize),
}

/// A constant behind any number of `Identity` and two-dimensional `Transpose` nodes.
#[derive(Debug)]
pub(super) struct Operand {
    pub(super) source: Source,
    pub(super) transposed: bool,
    /// The nodes between the tensor and its user, the `Constant` included.
    pub(super) path: Vec<usize>,
}

/// Initializers and producing nodes by the name of the value.
pub(super) struct Index<'a> {
    graph: &'a GraphProto,
    initializers: HashMap<&'a str, usize>,
    producers: HashMap<&'a str, usize>,
}

impl<'a> Index<'a> {
    pub(super) fn of(graph: &'a GraphProto) -> Self {
        let initializers = graph.initializer.iter().enumerate().map(|(index, tensor)| (tensor.name(), index));
        let outputs = |(index, node): (usize, &'a NodeProto)| {
            node.output.iter().map(move |output| (output.as_str(), index))
        };
        Self {
            graph,
            initializers: initializers.collect(),
            producers: graph.node.iter().enumerate().flat_map(outputs).collect(),
        }
    }

    /// The constant behind `name`, or why there is none.
    pub(super) fn resolve(&self, name: &str) -> Result<Operand, String> {
        let mut name = name;
        let mut operand = Operand { source: Source::Initializer(0), transposed: false, path: Vec::new() };
        for _ in 0..STEPS {
            if let Some(index) = self.initializers.get(name) {
                operand.source = Source::Initializer(*index);
                return Ok(operand);
            }
            let index = *self.producers.get(name).ok_or_else(computed)?;
            let node = &self.graph.node[index];
            operand.path.push(index);
            if node.op_type() == "Constant" {
                operand.source = Source::Constant(index);
                return constant_value(node)
                    .map(|_| operand)
                    .ok_or_else(|| "the constant is no tensor".to_owned());
            }
            operand.transposed ^= passes(node)?;
            name = node.input.first().ok_or_else(computed)?;
        }
        Err(computed())
    }

    /// The tensor itself.
    pub(super) fn tensor(&self, source: Source) -> Option<&'a TensorProto> {
        match source {
            Source::Initializer(index) => self.graph.initializer.get(index),
            Source::Constant(index) => self.graph.node.get(index).and_then(constant_value),
        }
    }
}

fn computed() -> String {
    "the right operand is computed at run time".to_owned()
}

/// Whether a node swaps the axes of what passes through it; an error when it does anything else.
fn passes(node: &NodeProto) -> Result<bool, String> {
    let own = is_default_domain(node.domain());
    match node.op_type() {
        "Identity" if own => Ok(false),
        "Transpose" if own => match attribute(node, "perm").map(|perm| perm.ints.as_slice()) {
            None | Some([1, 0]) => Ok(true),
            Some([0, 1]) => Ok(false),
            Some(perm) => Err(format!("the weight is transposed by {perm:?}")),
        },
        "DequantizeLinear" => Err("the weight is quantized already".to_owned()),
        _ => Err(format!("the right operand is computed by {}", OperatorId::of(node))),
    }
}

fn constant_value(node: &NodeProto) -> Option<&TensorProto> {
    attribute(node, "value")?.t.as_ref()
}

/// The attribute of a node by name.
pub(super) fn attribute<'a>(node: &'a NodeProto, name: &str) -> Option<&'a AttributeProto> {
    node.attribute.iter().find(|attribute| attribute.name() == name)
}
