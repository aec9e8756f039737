//! Writing the bodies of model-local functions in place of their calls.
//!
//! A call means what its body means (ONNX, `FunctionProto`), so nothing changes but the names of
//! inner values. Engines without functions can load the result, and weights in bodies are seen.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use bytes::Bytes;
use prost::Message;
use slipway_model::onnx::proto::{
    AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto,
};
use slipway_model::onnx::{graphs, is_default_domain, subgraphs, subgraphs_mut};

use super::Names;

/// Rounds of calls inside calls; functions may not call themselves.
const ROUNDS: usize = 32;

/// Bytes that calls may become, in the form of the file and without raw data, which is never copied: a function that calls
/// another twice doubles at each level.
const MOST_BYTES: usize = 8 << 20;

/// Replaces every call of a function that was written for the model's own operator sets.
///
/// Functions that are still called afterwards stay.
pub(crate) fn inline_functions(model: &mut ModelProto) {
    inline_within(model, MOST_BYTES);
}

fn inline_within(model: &mut ModelProto, budget: usize) {
    let functions: HashMap<_, _> = (model.functions.iter())
        .filter(|function| same_opsets(model, function) && !passes_through(function))
        .map(|function| (id_of(function), Body::of(function)))
        .collect();
    let Some(graph) = model.graph.as_mut().filter(|_| !functions.is_empty()) else { return };
    let mut inliner = Inliner { names: Names::of(graph), functions, budget };
    for _ in 0..ROUNDS {
        if !inliner.graph(graph) {
            break;
        }
    }
    drop_unused(model);
}

/// Whether a body means the same under the model's operator sets.
fn same_opsets(model: &ModelProto, function: &FunctionProto) -> bool {
    let version = |domain: &str| {
        let own = |import: &&OperatorSetIdProto| {
            import.domain() == domain || is_default_domain(import.domain()) && is_default_domain(domain)
        };
        model.opset_import.iter().find(own).map(OperatorSetIdProto::version)
    };
    function.opset_import.iter().all(|import| version(import.domain()) == Some(import.version()))
}

/// Whether an input is an output as it is: two names of the caller would be one.
fn passes_through(function: &FunctionProto) -> bool {
    function.output.iter().any(|output| function.input.contains(output))
}

/// What a call and a function agree in: domain, name and overload.
type Signature = (String, String, String);

struct Inliner {
    names: Names,
    functions: HashMap<Signature, Rc<Body>>,
    budget: usize,
}

/// A function, and what a copy of it takes.
struct Body {
    function: FunctionProto,
    /// Bytes of its nodes in the form of the file, without raw data.
    bytes: usize,
    /// Names in it, each of which gets the call's before its own.
    names: usize,
}

impl Body {
    fn of(function: &FunctionProto) -> Rc<Self> {
        let (bytes, names) = (bytes(&function.node), names(&function.node));
        Rc::new(Self { function: function.clone(), bytes, names })
    }
}

impl Inliner {
    /// Replaces the calls of one graph and those inside it; whether there were any.
    fn graph(&mut self, graph: &mut GraphProto) -> bool {
        let mut changed = false;
        let mut nodes = Vec::with_capacity(graph.node.len());
        for mut node in std::mem::take(&mut graph.node) {
            for inner in subgraphs_mut(&mut node) {
                changed |= self.graph(inner);
            }
            match self.body(&node) {
                Some(body) => {
                    nodes.extend(body);
                    changed = true;
                }
                None => nodes.push(node),
            }
        }
        graph.node = nodes;
        changed
    }

