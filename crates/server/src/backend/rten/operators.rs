//! Which of a model's operators the built-in engine lacks, told without loading its weights.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;

use prost::Message;
use rten::ModelOptions;
use slipway_model::onnx::proto::{GraphProto, ModelProto, NodeProto};
use slipway_model::onnx::{OnnxModel, graphs};

use super::super::{LoadError, declared};
use super::{form, prepare};

/// The operators of a model file that the built-in engine does not run, sorted, each once: as `domain.name` where it lacks
/// the operator, and with the reason where it is not proven to compute a node of it as ONNX says.
///
/// Reads the model's structure, not its weights, so it is cheap before any rollout.
///
/// # Errors
/// [`LoadError::Read`] and [`LoadError::Invalid`].
pub fn unsupported_operators(path: &Path) -> Result<Vec<String>, LoadError> {
    Ok(unsupported(&declared::open(path)?))
}

/// As [`unsupported_operators`], for a model that is open.
pub(super) fn unsupported(model: &OnnxModel) -> Vec<String> {
    let mut missing = missing(model);
    // Behind an operator that is missing, types are not known.
    if missing.is_empty() {
        missing.extend(prepare(&mut model.proto().clone(), &[]).refusals);
    }
    missing.into_iter().collect()
}

/// Asks the engine itself: its registry is private, but loading a model of one node tells.
pub(super) fn missing(model: &OnnxModel) -> BTreeSet<String> {
    let mut options = ModelOptions::with_all_ops();
    options.enable_optimization(false);
    let mut asked = HashSet::new();
    let mut missing = BTreeSet::new();
    for node in graphs(model.graph()).into_iter().flat_map(|graph| &graph.node) {
        let name = form::operator(node);
        // The engine reads constants as values, not as operators.
        if name == "ai.onnx.Constant" || missing.contains(&name) {
            continue;
        }
        let probe = probe(model.proto(), node);
        if asked.insert(probe.clone()) && options.load(probe).is_err() {
            missing.insert(name);
        }
    }
    missing
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
