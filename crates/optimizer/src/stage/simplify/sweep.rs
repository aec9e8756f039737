//! Dropping what no output of the model needs.

use std::collections::{HashMap, HashSet};

use slipway_model::onnx::proto::{GraphProto, NodeProto, ValueInfoProto};
use slipway_model::onnx::{is_default_domain, subgraphs, subgraphs_mut};

/// What was dropped.
pub(super) struct Swept {
    pub(super) nodes: usize,
    pub(super) initializers: usize,
}

/// Drops nodes and initializers that nothing needs; operators of other domains stay, whatever they do.
pub(super) fn sweep(root: &mut GraphProto) -> Swept {
    let needed = Needed::of(root);
    let mut nodes = 0;
    let names = needed.names;
    let mut alive = needed.alive.into_iter();
    drop_nodes(root, &mut alive, &mut nodes);
    let before = root.initializer.len();
    let inputs: HashSet<&str> = root.input.iter().map(ValueInfoProto::name).collect();
    root.initializer.retain(|tensor| names.contains(tensor.name()) || inputs.contains(tensor.name()));
    Swept { nodes, initializers: before - root.initializer.len() }
}

/// Drops nodes in the order in which [`Needed`] numbers them.
fn drop_nodes(graph: &mut GraphProto, alive: &mut impl Iterator<Item = bool>, dropped: &mut usize) {
    graph.node.retain_mut(|node| {
        let stays = alive.next().unwrap_or(true);
        *dropped += usize::from(!stays);
        for inner in subgraphs_mut(node) {
            drop_nodes(inner, alive, dropped);
        }
        stays
    });
}

/// Which nodes and names the outputs of the model need.
struct Needed {
    names: HashSet<String>,
    alive: Vec<bool>,
}

impl Needed {
    fn of(root: &GraphProto) -> Self {
        let mut all = Vec::new();
        number(root, None, &mut all);
        let outputs = |(index, entry): (usize, &Entry<'_>)| {
            entry.node.output.iter().map(move |name| (name.clone(), index)).collect::<Vec<_>>()
        };
        let producers: HashMap<String, usize> = all.iter().enumerate().flat_map(outputs).collect();
        let mut alive = vec![false; all.len()];
        let mut names = HashSet::new();
        let mut waiting: Vec<usize> = (0..all.len()).filter(|index| all[*index].is_kept()).collect();
        let mut wanted: Vec<&str> = root.output.iter().map(ValueInfoProto::name).collect();
        loop {
            for name in wanted.drain(..) {
                waiting.extend(producers.get(name));
                names.insert(name.to_owned());
            }
            let Some(index) = waiting.pop() else { break };
            if !std::mem::replace(&mut alive[index], true) {
                let Entry { node, parent } = &all[index];
                waiting.extend(parent);
                wanted.extend(node.input.iter().map(String::as_str));
                wanted.extend(subgraphs(node).flat_map(|inner| &inner.output).map(ValueInfoProto::name));
            }
        }
        Self { names, alive }
    }
}

/// A node, and the node whose graph it is in.
struct Entry<'a> {
    node: &'a NodeProto,
    parent: Option<usize>,
}

impl Entry<'_> {
    /// Whether it does something that nobody here knows.
    fn is_kept(&self) -> bool {
        !is_default_domain(self.node.domain()) || self.node.output.iter().all(String::is_empty)
    }
}

fn number<'a>(graph: &'a GraphProto, parent: Option<usize>, all: &mut Vec<Entry<'a>>) {
    for node in &graph.node {
        let index = all.len();
        all.push(Entry { node, parent });
        subgraphs(node).for_each(|inner| number(inner, Some(index), all));
    }
}