    /// The nodes that a call stands for.
    fn body(&mut self, call: &NodeProto) -> Option<Vec<NodeProto>> {
        let body = Rc::clone(self.functions.get(&called_by(call))?);
        let longer = body.names.saturating_mul(super::node_name(call).len());
        self.budget = self.budget.checked_sub(body.bytes.saturating_add(longer))?;
        let function = &body.function;
        let mut renamed = HashMap::new();
        for (index, name) in function.input.iter().enumerate() {
            renamed.insert(name.clone(), call.input.get(index).cloned().unwrap_or_default());
        }
        for (name, given) in function.output.iter().zip(&call.output).filter(|(_, given)| !given.is_empty()) {
            renamed.insert(name.clone(), given.clone());
        }
        let mut copy = Copy { call, function, renamed, names: &mut self.names };
        let mut nodes = function.node.clone();
        for node in &mut nodes {
            copy.node(node);
        }
        Some(nodes)
    }
}

/// Bytes of nodes in the form of the file, without raw data.
fn bytes(nodes: &[NodeProto]) -> usize {
    let raw: usize = every(nodes)
        .into_iter()
        .flat_map(|node| &node.attribute)
        .flat_map(|attribute| attribute.t.iter().chain(&attribute.tensors).chain(initializers(attribute)))
        .filter_map(|tensor| tensor.raw_data.as_ref().map(Bytes::len))
        .sum();
    let whole: usize = nodes.iter().map(Message::encoded_len).sum();
    whole.saturating_sub(raw)
}

fn initializers(attribute: &AttributeProto) -> impl Iterator<Item = &TensorProto> {
    attribute.g.iter().chain(&attribute.graphs).flat_map(|graph| &graph.initializer)
}

/// How many names the nodes have and refer to, their own among them.
fn names(nodes: &[NodeProto]) -> usize {
    every(nodes).into_iter().map(|node| 1 + node.input.len() + node.output.len()).sum()
}

/// The nodes and all inside them.
fn every(nodes: &[NodeProto]) -> Vec<&NodeProto> {
    let inner = nodes.iter().flat_map(subgraphs).flat_map(graphs).flat_map(|graph| &graph.node);
    nodes.iter().chain(inner).collect()
}

/// One body becoming one call's nodes.
struct Copy<'a> {
    call: &'a NodeProto,
    function: &'a FunctionProto,
    renamed: HashMap<String, String>,
    names: &'a mut Names,
}

impl Copy<'_> {
    fn node(&mut self, node: &mut NodeProto) {
        node.input.iter_mut().for_each(|name| self.name(name));
        node.output.iter_mut().for_each(|name| self.name(name));
        node.name = Some(self.names.fresh(&format!("{}_{}", super::node_name(self.call), node.name())));
        let attributes = std::mem::take(&mut node.attribute);
        node.attribute = attributes.into_iter().filter_map(|attribute| self.attribute(attribute)).collect();
    }

    fn name(&mut self, name: &mut String) {
        if name.is_empty() {
            return;
        }
        if !self.renamed.contains_key(name) {
            let fresh = self.names.fresh(&format!("{}_{name}", super::node_name(self.call)));
            self.renamed.insert(name.clone(), fresh);
        }
        name.clone_from(&self.renamed[name]);
    }

    /// An attribute with references to the call's attributes resolved; `None` when it takes its default.
    fn attribute(&mut self, attribute: AttributeProto) -> Option<AttributeProto> {
        let mut attribute = match attribute.ref_attr_name() {
            "" => attribute,
            reference => {
                let named = |attribute: &&AttributeProto| attribute.name() == reference;
                if let Some(given) = self.call.attribute.iter().find(named) {
                    // A graph that the call hands in speaks of the caller's values.
                    return Some(AttributeProto { name: attribute.name, ..given.clone() });
                }
                let default = self.function.attribute_proto.iter().find(named)?;
                AttributeProto { name: attribute.name, ..default.clone() }
            }
        };
        for graph in attribute.g.iter_mut().chain(&mut attribute.graphs) {
            self.graph(graph);
        }
        Some(attribute)
    }

    fn graph(&mut self, graph: &mut GraphProto) {
        for value in graph.input.iter_mut().chain(&mut graph.output).chain(&mut graph.value_info) {
            self.name(value.name.get_or_insert_default());
        }
        let sparse = graph.sparse_initializer.iter_mut().filter_map(|tensor| tensor.values.as_mut());
        for tensor in graph.initializer.iter_mut().chain(sparse) {
            self.name(tensor.name.get_or_insert_default());
        }
        graph.node.iter_mut().for_each(|node| self.node(node));
    }
}

