//! The plan of a static quantization, which needs no calibration: it says what has to be calibrated.

use std::collections::{BTreeMap, HashMap};

use slipway_model::onnx::proto::{GraphProto, NodeProto};

use super::Role;
use super::flow::{Flow, activations};
use super::graph::Values;

/// What of a graph computes in integers.
#[derive(Debug, Default)]
pub(in super::super) struct Plan {
    /// The places at which a node takes integers, of nodes that do or whose result is integers.
    pub(in super::super) nodes: BTreeMap<usize, Vec<usize>>,
    /// The activations that are integers.
    pub(in super::super) tensors: HashMap<String, Tensor>,
}

/// An activation that is integers somewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Tensor {
    /// The activation whose scale it has: itself, or what it was before elements were moved.
    pub(in super::super) root: String,
    /// Whether its operator computes it as integers, so that nobody sees the floats before.
    pub(in super::super) is_whole: bool,
}

/// What the plan asks about a graph.
pub(in super::super) struct Questions<'q> {
    /// Where a node that multiplies takes activations; nothing where it has to compute in floats.
    pub(in super::super) multiplies: &'q dyn Fn(usize, &NodeProto) -> Vec<usize>,
    /// Whether a value depends on the inputs.
    pub(in super::super) is_activation: &'q dyn Fn(&str) -> bool,
    /// Whether the range of an activation is known.
    pub(in super::super) is_calibrated: &'q dyn Fn(&str) -> bool,
    /// Whether a rule keeps a node as it is.
    pub(in super::super) is_kept: &'q dyn Fn(&NodeProto) -> bool,
}

impl Plan {
    pub(in super::super) fn of(graph: &GraphProto, questions: &Questions<'_>) -> Self {
        let values = Values::of(graph);
        let roots = roots(&values, questions);
        let root = |name: &str| roots.get(name).copied().unwrap_or(name).to_owned();
        let usable = |name: &str| {
            values.types.is_float(name)
                && (questions.is_activation)(name)
                && (questions.is_calibrated)(&root(name))
        };
        let multiply = values.each().map(|(index, node, role)| {
            let places =
                if role == Role::Multiplies { (questions.multiplies)(index, node) } else { Vec::new() };
            let gives = node.op_type() != "Conv" || usable(values.result(node));
            let fits = gives && places.iter().all(|place| usable(&node.input[*place]));
            if fits { places } else { Vec::new() }
        });
        let multiply: Vec<_> = multiply.collect();
        let allowed = values.each().map(|(_, node, role)| match role {
            Role::Keeps => node.input.first().is_some_and(|input| usable(input)),
            Role::Joins => {
                !(questions.is_kept)(node)
                    && activations(node, role).all(usable)
                    && usable(values.result(node))
            }
            Role::Multiplies | Role::Cuts | Role::Floats => false,
        });
        let allowed: Vec<_> = allowed.collect();
        let flow = Flow::of(&values, &multiply, &allowed);
        Self { nodes: nodes(&values, &flow), tensors: tensors(&values, &flow, &multiply, root) }
    }

    /// The activations whose ranges have to be known, in the order of the graph.
    pub(in super::super) fn to_calibrate(&self, graph: &GraphProto) -> Vec<String> {
        let roots: std::collections::HashSet<&str> =
            self.tensors.values().map(|tensor| tensor.root.as_str()).collect();
        let inputs = graph.input.iter().map(slipway_model::onnx::proto::ValueInfoProto::name);
        let computed = graph.node.iter().flat_map(|node| &node.output).map(String::as_str);
        inputs.chain(computed).filter(|name| roots.contains(name)).map(str::to_owned).collect()
    }
}

/// What each moved value was before it was moved.
fn roots<'a>(values: &Values<'a>, questions: &Questions<'_>) -> HashMap<&'a str, &'a str> {
    let mut roots: HashMap<&str, &str> = HashMap::new();
    for (_, node, role) in values.each() {
        let Some(input) = node.input.first().filter(|_| role == Role::Keeps) else { continue };
        if (questions.is_activation)(input) {
            let root = roots.get(input.as_str()).copied().unwrap_or(input);
            roots.extend(node.output.iter().map(|output| (output.as_str(), root)));
        }
    }
    roots
}

/// Every node that takes integers, and those that cut what becomes integers.
fn nodes(values: &Values<'_>, flow: &Flow<'_, '_>) -> BTreeMap<usize, Vec<usize>> {
    let mut nodes = BTreeMap::new();
    for (index, node, _) in values.each() {
        let places: Vec<_> = (0..node.input.len()).filter(|place| flow.takes(index, *place)).collect();
        if places.is_empty() {
            continue;
        }
        nodes.insert(index, places);
        if let Some(cut) = values.cut(node).filter(|_| flow.integers.contains(values.result(node))) {
            nodes.insert(cut, Vec::new());
        }
    }
    nodes
}

fn tensors(
    values: &Values<'_>,
    flow: &Flow<'_, '_>,
    multiply: &[Vec<usize>],
    root: impl Fn(&str) -> String,
) -> HashMap<String, Tensor> {
    let mut whole = std::collections::HashSet::new();
    for (index, node, role) in values.each() {
        if role == Role::Keeps && flow.between.contains(&index) {
            whole.extend(node.output.iter().map(String::as_str));
        } else if flow.between.contains(&index) || !multiply[index].is_empty() {
            whole.insert(values.result(node));
        }
    }
    let tensor = |name: &&str| {
        let is_whole = whole.contains(name);
        ((*name).to_owned(), Tensor { root: root(name), is_whole })
    };
    flow.integers.iter().map(tensor).collect()
}
