//! Giving values other names, everywhere at once.

use std::collections::{HashMap, HashSet};

use slipway_model::onnx::graphs;
use slipway_model::onnx::proto::{GraphProto, ValueInfoProto};

use crate::graph::rewrite;

/// New names for values; a new name may be replaced in turn.
#[derive(Default)]
pub(super) struct Renames(HashMap<String, String>);

impl Renames {
    /// What a name is in the end.
    pub(super) fn of<'a>(&'a self, mut name: &'a str) -> &'a str {
        while let Some(next) = self.0.get(name) {
            name = next;
        }
        name
    }

    /// Replaces one name by another, which must not lead back to it.
    pub(super) fn insert(&mut self, old: &str, new: &str) {
        self.0.insert(old.to_owned(), new.to_owned());
    }

    /// Renames in every node and graph; outputs of graphs keep their names unless they are values' old ones.
    pub(super) fn apply(&self, graph: &mut GraphProto) {
        if self.0.is_empty() {
            return;
        }
        rewrite(graph, &mut |_, graph| {
            let names = graph.node.iter_mut().flat_map(|node| node.input.iter_mut().chain(&mut node.output));
            for name in names {
                let new = self.of(name);
                if new != name {
                    *name = new.to_owned();
                }
            }
        });
    }
}

/// Every name that some graph gives as an output.
pub(super) fn given_names(root: &GraphProto) -> HashSet<String> {
    let outputs = graphs(root).into_iter().flat_map(|graph| &graph.output);
    outputs.map(ValueInfoProto::name).map(str::to_owned).collect()
}
