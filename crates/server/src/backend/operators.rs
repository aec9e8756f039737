//! Which of a model's operators the built-in engine lacks, told without loading its weights.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;

use prost::Message;
use rten::ModelOptions;
use slipway_model::onnx::proto::{GraphProto, ModelProto, NodeProto};
use slipway_model::onnx::{OnnxModel, graphs, is_default_domain, is_pointwise};

use super::{LoadError, declared};

/// The operators of a model file that the built-in engine cannot run, sorted, each once, as `domain.name`.
///
/// Reads the model's structure, not its weights, so it is cheap before any rollout. An operator that the engine has,
/// but not with a node's attributes or in the model's operator set, is in the list too.
///
/// # Errors
/// [`LoadError::Read`] and [`LoadError::Invalid`].
pub fn unsupported_operators(path: &Path) -> Result<Vec<String>, LoadError> {
    Ok(missing(&declared::open(path)?))
}

/// Asks the engine itself: its registry is private, but loading a model of one node tells.
pub(super) fn missing(model: &OnnxModel) -> Vec<String> {
    let mut options = ModelOptions::with_all_ops();
    options.enable_optimization(false);
    let mut asked = HashSet::new();
    let mut missing = BTreeSet::new();
    for node in graphs(model.graph()).into_iter().flat_map(|graph| &graph.node) {
        let name = operator_name(node);
        // The engine reads constants as values, not as operators.
        if name == "ai.onnx.Constant" || missing.contains(&name) {
            continue;
        }
        if name == "ai.onnx.ConvInteger" && !is_computed_right(node) {
            missing.insert(name);
            continue;
        }
        let probe = probe(model.proto(), node);
        if asked.insert(probe.clone()) && options.load(probe).is_err() {
            missing.insert(name);
        }
    }
    missing.into_iter().collect()
}

/// Whether the engine computes a `ConvInteger` right, which its own list of operators does not tell.
///
/// rten 0.27 pads with the integer 0 where ONNX says the zero point, and leaves the zero points of a batch out, but for
/// kernels of one point.
fn is_computed_right(node: &NodeProto) -> bool {
    let kernel = node.attribute.iter().find(|attribute| attribute.name() == "kernel_shape");
    kernel.is_some_and(|kernel| is_pointwise(node, &kernel.ints))
}

fn operator_name(node: &NodeProto) -> String {
    let domain = if is_default_domain(node.domain()) { "ai.onnx" } else { node.domain() };
    format!("{domain}.{}", node.op_type())
}

/// A model of one node, whose inner graphs are empty: their nodes are asked for on their own.
fn probe(model: &ModelProto, node: &NodeProto) -> Vec<u8> {
    let mut node = NodeProto { name: None, doc_string: None, ..node.clone() };
    rename(&mut node.input, "in");
    rename(&mut node.output, "out");
    for attribute in &mut node.attribute {
        if attribute.g.is_some() {
            attribute.g = Some(GraphProto::default());
        }
        attribute.graphs.fill(GraphProto::default());
    }
    let graph = GraphProto { node: vec![node], ..GraphProto::default() };
    let opset_import = model.opset_import.clone();
    let probe = ModelProto {
        ir_version: model.ir_version,
        opset_import,
        graph: Some(graph),
        ..ModelProto::default()
    };
    probe.encode_to_vec()
}

/// Names by position, so that equal uses of an operator are equal; an empty name stays, it means "not given".
fn rename(names: &mut [String], prefix: &str) {
    for (index, name) in names.iter_mut().enumerate().filter(|(_, name)| !name.is_empty()) {
        *name = format!("{prefix}{index}");
    }
}