/// Drops functions that nothing calls, and the operator sets that only they used.
fn drop_unused(model: &mut ModelProto) {
    let called = called(model);
    let gone: HashSet<String> = (model.functions.iter())
        .filter(|function| !called.contains(&id_of(function)))
        .map(|function| function.domain().to_owned())
        .collect();
    model.functions.retain(|function| called.contains(&id_of(function)));
    let used: HashSet<&str> = called.iter().map(|(domain, ..)| domain.as_str()).collect();
    model.opset_import.retain(|import| !gone.contains(import.domain()) || used.contains(import.domain()));
}

fn id_of(function: &FunctionProto) -> Signature {
    (function.domain().to_owned(), function.name().to_owned(), function.overload().to_owned())
}

fn called_by(node: &NodeProto) -> Signature {
    (node.domain().to_owned(), node.op_type().to_owned(), node.overload().to_owned())
}

/// Every operator that the graph uses, and the bodies of functions that it still calls.
fn called(model: &ModelProto) -> HashSet<Signature> {
    fn add(nodes: &[NodeProto], out: &mut HashSet<Signature>) {
        for node in nodes {
            out.insert(called_by(node));
            subgraphs(node).for_each(|graph| add(&graph.node, out));
        }
    }
    let mut called = HashSet::new();
    model.graph.iter().for_each(|graph| add(&graph.node, &mut called));
    loop {
        let before = called.len();
        for function in &model.functions {
            if called.contains(&id_of(function)) {
                add(&function.node, &mut called);
            }
        }
        if called.len() == before {
            return called;
        }
    }
}

#[cfg(test)]
mod tests {
    use slipway_model::onnx::build::{ModelBuilder, graph, node};
    use slipway_model::onnx::proto::SparseTensorProto;

    use super::*;

    const BUDGET: usize = 100_000;

    fn function(name: &str, node: Vec<NodeProto>) -> FunctionProto {
        FunctionProto {
            name: Some(name.to_owned()),
            domain: Some("own".to_owned()),
            input: vec!["a".to_owned()],
            output: vec!["b".to_owned()],
            node,
            ..FunctionProto::default()
        }
    }

    fn call(name: &str, from: &str, to: &str) -> NodeProto {
        NodeProto { domain: Some("own".to_owned()), ..node(name, &[from], &[to], vec![]) }
    }

    /// The bytes of a model with as many calls of the first function, once they are written out; and the calls left.
    fn written_out(functions: Vec<FunctionProto>, calls: usize) -> (usize, usize) {
        let mut model = ModelBuilder::new();
        model.graph().node = (0..calls).map(|_| call(functions[0].name(), "y", "z")).collect();
        model.proto.functions = functions;
        let mut proto = model.proto;
        inline_within(&mut proto, BUDGET);
        let nodes = proto.graph.unwrap().node;
        (bytes(&nodes), nodes.iter().filter(|node| node.domain() == "own").count())
    }

    /// Two to the thirtieth nodes, if all were written out.
    #[test]
    fn functions_that_double_are_written_out_up_to_a_limit() {
        let twice = |level: usize| {
            let next = format!("f{}", level + 1);
            function(&format!("f{level}"), vec![call(&next, "a", "c"), call(&next, "c", "b")])
        };
        let last = function("f30", vec![node("Relu", &["a"], &["b"], vec![])]);
        let (bytes, left) = written_out((0..30).map(twice).chain([last]).collect(), 1);
        assert!(bytes < 2 * BUDGET && left > 10, "{bytes} bytes, {left} calls left");
    }

