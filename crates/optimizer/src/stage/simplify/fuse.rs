//! Chains of nodes that together are one operator become that operator.
//!
//! Engines know such chains too, but each only in some of the orders that exporters write them in. What is
//! written here both engines load, and it differs from the chain in the last bits alone.

mod chain;
mod gelu;
mod norm;
mod polynomial;

use std::collections::{HashMap, HashSet};

use slipway_model::onnx::graphs;
use slipway_model::onnx::proto::{GraphProto, ModelProto, NodeProto};

use super::fold::Knowledge;
use crate::graph::{CONTRIB, opset, raise_to_17, reaches_17, rewrite, use_domain};
use crate::stage::Skipped;
use chain::{Chain, Chains};

/// The first opset with `Gelu`.
const GELU: i64 = 20;

/// What was fused, and what could not be.
#[derive(Default)]
pub(super) struct Fused {
    pub(super) gelus: usize,
    pub(super) norms: usize,
    pub(super) skipped: Vec<Skipped>,
}

/// Fuses every chain of a model; `known` says what its values are.
///
/// `LayerNormalization` needs opset 17: an older model is raised where that changes the meaning of no operator.
pub(super) fn fuse(model: &mut ModelProto, known: &Knowledge, given: &HashSet<String>) -> Fused {
    let mut fused = Fused::default();
    let (opset, obstacle) = (opset(model), reaches_17(model, |name| known.rank(name)).err());
    let Some(graph) = &mut model.graph else { return fused };
    let uses = uses(graph);
    rewrite(graph, &mut |_, graph| {
        let chains = Chains::of(graph, known, given, &uses, opset);
        let (gelus, norms) = (gelu::find(&chains, opset >= GELU), norm::find(&chains));
        let (norms, skipped) = allowed(norms, graph, obstacle.as_deref());
        fused.gelus += gelus.len();
        fused.norms += norms.len();
        fused.skipped.extend(skipped);
        replace(graph, gelus.into_iter().chain(norms));
    });
    if fused.norms > 0 {
        raise_to_17(model, |name| known.rank(name));
    }
    if fused.gelus > 0 && opset < GELU {
        use_domain(model, CONTRIB);
    }
    fused
}

/// Normalizations that may be fused, and the reasons where one may not.
fn allowed(
    found: Vec<norm::Found>,
    graph: &GraphProto,
    obstacle: Option<&str>,
) -> (Vec<Chain>, Vec<Skipped>) {
    let (mut chains, mut skipped) = (Vec::new(), Vec::new());
    for norm::Found { chain, obstacle: own } in found {
        match own.or(obstacle) {
            None => chains.push(chain),
            Some(reason) => {
                let reason = format!("not fused to LayerNormalization: {reason}");
                skipped.push(Skipped::of(&graph.node[chain.last], reason));
            }
        }
    }
    (chains, skipped)
}

/// How many inputs take each value.
fn uses(root: &GraphProto) -> HashMap<String, usize> {
    let mut uses = HashMap::new();
    for name in graphs(root).into_iter().flat_map(|graph| &graph.node).flat_map(|node| &node.input) {
        *uses.entry(name.clone()).or_default() += 1;
    }
    uses
}

/// Puts fused nodes in the places of the last nodes of their chains.
fn replace(graph: &mut GraphProto, chains: impl Iterator<Item = Chain>) {
    let mut nodes: Vec<Option<NodeProto>> = graph.node.drain(..).map(Some).collect();
    for Chain { nodes: gone, last, fused } in chains {
        for place in gone {
            nodes[place] = None;
        }
        nodes[last] = Some(fused);
    }
    graph.node = nodes.into_iter().flatten().collect();
}
