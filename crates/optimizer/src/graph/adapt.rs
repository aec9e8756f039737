//! Nodes of opset 11 and 12 as opset 13 writes them.
//!
//! What changed between them, apart from types that were added (ONNX, Changelog.md): axes of `Squeeze`, `Unsqueeze`
//! and `ReduceSum` and the sizes of `Split` are inputs; `Softmax` and its kin look at one axis, where they flattened
//! all from it on; the ratio of `Dropout`, which says nothing once training is over, is an input.

use slipway_model::onnx::is_default_domain;
use slipway_model::onnx::proto::{GraphProto, NodeProto};

use super::tensor::int_list;
use super::{Names, attribute, int, int_or, node, rewrite, tensor_attribute};

/// Rewrites every node that opset 13 reads otherwise.
pub(super) fn to_13(root: &mut GraphProto) {
    let mut names = Names::of(root);
    rewrite(root, &mut |_, graph| {
        let nodes = std::mem::take(&mut graph.node);
        graph.node = nodes.into_iter().flat_map(|node| adapted(node, &mut names)).collect();
    });
}

fn adapted(mut node: NodeProto, names: &mut Names) -> Vec<NodeProto> {
    if !is_default_domain(node.domain()) {
        return vec![node];
    }
    match node.op_type() {
        "Squeeze" | "Unsqueeze" | "ReduceSum" => as_input(node, "axes", names),
        "Split" => as_input(node, "split", names),
        "Softmax" | "LogSoftmax" | "Hardmax" => flattened(node, names),
        "Dropout" => {
            node.attribute.retain(|attribute| attribute.name() != "ratio");
            vec![node]
        }
        _ => vec![node],
    }
}

/// Makes a list of integers the second input.
fn as_input(mut node: NodeProto, name: &str, names: &mut Names) -> Vec<NodeProto> {
    let Some(values) = attribute(&node, name).map(|attribute| attribute.ints.clone()) else {
        return vec![node];
    };
    node.attribute.retain(|attribute| attribute.name() != name);
    let value = names.fresh(&format!("{}_{name}", node.output.first().map_or("", String::as_str)));
    node.input.truncate(1);
    node.input.push(value.clone());
    vec![constant(&value, &values, names), node]
}

fn constant(value: &str, values: &[i64], names: &mut Names) -> NodeProto {
    let name = names.fresh(&format!("{value}_Constant"));
    NodeProto {
        attribute: vec![tensor_attribute("value", int_list("", values))],
        ..node(name, "Constant", &[], &[value])
    }
}

/// The same over a matrix whose rows are all axes from the given one on.
fn flattened(mut operator: NodeProto, names: &mut Names) -> Vec<NodeProto> {
    let axis = int_or(&operator, "axis", 1);
    operator.attribute.retain(|attribute| attribute.name() != "axis");
    operator.attribute.push(int("axis", -1));
    let (Some(input), Some(output)) = (operator.input.first().cloned(), operator.output.first().cloned())
    else {
        return vec![operator];
    };
    if axis == -1 {
        return vec![operator];
    }
    let mut fresh = |what: &str| names.fresh(&format!("{output}_{what}"));
    let (shape, rows, done) = (fresh("shape"), fresh("rows"), fresh("flat"));
    let measure = node(fresh("Shape"), "Shape", &[&input], &[&shape]);
    let flatten = NodeProto {
        attribute: vec![int("axis", axis)],
        ..node(fresh("Flatten"), "Flatten", &[&input], &[&rows])
    };
    operator.input[0] = rows;
    operator.output[0].clone_from(&done);
    let restore = node(fresh("Reshape"), "Reshape", &[&done, &shape], &[&output]);
    vec![measure, flatten, operator, restore]
}