    /// A body and what it takes from outside, handed to a function that calls its own values the same.
    #[test]
    fn a_graph_that_a_call_hands_in_means_what_it_means_there() {
        let handed = GraphProto {
            node: vec![node("Add", &["a", "outer"], &["b"], vec![]), node("Relu", &["b"], &["r"], vec![])],
            output: vec![slipway_model::onnx::build::float_value("r", &[])],
            ..GraphProto::default()
        };
        let reference = AttributeProto {
            name: Some("then_branch".to_owned()),
            ref_attr_name: Some("body".to_owned()),
            ..AttributeProto::default()
        };
        let choice = node("If", &["a"], &["b"], vec![reference]);
        let mut model = ModelBuilder::new();
        let asked =
            NodeProto { attribute: vec![graph("body", handed.clone())], ..call("f", "condition", "y") };
        model.graph().node = vec![asked];
        model.proto.functions = vec![function("f", vec![choice])];
        let mut proto = model.proto;
        inline_within(&mut proto, BUDGET);
        let nodes = proto.graph.unwrap().node;
        assert_eq!((nodes[0].op_type(), nodes[0].input.as_slice()), ("If", &["condition".to_owned()][..]));
        assert_eq!(subgraphs(&nodes[0]).collect::<Vec<_>>(), [&handed]);
    }

    /// The values of a sparse tensor have a name like any other.
    #[test]
    fn sparse_tensors_of_a_body_are_renamed_with_those_who_take_them() {
        let sparse = SparseTensorProto {
            values: Some(slipway_model::onnx::build::float_tensor("s", &[1], &[1.0])),
            ..SparseTensorProto::default()
        };
        let body = GraphProto {
            node: vec![node("Relu", &["s"], &["r"], vec![])],
            sparse_initializer: vec![sparse],
            ..GraphProto::default()
        };
        let choice = node("If", &["a"], &["b"], vec![graph("then_branch", body)]);
        let mut model = ModelBuilder::new();
        model.graph().node = vec![node("Relu", &["s"], &["x"], vec![]), call("f", "x", "y")];
        model.proto.functions = vec![function("f", vec![choice])];
        let mut proto = model.proto;
        inline_within(&mut proto, BUDGET);
        let nodes = proto.graph.unwrap().node;
        let inner = subgraphs(&nodes[1]).next().unwrap();
        let name = inner.sparse_initializer[0].values.as_ref().unwrap().name();
        assert!(name != "s" && inner.node[0].input == [name], "{inner:?}");
    }

    /// A thousand nodes inside a single one, called a thousand times.
    #[test]
    fn nodes_inside_nodes_count() {
        let nodes = (0..1000).map(|index| node("Relu", &["a"], &[format!("r{index}").as_str()], vec![]));
        let body = GraphProto { node: nodes.collect(), ..GraphProto::default() };
        let choice = node("If", &["a"], &["b"], vec![graph("then_branch", body)]);
        let (bytes, left) = written_out(vec![function("f", vec![choice])], 1000);
        assert!(bytes < 2 * BUDGET && left > 990, "{bytes} bytes, {left} calls left");
    }

    /// A few nodes, called by a name of ten thousand letters.
    #[test]
    fn long_names_count() {
        let nodes = (0..50).map(|index| node("Relu", &["a"], &[format!("r{index}").as_str()], vec![]));
        let mut model = ModelBuilder::new();
        let name = Some("x".repeat(10_000));
        model.graph().node =
            (0..10).map(|_| NodeProto { name: name.clone(), ..call("f", "y", "z") }).collect();
        model.proto.functions = vec![function("f", nodes.collect())];
        let mut proto = model.proto;
        inline_within(&mut proto, BUDGET);
        assert_eq!(proto.graph.unwrap().node.len(), 10);
    }
}
