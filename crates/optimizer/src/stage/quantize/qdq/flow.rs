//! Which values are integers: decided forwards and backwards through the graph.

use std::collections::HashSet;

use slipway_model::onnx::proto::NodeProto;

use super::Role;
use super::graph::Values;

/// What is asked of a graph.
pub(super) struct Flow<'a, 'v> {
    values: &'v Values<'a>,
    /// Nodes that multiply in integers, each with the places of its activations.
    multiply: &'v [Vec<usize>],
    /// Nodes of other roles that may compute in integers.
    allowed: &'v [bool],
    /// Values that multiplications take, as they are or moved.
    needed: HashSet<&'a str>,
    /// Values that somebody could take as integers.
    wanted: HashSet<&'a str>,
    /// Values that are integers.
    pub(super) integers: HashSet<&'a str>,
    /// Nodes between multiplications that compute in integers.
    pub(super) between: HashSet<usize>,
}

impl<'a, 'v> Flow<'a, 'v> {
    /// Decides for every value; of a node that does not multiply in integers there are no places.
    pub(super) fn of(values: &'v Values<'a>, multiply: &'v [Vec<usize>], allowed: &'v [bool]) -> Self {
        let mut flow = Self {
            values,
            multiply,
            allowed,
            needed: HashSet::new(),
            wanted: HashSet::new(),
            integers: HashSet::new(),
            between: HashSet::new(),
        };
        flow.look_back();
        flow.go_forward();
        flow.drop_idle();
        flow
    }

    /// Finds what is needed and what would be welcome.
    fn look_back(&mut self) {
        for (index, node, role) in self.values.each().rev() {
            for place in &self.multiply[index] {
                self.needed.insert(&node.input[*place]);
                self.wanted.insert(&node.input[*place]);
            }
            if !self.allowed[index] {
                continue;
            }
            let outputs = self.outputs(node, role);
            if role == Role::Keeps && outputs.iter().any(|output| self.needed.contains(output)) {
                self.needed.insert(&node.input[0]);
            }
            if outputs.iter().any(|output| self.wanted.contains(output)) {
                self.wanted.extend(activations(node, role));
            }
        }
        self.integers.extend(self.needed.iter().copied());
    }

    /// Takes an operator in between where everything around it is integers.
    fn go_forward(&mut self) {
        for (index, node, role) in self.values.each() {
            if !self.multiply[index].is_empty() && node.op_type() == "Conv" {
                self.integers.insert(self.values.result(node));
            }
            if !self.allowed[index] {
                continue;
            }
            let outputs = self.outputs(node, role);
            let welcome = outputs.iter().any(|output| self.wanted.contains(output));
            if welcome && activations(node, role).all(|input| self.integers.contains(input)) {
                self.between.insert(index);
                self.integers.extend(outputs);
            }
        }
    }

    /// Takes back operators whose integers nobody takes after all.
    fn drop_idle(&mut self) {
        for (index, node, role) in self.values.each().rev() {
            if !self.between.contains(&index) {
                continue;
            }
            let outputs = self.outputs(node, role);
            if !outputs.iter().any(|output| self.is_taken(output)) {
                self.between.remove(&index);
                for output in outputs {
                    self.integers.remove(output);
                }
            }
        }
    }

    /// Whether a node takes a value as integers.
    pub(super) fn is_taken(&self, value: &str) -> bool {
        self.values.users(value).iter().any(|(user, place)| self.takes(*user, *place))
    }

    /// Whether a node takes integers at one of its places.
    pub(super) fn takes(&self, user: usize, place: usize) -> bool {
        let between =
            || self.between.contains(&user) && (self.values.roles[user] == Role::Joins || place == 0);
        self.multiply[user].contains(&place) || between()
    }

    /// What a node in between gives, once it is cut.
    fn outputs(&self, node: &'a NodeProto, role: Role) -> Vec<&'a str> {
        match role {
            Role::Keeps => node.output.iter().map(String::as_str).filter(|name| !name.is_empty()).collect(),
            Role::Multiplies | Role::Joins | Role::Cuts | Role::Floats => vec![self.values.result(node)],
        }
    }
}

/// What a node in between takes as integers.
pub(super) fn activations(node: &NodeProto, role: Role) -> impl Iterator<Item = &str> {
    let count = if role == Role::Keeps { 1 } else { node.input.len() };
    node.input.iter().take(count).map(String::as_str)
}
