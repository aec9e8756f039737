//! What is said of the large float constants that no form takes: none stays in silence.

use std::borrow::Cow;
use std::collections::HashSet;

use slipway_model::onnx::proto::{
    AttributeProto, FunctionProto, ModelProto, NodeProto, SparseTensorProto, TensorProto,
};
use slipway_model::onnx::{attribute_tensors, graphs, is_default_domain, subgraphs};

use super::Skipped;
use super::select::Selector;
use crate::graph::{GraphId, Source, holds_floats, is_float};

/// Why a sparse tensor stays.
const SPARSE: &str = "it is stored sparse";

impl Selector<'_> {
    /// Names each large float constant that is not going to be quantized: a vector as one, any other with the operator
    /// that keeps it and the reason.
    pub(super) fn account(&mut self, model: &ModelProto) {
        let weights = self.found.weights.iter().map(|weight| weight.source);
        let mut told: HashSet<Source> = weights.chain(self.found.biases.iter().copied()).collect();
        let scopes = self.scopes;
        // Who takes a constant through nodes that move its elements is named before those nodes are.
        self.uses(&mut told, model, |graph, node, input| {
            let behind = || scopes.behind(graph, input).map(|operand| operand.source);
            if moves(node) { None } else { behind() }
        });
        self.uses(&mut told, model, |graph, _, input| scopes.source(graph, input));
        for source in scopes.sources().filter(|source| !told.contains(source)) {
            self.apart(scopes.name(source), scopes.tensor(source), "no operator takes it");
        }
        self.attributes(model);
        self.sparse();
        model.functions.iter().for_each(|function| self.function(function));
    }

    /// Looks at each input of each node; `find` tells the constant that it is.
    fn uses(
        &mut self,
        told: &mut HashSet<Source>,
        model: &ModelProto,
        find: impl Fn(GraphId, &NodeProto, &str) -> Option<Source>,
    ) {
        let mut now = HashSet::new();
        for (id, graph) in self.scopes.graphs() {
            for (place, node) in graph.node.iter().enumerate() {
                for (at, input) in node.input.iter().enumerate() {
                    let found = find(id, node, input).filter(|source| !told.contains(source));
                    let Some(source) = found else { continue };
                    let (tensor, name) = (self.scopes.tensor(source), self.scopes.name(source));
                    now.insert(source);
                    self.constant(tensor, name, |selector| {
                        selector.keeps((id, place), node, name, || reason(node, Some(at), tensor, model));
                    });
                }
            }
        }
        told.extend(now);
    }

    /// The tensors in attributes, but for those that are constants of their graph.
    fn attributes(&mut self, model: &ModelProto) {
        for (id, graph) in self.scopes.graphs() {
            for (place, node) in graph.node.iter().enumerate() {
                let is_constant =
                    |name: &str| node.op_type() == "Constant" && self.scopes.source(id, name).is_some();
                let dense = densified(node);
                let tensors: Vec<_> =
                    attribute_tensors(&dense).filter(|(name, _)| !is_constant(name)).collect();
                for (name, tensor) in tensors {
                    self.constant(tensor, &name, |selector| {
                        selector.keeps((id, place), node, &name, || match &dense {
                            Cow::Owned(_) => SPARSE.to_owned(),
                            Cow::Borrowed(_) => reason(node, None, tensor, model),
                        });
                    });
                }
            }
        }
    }

    fn sparse(&mut self) {
        for (_, graph) in self.scopes.graphs() {
            for tensor in graph.sparse_initializer.iter().filter_map(dense) {
                self.apart(tensor.name(), &tensor, SPARSE);
            }
        }
    }

    /// The constants of a function that is still called: the main graph does not see them.
    fn function(&mut self, function: &FunctionProto) {
        let why = format!("function {:?} cannot be written out in place of its calls", function.name());
        let inner: Vec<_> = function.node.iter().flat_map(subgraphs).flat_map(graphs).collect();
        for graph in &inner {
            graph.initializer.iter().for_each(|tensor| self.apart(tensor.name(), tensor, &why));
            let sparse = graph.sparse_initializer.iter().filter_map(dense);
            sparse.for_each(|tensor| self.apart(tensor.name(), &tensor, &why));
        }
        for node in function.node.iter().chain(inner.iter().flat_map(|graph| &graph.node)) {
            for (name, tensor) in attribute_tensors(&densified(node)) {
                self.apart(&name, tensor, &why);
            }
        }
    }

    /// Names a constant that stands alone.
    fn apart(&mut self, name: &str, tensor: &TensorProto, reason: &str) {
        self.constant(tensor, name, |selector| {
            let (name, reason) = (name.to_owned(), reason.to_owned());
            let skipped = Skipped { node: name.clone(), op: String::new(), reason, tensors: vec![name] };
            selector.found.apart.push(skipped);
        });
    }

    /// Says nothing of a constant that is small or no float, and of a vector that it is one.
    fn constant(&mut self, tensor: &TensorProto, name: &str, otherwise: impl FnOnce(&mut Self)) {
        let count = tensor.dims.iter().try_fold(1, |count: u64, dim| count.checked_mul(dim.unsigned_abs()));
        if !holds_floats(tensor.data_type()) || count.is_some_and(|count| count < self.options.least_elements)
        {
            return;
        }
        if is_vector(tensor) {
            self.found.vectors.insert(name.to_owned());
        } else {
            otherwise(self);
        }
    }

    /// Names a constant with the node that keeps it; what was said of the node before stands.
    fn keeps(
        &mut self,
        at: (GraphId, usize),
        node: &NodeProto,
        tensor: &str,
        reason: impl FnOnce() -> String,
    ) {
        let skipped = self.found.skipped.entry(at).or_insert_with(|| Skipped::of(node, reason()));
        if !skipped.tensors.iter().any(|known| known == tensor) {
            skipped.tensors.push(tensor.to_owned());
        }
    }
}

