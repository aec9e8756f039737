//! Which constant stands behind a name, in a graph and the graphs inside it.

use std::collections::{HashMap, HashSet};

use slipway_model::onnx::proto::{GraphProto, NodeProto, TensorProto, ValueInfoProto, type_proto};
use slipway_model::onnx::{DataType, OperatorId, is_default_domain, subgraphs, subgraphs_mut};

use super::tensor::integers_of;
use super::{attribute, int_or, ints_of};

/// Nodes a walk passes at most: a graph with a cycle is no model, but may be a file.
const STEPS: usize = 16;

/// Nodes that are looked at to tell whether a value is a constant.
const FUEL: usize = 256;

/// The number of a graph: the main one is 0, each other follows the graph that holds it.
pub(crate) type GraphId = usize;

/// Where a constant tensor stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Source {
    /// Index of an initializer.
    Initializer(GraphId, usize),
    /// Index of a `Constant` node.
    Constant(GraphId, usize),
}

/// A constant behind any number of nodes that move its elements and change none.
#[derive(Debug, Clone)]
pub(crate) struct Operand {
    pub(crate) source: Source,
    /// Whether the last two axes are swapped on the way.
    pub(crate) transposed: bool,
    /// Its dimensions for its user, before any transposition.
    pub(crate) dims: Vec<i64>,
    /// The code of the element type that its user sees.
    pub(crate) data_type: i32,
    /// The nodes between the tensor and its user, the `Constant` included.
    pub(crate) path: Vec<(GraphId, usize)>,
}

/// Why no constant is found behind a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unresolved {
    /// The value depends on an input of the model, or nobody gives it.
    Computed,
    /// It is a constant, but not one that can be taken as it is.
    Because(String),
}

/// One graph, with its initializers, producing nodes and inputs by name.
struct Scope<'a> {
    graph: &'a GraphProto,
    parent: Option<GraphId>,
    initializers: HashMap<&'a str, usize>,
    producers: HashMap<&'a str, usize>,
    inputs: HashSet<&'a str>,
}

/// All graphs of a model.
pub(crate) struct Scopes<'a>(Vec<Scope<'a>>);

impl<'a> Scopes<'a> {
    pub(crate) fn of(root: &'a GraphProto) -> Self {
        let mut scopes = Self(Vec::new());
        scopes.add(root, None);
        scopes
    }

    fn add(&mut self, graph: &'a GraphProto, parent: Option<GraphId>) {
        let id = self.0.len();
        self.0.push(Scope::of(graph, parent));
        for inner in graph.node.iter().flat_map(subgraphs) {
            self.add(inner, Some(id));
        }
    }

    /// Every graph with its number, outer ones first.
    pub(crate) fn graphs(&self) -> impl Iterator<Item = (GraphId, &'a GraphProto)> {
        self.0.iter().map(|scope| scope.graph).enumerate()
    }

    /// The constant behind a name as it is seen from one graph, or why there is none.
    pub(crate) fn resolve(&self, graph: GraphId, name: &str) -> Result<Operand, Unresolved> {
        self.walk(graph, name).map_err(|stop| match stop {
            Some((graph, name, reason)) if self.is_constant(graph, name, &mut { FUEL }) => {
                Unresolved::Because(reason)
            }
            _ => Unresolved::Computed,
        })
    }

    /// As [`resolve`](Self::resolve), for who does not need the reason, which costs more than the walk.
    pub(crate) fn behind(&self, graph: GraphId, name: &str) -> Option<Operand> {
        self.walk(graph, name).ok()
    }

