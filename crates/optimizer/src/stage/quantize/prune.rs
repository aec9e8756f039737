//! Dropping what nothing uses any more.

use std::collections::HashSet;

use slipway_model::onnx::proto::{GraphProto, TensorProto, ValueInfoProto};

use super::uses::used_names;

/// Drops those of the named values that nothing uses: nodes by their output, initializers.
///
/// Values that were unused before are not named, so they stay. Returns the names of initializers
/// that were graph inputs too and went with their tensor.
pub(super) fn prune(graph: &mut GraphProto, replaced: &HashSet<String>) -> Vec<String> {
    loop {
        let used = used_names(graph);
        let gone = |name: &String| replaced.contains(name) && !used.contains(name);
        let before = graph.node.len();
        graph.node.retain(|node| !node.output.iter().all(gone) || node.output.is_empty());
        if graph.node.len() == before {
            break;
        }
    }
    let used = used_names(graph);
    let gone = |name: &str| replaced.contains(name) && !used.contains(name);
    graph.initializer.retain(|tensor| !gone(tensor.name()));
    let frozen = graph.input.iter().map(ValueInfoProto::name).filter(|name| gone(name)).map(str::to_owned);
    let frozen: Vec<String> = frozen.collect();
    graph.input.retain(|input| !gone(input.name()));
    frozen
}

/// Drops descriptions of values that are not there any more.
pub(super) fn prune_descriptions(graph: &mut GraphProto, added: &[ValueInfoProto]) {
    let mut live: HashSet<&str> = graph.initializer.iter().map(TensorProto::name).collect();
    live.extend(graph.input.iter().map(ValueInfoProto::name));
    live.extend(graph.node.iter().flat_map(|node| &node.output).map(String::as_str));
    let mut kept = std::mem::take(&mut graph.value_info);
    kept.retain(|value| live.contains(value.name()));
    kept.extend_from_slice(added);
    let mut annotations = std::mem::take(&mut graph.quantization_annotation);
    annotations.retain(|annotation| live.contains(annotation.tensor_name()));
    graph.value_info = kept;
    graph.quantization_annotation = annotations;
}
