//! What engines ask of a convolution beyond what ONNX does.

use slipway_model::onnx::is_default_domain;
use slipway_model::onnx::proto::{AttributeProto, GraphProto, NodeProto};

use super::{Scopes, rewrite};
use slipway_model::onnx::attribute::{attribute, ints};

/// A convolution's attributes, with those spelled out that the built-in engine asks for and that
/// ONNX lets go.
pub(crate) fn spelled_out(node: &NodeProto, space: usize) -> Vec<AttributeProto> {
    let mut attributes = node.attribute.clone();
    let mut add = |name: &str, values: &[i64]| {
        if attribute(node, name).is_none() {
            attributes.push(ints(name, values));
        }
    };
    add("dilations", &vec![1; space]);
    add("strides", &vec![1; space]);
    if attribute(node, "auto_pad").is_none() {
        add("pads", &vec![0; 2 * space]);
    }
    attributes
}

/// Spells out the attributes of every convolution whose kernel is a constant.
pub(crate) fn spell_out(root: &mut GraphProto) {
    let scopes = Scopes::of(root);
    let mut spaces = Vec::new();
    for (id, graph) in scopes.graphs() {
        let space = |node: &NodeProto| {
            let convolves =
                matches!(node.op_type(), "Conv" | "ConvTranspose") && is_default_domain(node.domain());
            let kernel = node.input.get(1).filter(|_| convolves)?;
            scopes.resolve(id, kernel).ok()?.dims.len().checked_sub(2)
        };
        spaces.push(graph.node.iter().map(space).collect::<Vec<_>>());
    }
    rewrite(root, &mut |id, graph| {
        for (node, space) in graph.node.iter_mut().zip(&spaces[id]) {
            if let Some(space) = space {
                node.attribute = spelled_out(node, *space);
            }
        }
    });
}