    /// Walks from a name to a constant; otherwise, the value at which it stopped and why, if it may be a constant.
    fn walk<'n>(
        &'n self,
        graph: GraphId,
        name: &'n str,
    ) -> Result<Operand, Option<(GraphId, &'n str, String)>> {
        let (mut id, mut name) = (graph, name);
        let mut walk = Walk::default();
        for _ in 0..STEPS {
            id = self.owner(id, name).ok_or(None)?;
            let stop = |reason| Some((id, name, reason));
            let scope = &self.0[id];
            if let Some(index) = scope.initializers.get(name) {
                return walk
                    .end(Source::Initializer(id, *index), &scope.graph.initializer[*index])
                    .map_err(stop);
            }
            let index = *scope.producers.get(name).ok_or(None)?;
            let node = &scope.graph.node[index];
            walk.path.push((id, index));
            if let Some(tensor) = constant_value(node) {
                return walk.end(Source::Constant(id, index), tensor).map_err(stop);
            }
            walk.pass(node, |name| self.shape(id, name)).map_err(stop)?;
            name = node.input.first().ok_or(None)?;
        }
        Err(None)
    }

    /// Whether a value depends on constants alone; no, when there is no fuel left to tell.
    fn is_constant(&self, graph: GraphId, name: &str, fuel: &mut usize) -> bool {
        let Some(id) = self.owner(graph, name) else { return false };
        let scope = &self.0[id];
        if scope.initializers.contains_key(name) {
            return true;
        }
        let node = &scope.graph.node[scope.producers[name]];
        *fuel = fuel.saturating_sub(1);
        let sources = node.op_type() == "Constant" || !node.input.is_empty();
        *fuel > 0
            && sources
            && subgraphs(node).next().is_none()
            && node
                .input
                .iter()
                .filter(|input| !input.is_empty())
                .all(|input| self.is_constant(id, input, fuel))
    }

    /// The integers of a constant: the target of a `Reshape`.
    fn shape(&self, graph: GraphId, name: &str) -> Option<Vec<i64>> {
        let scope = &self.0[self.owner(graph, name)?];
        let initializer = scope.initializers.get(name).map(|index| &scope.graph.initializer[*index]);
        let constant = || constant_value(&scope.graph.node[*scope.producers.get(name)?]);
        integers_of(initializer.or_else(constant)?)
    }

    /// How many dimensions an input of the main graph has, where the model says so.
    pub(crate) fn declared_rank(&self, name: &str) -> Option<usize> {
        let input = self.0[0].graph.input.iter().find(|input| input.name() == name)?;
        let Some(type_proto::Value::TensorType(tensor)) = &input.r#type.as_ref()?.value else { return None };
        Some(tensor.shape.as_ref()?.dim.len())
    }

    /// The innermost graph, going outwards, that gives the name a value.
    fn owner(&self, graph: GraphId, name: &str) -> Option<GraphId> {
        let mut next = Some(graph);
        while let Some(id) = next {
            let scope = &self.0[id];
            if scope.initializers.contains_key(name) || scope.producers.contains_key(name) {
                return Some(id);
            }
            if scope.inputs.contains(name) {
                return None;
            }
            next = scope.parent;
        }
        None
    }

    /// The tensor itself.
    pub(crate) fn tensor(&self, source: Source) -> &'a TensorProto {
        match source {
            Source::Initializer(graph, index) => &self.0[graph].graph.initializer[index],
            Source::Constant(graph, index) => constant_value(&self.0[graph].graph.node[index])
                .expect("a source is a constant that was found"),
        }
    }

    /// The constant of exactly this name, as it is seen from one graph.
    pub(crate) fn source(&self, graph: GraphId, name: &str) -> Option<Source> {
        let id = self.owner(graph, name)?;
        let scope = &self.0[id];
        let initializer = scope.initializers.get(name).map(|index| Source::Initializer(id, *index));
        let constant = || {
            let index = *scope.producers.get(name)?;
            constant_value(&scope.graph.node[index]).map(|_| Source::Constant(id, index))
        };
        initializer.or_else(constant)
    }

    /// Every constant.
    pub(crate) fn sources(&self) -> impl Iterator<Item = Source> {
        self.0.iter().enumerate().flat_map(|(id, scope)| {
            let initializers =
                (0..scope.graph.initializer.len()).map(move |index| Source::Initializer(id, index));
            let is_constant = |(_, node): &(usize, &NodeProto)| constant_value(node).is_some();
            let constants = scope.graph.node.iter().enumerate().filter(is_constant);
            initializers.chain(constants.map(move |(index, _)| Source::Constant(id, index)))
        })
    }

    /// The name under which the tensor stands in its graph.
    pub(crate) fn name(&self, source: Source) -> &'a str {
        match source {
            Source::Initializer(graph, index) => self.0[graph].graph.initializer[index].name(),
            Source::Constant(graph, index) => {
                self.0[graph].graph.node[index].output.first().map_or("", String::as_str)
            }
        }
    }

    /// The outputs of a node.
    pub(crate) fn outputs(&self, (graph, index): (GraphId, usize)) -> &'a [String] {
        &self.0[graph].graph.node[index].output
    }
}

impl<'a> Scope<'a> {
    fn of(graph: &'a GraphProto, parent: Option<GraphId>) -> Self {
        let initializers = graph.initializer.iter().enumerate().map(|(index, tensor)| (tensor.name(), index));
        let outputs = |(index, node): (usize, &'a NodeProto)| {
            node.output.iter().filter(|output| !output.is_empty()).map(move |output| (output.as_str(), index))
        };
        Self {
            graph,
            parent,
            initializers: initializers.collect(),
            producers: graph.node.iter().enumerate().flat_map(outputs).collect(),
            inputs: graph.input.iter().map(ValueInfoProto::name).collect(),
        }
    }
}

/// What a walk from a user to a constant has passed.
#[derive(Default)]
struct Walk {
    transposed: bool,
    /// The targets of each `Reshape`, the nearest to the user first.
    reshaped: Vec<Vec<i64>>,
    cast: Option<i32>,
    path: Vec<(GraphId, usize)>,
}