/// What a sparse tensor stands for, without its elements.
fn dense(sparse: &SparseTensorProto) -> Option<TensorProto> {
    let values = sparse.values.as_ref()?;
    let (name, data_type) = (values.name.clone(), values.data_type);
    Some(TensorProto { name, data_type, dims: sparse.dims.clone(), ..TensorProto::default() })
}

/// A node whose sparse tensors are what they stand for.
fn densified(node: &NodeProto) -> Cow<'_, NodeProto> {
    let is_sparse = |attribute: &AttributeProto| {
        attribute.sparse_tensor.is_some() || !attribute.sparse_tensors.is_empty()
    };
    if !node.attribute.iter().any(is_sparse) {
        return Cow::Borrowed(node);
    }
    let mut node = node.clone();
    for attribute in &mut node.attribute {
        let sparse = std::mem::take(&mut attribute.sparse_tensors);
        attribute.tensors.extend(attribute.sparse_tensor.take().iter().chain(&sparse).filter_map(dense));
    }
    Cow::Owned(node)
}

/// Whether a node only moves elements: what takes its output is what uses the constant.
fn moves(node: &NodeProto) -> bool {
    is_default_domain(node.domain())
        && matches!(node.op_type(), "Identity" | "Cast" | "Reshape" | "Transpose")
}

/// Whether at most one dimension is longer than one: a bias, the scales of a norm.
fn is_vector(tensor: &TensorProto) -> bool {
    tensor.dims.iter().filter(|dim| **dim > 1).count() < 2
}

/// Why a node takes a constant as it is.
fn reason(node: &NodeProto, input: Option<usize>, tensor: &TensorProto, model: &ModelProto) -> String {
    let (domain, op) = (node.domain(), node.op_type());
    let called = |function: &FunctionProto| function.domain() == domain && function.name() == op;
    match (op, input) {
        _ if model.functions.iter().any(called) => {
            format!("function {op:?} cannot be written out in place of its calls")
        }
        _ if !is_default_domain(domain) => format!("operators of domain {domain:?} have no quantized form"),
        _ if !is_float(tensor.data_type()) => "the weight is not of a float type of 16 or 32 bits".to_owned(),
        ("MatMul" | "Gemm" | "Conv" | "ConvTranspose" | "Gather" | "LSTM" | "GRU" | "RNN", Some(input)) => {
            format!("input {input} of {op} has no quantized form")
        }
        _ => format!("{op} has no quantized form"),
    }
}
