//! Dropping what nothing uses any more.

use std::collections::HashSet;

use slipway_model::onnx::is_default_domain;
use slipway_model::onnx::proto::{GraphProto, NodeProto, ValueInfoProto};

use super::scope::{GraphId, rewrite};
use super::uses::used_names;

/// Drops those of the named values that nothing uses: nodes by their output, initializers.
///
/// Values that were unused before are not named, so they stay. Returns the names of initializers
/// that were inputs of the main graph too and went with their tensor.
pub(crate) fn prune(root: &mut GraphProto, replaced: &HashSet<(GraphId, String)>) -> Vec<String> {
    loop {
        let used = used_names(root);
        let mut dropped = false;
        rewrite(root, &mut |id, graph| {
            let gone = |name: &String| !used.contains(name) && replaced.contains(&(id, name.clone()));
            let before = graph.node.len();
            graph.node.retain(|node| node.output.is_empty() || !node.output.iter().all(gone));
            dropped |= graph.node.len() < before;
        });
        if !dropped {
            break;
        }
    }
    let used = used_names(root);
    let mut frozen = Vec::new();
    rewrite(root, &mut |id, graph| {
        let gone = |name: &str| !used.contains(name) && replaced.contains(&(id, name.to_owned()));
        graph.initializer.retain(|tensor| !gone(tensor.name()));
        let inputs = graph.input.iter().map(ValueInfoProto::name).filter(|name| gone(name));
        frozen.extend(inputs.map(str::to_owned));
        graph.input.retain(|input| !gone(input.name()));
    });
    frozen
}

/// Drops descriptions of inner values: hints that may be wrong or stale, and that engines infer.
///
/// Those of values that operators of other domains compute stay, since nobody can infer them.
pub(crate) fn prune_descriptions(root: &mut GraphProto) {
    rewrite(root, &mut |_, graph| {
        let foreign = |node: &&NodeProto| !is_default_domain(node.domain());
        let kept: HashSet<&str> =
            graph.node.iter().filter(foreign).flat_map(|node| &node.output).map(String::as_str).collect();
        graph.value_info.retain(|value| kept.contains(value.name()));
        graph.quantization_annotation.clear();
    });
}