impl Walk {
    /// Passes one node that moves elements; an error when it does anything else.
    fn pass(&mut self, node: &NodeProto, shape: impl Fn(&str) -> Option<Vec<i64>>) -> Result<(), String> {
        if !is_default_domain(node.domain()) {
            return Err(format!("the weight is computed by {}", OperatorId::of(node)));
        }
        match node.op_type() {
            "Identity" => Ok(()),
            "Transpose" => self.transpose(ints_of(node, "perm")),
            "Reshape" => {
                let target = node.input.get(1).and_then(|name| shape(name));
                let target = target.ok_or("the weight is reshaped at run time")?;
                self.reshaped.push(target);
                Ok(())
            }
            "Cast" => {
                let to = i32::try_from(int_or(node, "to", 0)).unwrap_or_default();
                self.cast.get_or_insert(to);
                let other =
                    || Err("the weight is cast to another type than floats of 16 or 32 bits".to_owned());
                if is_float(to) { Ok(()) } else { other() }
            }
            "DequantizeLinear" => Err("the weight is quantized already".to_owned()),
            _ => Err(format!("the weight is computed by {}", OperatorId::of(node))),
        }
    }

    fn transpose(&mut self, perm: Option<&[i64]>) -> Result<(), String> {
        match perm {
            Some(perm) if perm.iter().copied().zip(0_i64..).all(|(axis, place)| axis == place) => Ok(()),
            None | Some([1, 0]) if self.reshaped.is_empty() => {
                self.transposed = !self.transposed;
                Ok(())
            }
            _ => Err(format!("the weight is transposed by {:?}", perm.unwrap_or_default())),
        }
    }

    fn end(self, source: Source, tensor: &TensorProto) -> Result<Operand, String> {
        let Self { transposed, reshaped, cast, path } = self;
        let mut from_the_tensor = reshaped.iter().rev();
        let dims = from_the_tensor.try_fold(tensor.dims.clone(), |dims, target| reshape(&dims, target));
        let dims = dims.ok_or("the weight is reshaped wrongly")?;
        if transposed && dims.len() != 2 {
            return Err("the weight is transposed, and no matrix".to_owned());
        }
        Ok(Operand { source, transposed, dims, data_type: cast.unwrap_or(tensor.data_type()), path })
    }
}

/// What a `Reshape` makes of dimensions: 0 keeps one, -1 takes the rest (ONNX, opset 5).
fn reshape(dims: &[i64], target: &[i64]) -> Option<Vec<i64>> {
    let elements: i64 = dims.iter().product();
    let kept = target.iter().enumerate().map(|(axis, size)| match size {
        0 => dims.get(axis).copied(),
        size => Some(*size),
    });
    let mut out = kept.collect::<Option<Vec<i64>>>()?;
    let known: i64 = out.iter().filter(|size| **size != -1).try_fold(1_i64, |a, b| a.checked_mul(*b))?;
    if let Some(open) = out.iter_mut().find(|size| **size == -1) {
        *open = elements.checked_div(known)?;
    }
    let whole = out.iter().try_fold(1_i64, |a, b| a.checked_mul(*b)) == Some(elements);
    (whole && out.iter().all(|size| *size >= 0)).then_some(out)
}

/// Whether a type code is one of the floats that weights come in.
pub(crate) fn is_float(code: i32) -> bool {
    [DataType::FLOAT, DataType::FLOAT16, DataType::BFLOAT16].iter().any(|float| float.code() == code)
}

/// Whether a type code is one of any floats.
pub(crate) fn holds_floats(code: i32) -> bool {
    DataType::from_code(code).is_some_and(DataType::is_float)
}

/// The tensor of a `Constant` node.
fn constant_value(node: &NodeProto) -> Option<&TensorProto> {
    let is_constant = node.op_type() == "Constant" && is_default_domain(node.domain());
    attribute(node, "value").filter(|_| is_constant)?.t.as_ref()
}

/// Lets `change` edit every graph, each with the number that [`Scopes`] gives it.
///
/// The order of nodes that hold graphs must stay.
pub(crate) fn rewrite(root: &mut GraphProto, change: &mut impl FnMut(GraphId, &mut GraphProto)) {
    fn walk(graph: &mut GraphProto, next: &mut GraphId, change: &mut impl FnMut(GraphId, &mut GraphProto)) {
        let id = *next;
        *next += 1;
        change(id, graph);
        for inner in graph.node.iter_mut().flat_map(subgraphs_mut) {
            walk(inner, next, change);
        }
    }
    walk(root, &mut 0, change);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reshape_keeps_infers_and_refuses() {
        assert_eq!(reshape(&[2, 3, 4], &[0, -1]), Some(vec![2, 12]));
        assert_eq!(reshape(&[6], &[2, 3]), Some(vec![2, 3]));
        assert_eq!(reshape(&[6], &[4, -1]), None);
        assert_eq!(reshape(&[6], &[-1, -1]), None);
        assert_eq!(reshape(&[6], &[i64::MAX, 2]), None);
        assert_eq!(reshape(&[0], &[0, -1]), None);
    }
}
