//! One name for one value in the whole model, and an order in which values can be computed.
//!
//! ONNX lets the branches of an `If` use the same names. What comes after this file may look
//! values up by name alone, and move nodes and tensors between graphs.

use std::collections::{HashMap, HashSet};

use slipway_model::onnx::proto::{GraphProto, NodeProto, TensorProto, ValueInfoProto};
use slipway_model::onnx::{subgraphs, subgraphs_mut};

use super::SimplifyError;
use crate::graph::{Names, node_name};

/// Gives every value of the model a name of its own; those of the main graph keep theirs.
///
/// # Errors
/// When a graph gives a name two values, or a node takes a value that comes after it: such a
/// graph cannot be run from its first node to its last.
pub(super) fn unique(root: &mut GraphProto) -> Result<(), SimplifyError> {
    let mut renamer = Renamer { names: Names::of(root), taken: HashSet::new(), scopes: Vec::new() };
    renamer.graph(root)?;
    in_order(root, &mut HashSet::new(), &renamer.taken)
}

struct Renamer {
    names: Names,
    /// Every name that a graph so far gives a value.
    taken: HashSet<String>,
    /// What names became, innermost graph last.
    scopes: Vec<HashMap<String, String>>,
}

impl Renamer {
    fn graph(&mut self, graph: &mut GraphProto) -> Result<(), SimplifyError> {
        let scope = self.own_names(graph)?;
        self.scopes.push(scope);
        for value in graph.input.iter_mut().chain(&mut graph.output).chain(&mut graph.value_info) {
            self.rename(value.name.get_or_insert_default());
        }
        let sparse = graph.sparse_initializer.iter_mut().filter_map(|tensor| tensor.values.as_mut());
        for tensor in graph.initializer.iter_mut().chain(sparse) {
            self.rename(tensor.name.get_or_insert_default());
        }
        for node in &mut graph.node {
            node.input.iter_mut().chain(&mut node.output).for_each(|name| self.rename(name));
            subgraphs_mut(node).try_for_each(|graph| self.graph(graph))?;
        }
        self.scopes.pop();
        Ok(())
    }

    /// The new names of those values of a graph that another graph has names for.
    fn own_names(&mut self, graph: &GraphProto) -> Result<HashMap<String, String>, SimplifyError> {
        let mut own = HashSet::new();
        let mut scope = HashMap::new();
        for name in given(graph) {
            if !own.insert(name) {
                return Err(SimplifyError::Graph { reason: format!("value {name:?} is given twice") });
            }
            if !self.taken.insert(name.to_owned()) {
                let fresh = self.names.fresh(name);
                self.taken.insert(fresh.clone());
                scope.insert(name.to_owned(), fresh);
            }
        }
        Ok(scope)
    }

    fn rename(&self, name: &mut String) {
        if let Some(new) = self.scopes.iter().rev().find_map(|scope| scope.get(name)) {
            name.clone_from(new);
        }
    }
}

/// Every name that a graph itself gives a value, each once.
fn given(graph: &GraphProto) -> Vec<&str> {
    let inputs: HashSet<&str> = graph.input.iter().map(ValueInfoProto::name).collect();
    let tensors = graph.initializer.iter().map(TensorProto::name).filter(|name| !inputs.contains(name));
    let sparse = graph.sparse_initializer.iter().filter_map(|tensor| tensor.values.as_ref());
    let outputs = graph.node.iter().flat_map(|node| &node.output).map(String::as_str);
    let inputs = graph.input.iter().map(ValueInfoProto::name);
    let all = inputs.chain(tensors).chain(sparse.map(TensorProto::name)).chain(outputs);
    all.filter(|name| !name.is_empty()).collect()
}

/// Checks that every node comes after what it takes.
fn in_order(
    graph: &GraphProto,
    ready: &mut HashSet<String>,
    all: &HashSet<String>,
) -> Result<(), SimplifyError> {
    let tensors = graph.initializer.iter().map(TensorProto::name);
    let sparse = graph.sparse_initializer.iter().filter_map(|tensor| tensor.values.as_ref());
    let inputs = graph.input.iter().map(ValueInfoProto::name);
    ready.extend(tensors.chain(sparse.map(TensorProto::name)).chain(inputs).map(str::to_owned));
    for node in &graph.node {
        is_ready(node, ready, all)?;
        subgraphs(node).try_for_each(|inner| in_order(inner, ready, all))?;
        ready.extend(node.output.iter().cloned());
    }
    Ok(())
}

fn is_ready(node: &NodeProto, ready: &HashSet<String>, all: &HashSet<String>) -> Result<(), SimplifyError> {
    match node.input.iter().find(|name| all.contains(*name) && !ready.contains(*name)) {
        Some(name) => Err(SimplifyError::Graph {
            reason: format!("node {:?} takes {name:?} before anything gives it", node_name(node)),
        }),
        None => Ok(()),
    }
}
