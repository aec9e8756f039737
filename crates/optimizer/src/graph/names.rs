//! Names that nothing in a model has yet.

use std::collections::{HashMap, HashSet};

use slipway_model::onnx::graphs;
use slipway_model::onnx::proto::{GraphProto, TensorProto, ValueInfoProto};

/// Every name in use, of values and nodes, at every depth.
pub(crate) struct Names {
    used: HashSet<String>,
    /// The number that a wish gets next, so that a wish that comes often is not searched for from the start.
    next: HashMap<String, u64>,
}

impl Names {
    pub(crate) fn of(root: &GraphProto) -> Self {
        let mut names = HashSet::new();
        for graph in graphs(root) {
            let sparse = graph.sparse_initializer.iter().filter_map(|tensor| tensor.values.as_ref());
            names.extend(graph.initializer.iter().chain(sparse).map(TensorProto::name).map(str::to_owned));
            for node in &graph.node {
                names.extend(node.input.iter().chain(&node.output).cloned());
                names.insert(node.name().to_owned());
            }
            let values = graph.input.iter().chain(&graph.output).chain(&graph.value_info);
            names.extend(values.map(ValueInfoProto::name).map(str::to_owned));
        }
        Self { used: names, next: HashMap::new() }
    }

    /// `wish`, or `wish_1`, `wish_2`, … : the first that is free, and taken from now on.
    pub(crate) fn fresh(&mut self, wish: &str) -> String {
        if self.used.insert(wish.to_owned()) {
            return wish.to_owned();
        }
        let next = self.next.entry(wish.to_owned()).or_insert(1);
        loop {
            let name = format!("{wish}_{next}");
            *next += 1;
            if self.used.insert(name.clone()) {
                return name;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use slipway_model::onnx::build::node;

    use super::*;

    #[test]
    fn taken_names_get_a_number() {
        let graph =
            GraphProto { node: vec![node("Relu", &["x"], &["x_scale"], vec![])], ..GraphProto::default() };
        let mut names = Names::of(&graph);
        assert_eq!(names.fresh("x_scale"), "x_scale_1");
        assert_eq!(names.fresh("x_scale"), "x_scale_2");
        assert_eq!(names.fresh("node_x_scale"), "node_x_scale_1");
        assert_eq!(names.fresh("free"), "free");
        assert_eq!(names.fresh("free_1"), "free_1");
        assert_eq!(names.fresh("free"), "free_2");
    }
}
