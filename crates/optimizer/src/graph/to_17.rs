//! Raising the opset of a model to 17, where `LayerNormalization` begins.
//!
//! From 13 to 17 two operators came to mean something else (ONNX, Changelog.md): `RoiAlign` shifts its boxes by half a
//! pixel from 16 on, and a `BatchNormalization` that trains gives other outputs from 14 on.

use slipway_model::onnx::proto::{ModelProto, NodeProto};
use slipway_model::onnx::{graphs, is_default_domain};

use super::opset::{at_least, opset, raise_to_13, reaches_11};
use super::{attribute, int, int_or, node_name, rewrite};

/// The first opset with `LayerNormalization`.
const NORMALIZES: i64 = 17;

/// The first opset whose `Softmax` looks at one axis.
const ONE_AXIS: i64 = 13;

/// The IR version that came with opset 17.
const IR: i64 = 8;

/// Whether [`raise_to_17`] may be called; otherwise why not. `rank` tells the number of a value's dimensions.
pub(crate) fn reaches_17(model: &ModelProto, rank: impl Fn(&str) -> Option<usize>) -> Result<(), String> {
    let opset = opset(model);
    if opset >= NORMALIZES {
        return Ok(());
    }
    let refuse = |what: &str| Err(format!("it needs opset {NORMALIZES}, and in opset {opset} {what}"));
    if !model.functions.is_empty() {
        return refuse("functions may mean something else");
    }
    if opset < ONE_AXIS && !reaches_11(model) {
        return refuse("an operator may mean something else");
    }
    let nodes = model.graph.iter().flat_map(graphs).flat_map(|graph| &graph.node);
    let mut own = nodes.filter(|node| is_default_domain(node.domain()));
    match own.find(|node| differs(node, opset, &rank)) {
        None => Ok(()),
        Some(node) => refuse(&format!("{} {:?} means something else", node.op_type(), node_name(node))),
    }
}

/// Raises the opset to 17 where it is older, with the nodes that are written otherwise there.
pub(crate) fn raise_to_17(model: &mut ModelProto, rank: impl Fn(&str) -> Option<usize>) {
    if opset(model) >= NORMALIZES {
        return;
    }
    if opset(model) < ONE_AXIS {
        model.graph.iter_mut().for_each(|graph| {
            rewrite(graph, &mut |_, graph| {
                graph
                    .node
                    .iter_mut()
                    .filter(|node| is_softmax(node))
                    .for_each(|node| from_the_end(node, &rank));
            });
        });
        raise_to_13(model);
    }
    at_least(model, NORMALIZES, IR);
}

fn differs(node: &NodeProto, opset: i64, rank: &impl Fn(&str) -> Option<usize>) -> bool {
    match node.op_type() {
        "RoiAlign" => opset < 16,
        "BatchNormalization" => opset < 14 && node.output.len() > 1,
        _ => opset < ONE_AXIS && is_softmax(node) && !looks_at_last(node, rank),
    }
}

fn is_softmax(node: &NodeProto) -> bool {
    is_default_domain(node.domain()) && matches!(node.op_type(), "Softmax" | "LogSoftmax" | "Hardmax")
}

/// Whether an old `Softmax`, which takes all axes from one on as one, has only the last to take.
fn looks_at_last(node: &NodeProto, rank: &impl Fn(&str) -> Option<usize>) -> bool {
    let axis = int_or(node, "axis", 1);
    let rank = node.input.first().and_then(|name| rank(name)).and_then(|rank| i64::try_from(rank).ok());
    axis == -1 || rank == Some(axis + 1)
}

/// Writes the axis of an old `Softmax` as the last one, where it is.
fn from_the_end(node: &mut NodeProto, rank: &impl Fn(&str) -> Option<usize>) {
    if looks_at_last(node, rank) && attribute(node, "axis").is_none_or(|axis| axis.i() != -1) {
        node.attribute.retain(|attribute| attribute.name() != "axis");
        node.attribute.push(int("axis", -1));
    }
}

#[cfg(test)]
mod tests {
    use slipway_model::onnx::proto::{FunctionProto, OperatorSetIdProto};

    use super::*;

    #[test]
    fn a_model_with_functions_keeps_its_opset() {
        let opset_import = vec![OperatorSetIdProto { version: Some(15), ..OperatorSetIdProto::default() }];
        let mut model = ModelProto { opset_import, ..ModelProto::default() };
        assert_eq!(reaches_17(&model, |_| None), Ok(()));
        model.functions.push(FunctionProto::default());
        let reason = reaches_17(&model, |_| None).unwrap_err();
        assert!(reason.ends_with("in opset 15 functions may mean something else"), "{reason}");
    }
}
