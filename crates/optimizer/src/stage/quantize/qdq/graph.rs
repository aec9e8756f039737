//! The main graph by its values: who gives them, who takes them.

use std::collections::{HashMap, HashSet};

use slipway_model::onnx::proto::{GraphProto, NodeProto, ValueInfoProto};
use slipway_model::onnx::subgraphs;

use super::Role;
use crate::graph::Types;

/// A node that takes a value, and at which of its places.
pub(super) type User = (usize, usize);

/// The values of a main graph.
pub(super) struct Values<'a> {
    pub(super) nodes: &'a [NodeProto],
    pub(super) roles: Vec<Role>,
    pub(super) types: Types<'a>,
    users: HashMap<&'a str, Vec<User>>,
    /// Values that are taken where no node of this graph is seen to: outputs, and bodies of other nodes.
    elsewhere: HashSet<&'a str>,
}

impl<'a> Values<'a> {
    pub(super) fn of(graph: &'a GraphProto) -> Self {
        let mut users: HashMap<&str, Vec<User>> = HashMap::new();
        for (index, node) in graph.node.iter().enumerate() {
            for (place, input) in node.input.iter().enumerate().filter(|(_, input)| !input.is_empty()) {
                users.entry(input).or_default().push((index, place));
            }
        }
        let bodies = graph.node.iter().flat_map(subgraphs).flat_map(slipway_model::onnx::graphs);
        let inner = bodies.flat_map(|body| {
            let inputs = body.node.iter().flat_map(|node| &node.input).map(String::as_str);
            inputs.chain(body.output.iter().map(ValueInfoProto::name))
        });
        let outputs = graph.output.iter().map(ValueInfoProto::name);
        Self {
            nodes: &graph.node,
            roles: graph.node.iter().map(Role::of).collect(),
            types: Types::of(graph),
            users,
            elsewhere: inner.chain(outputs).collect(),
        }
    }

    /// The nodes of this graph that take a value.
    pub(super) fn users(&self, name: &str) -> &[User] {
        self.users.get(name).map_or(&[], Vec::as_slice)
    }

    /// The nodes in the order of the file, each with its index.
    pub(super) fn each(
        &self,
    ) -> impl DoubleEndedIterator<Item = (usize, &'a NodeProto, Role)> + ExactSizeIterator {
        self.nodes.iter().enumerate().map(|(index, node)| (index, node, self.roles[index]))
    }

    /// The `Relu` or `Clip` that alone takes what a node gives.
    pub(super) fn cut(&self, node: &NodeProto) -> Option<usize> {
        let [output] = node.output.as_slice() else { return None };
        let [(user, 0)] = self.users(output) else { return None };
        let cuts = self.roles[*user] == Role::Cuts && !self.elsewhere.contains(output.as_str());
        cuts.then_some(*user)
    }

    /// The value that a node gives once it is cut.
    pub(super) fn result(&self, node: &'a NodeProto) -> &'a str {
        let last = self.cut(node).map_or(node, |cut| &self.nodes[cut]);
        last.output.first().map_or("", String::as_str)
    }
}
