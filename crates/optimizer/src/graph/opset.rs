//! The operator sets of a model, and raising an old one: to 11, where `DynamicQuantizeLinear` begins, and to 13, where
//! `QuantizeLinear` has an axis.

use slipway_model::onnx::proto::{ModelProto, NodeProto, OperatorSetIdProto};
use slipway_model::onnx::{OperatorId, graphs, is_default_domain};

use super::{adapt, int_or, rewrite};

/// The first opset with both `MatMulInteger` (10) and `DynamicQuantizeLinear` (11).
const NEEDED: i64 = 11;

/// The first opset whose `Mul` and `Add` broadcast by themselves (ONNX, Changelog.md).
const BROADCASTS: i64 = 7;

/// The first opset whose `QuantizeLinear` has an axis.
const PER_AXIS: i64 = 13;

/// The IR version that came with opset 11; from 4 on, initializers need not be inputs.
const LEAST_IR: i64 = 6;

/// Operators, and the opset since which a node means the same in opset 11: what changed later
/// only added types, optional inputs or negative axes (ONNX, Changelog.md).
const UNCHANGED_SINCE: &[(&str, i64)] = &[
    ("Abs", 6),
    ("Add", 7),
    ("And", 7),
    ("ArgMax", 1),
    ("ArgMin", 1),
    ("AveragePool", 7),
    ("BatchNormalization", 7),
    ("Cast", 6),
    ("Ceil", 6),
    ("Concat", 4),
    ("Constant", 1),
    ("ConstantOfShape", 9),
    ("Conv", 1),
    ("ConvTranspose", 1),
    ("Div", 7),
    ("Elu", 6),
    ("Equal", 7),
    ("Erf", 9),
    ("Exp", 6),
    ("Expand", 8),
    ("Flatten", 1),
    ("Floor", 6),
    ("Gather", 1),
    ("Gemm", 7),
    ("GlobalAveragePool", 1),
    ("GlobalMaxPool", 1),
    ("Greater", 7),
    ("HardSigmoid", 6),
    ("Identity", 1),
    ("InstanceNormalization", 6),
    ("LRN", 1),
    ("LeakyRelu", 6),
    ("Less", 7),
    ("Log", 6),
    ("LogSoftmax", 1),
    ("MatMul", 1),
    ("Max", 8),
    ("MaxPool", 8),
    ("Mean", 8),
    ("Min", 8),
    ("Mul", 7),
    ("Neg", 6),
    ("Not", 1),
    ("Or", 7),
    ("PRelu", 7),
    ("Pow", 7),
    ("Reciprocal", 6),
    ("ReduceL1", 1),
    ("ReduceL2", 1),
    ("ReduceMax", 1),
    ("ReduceMean", 1),
    ("ReduceMin", 1),
    ("ReduceProd", 1),
    ("ReduceSum", 1),
    ("Relu", 6),
    ("Reshape", 5),
    ("Selu", 6),
    ("Shape", 1),
    ("Sigmoid", 6),
    ("Size", 1),
    ("Softmax", 1),
    ("Softplus", 1),
    ("Softsign", 1),
    ("Split", 2),
    ("Sqrt", 6),
    ("Squeeze", 1),
    ("Sub", 7),
    ("Sum", 8),
    ("Tan", 7),
    ("Tanh", 6),
    ("Tile", 6),
    ("Transpose", 1),
    ("Unsqueeze", 1),
    ("Where", 9),
    ("Xor", 7),
];

/// The version of ONNX's own operator set.
pub(crate) fn opset(model: &ModelProto) -> i64 {
    own(model).map_or(1, |index| model.opset_import[index].version())
}

/// Refuses a model whose operators do not spread scales over tensors, with the reason.
pub(crate) fn refuse_old(model: &ModelProto) -> Result<(), String> {
    let opset = opset(model);
    if opset < BROADCASTS {
        return Err(format!("the model has opset {opset}, and {BROADCASTS} is needed: export it again"));
    }
    Ok(())
}

/// Whether the model may use the operators of opset 11, once [`raise`] was called: no operator means something else
/// there.
pub(crate) fn reaches_11(model: &ModelProto) -> bool {
    let opset = opset(model);
    let nodes = model.graph.iter().flat_map(graphs).flat_map(|graph| &graph.node);
    let mut own = nodes.filter(|node| OperatorId::of(node).domain.is_empty());
    opset >= NEEDED || own.all(|node| unchanged(node.op_type(), opset) && is_spatial(node))
}

/// Raises the opset of a model to 11 where it is older; [`reaches_11`] says whether that is safe.
pub(crate) fn raise(model: &mut ModelProto) {
    if opset(model) < NEEDED {
        match own(model) {
            Some(index) => model.opset_import[index].version = Some(NEEDED),
            None => model.opset_import.push(import("", NEEDED)),
        }
        if let Some(graph) = &mut model.graph {
            rewrite(graph, &mut |_, graph| graph.node.iter_mut().for_each(forget_spatial));
        }
    }
}

/// The one attribute in the table that opset 11 does not know any more: it went with opset 9, when its default became
/// the only meaning.
const SPATIAL: &str = "spatial";

fn is_spatial(node: &NodeProto) -> bool {
    node.op_type() != "BatchNormalization" || int_or(node, SPATIAL, 1) == 1
}

fn forget_spatial(node: &mut NodeProto) {
    if node.op_type() == "BatchNormalization" && is_default_domain(node.domain()) {
        node.attribute.retain(|attribute| attribute.name() != SPATIAL);
    }
}

/// Raises the opset of a model to 13 where it is older, with the nodes that are written otherwise there; whether the
/// model has it then.
///
/// It can where to opset 11 no operator means something else: what does between 11 and 13 is known.
pub(crate) fn raise_to_13(model: &mut ModelProto) -> bool {
    if opset(model) >= PER_AXIS {
        return true;
    }
    if !reaches_11(model) || !model.functions.is_empty() {
        return false;
    }
    raise(model);
    at_least(model, PER_AXIS, LEAST_IR);
    model.graph.iter_mut().for_each(adapt::to_13);
    true
}

/// Writes an opset and an IR version into a model that has an older one.
pub(super) fn at_least(model: &mut ModelProto, opset: i64, ir: i64) {
    if let Some(index) = own(model) {
        model.opset_import[index].version = Some(model.opset_import[index].version().max(opset));
    }
    model.ir_version = Some(model.ir_version().max(ir));
}

/// Raises the IR version to the one from which initializers need not be inputs.
pub(crate) fn raise_ir(model: &mut ModelProto) {
    model.ir_version = Some(model.ir_version().max(LEAST_IR));
}

/// Makes the operators of another domain known, where they are not.
pub(crate) fn use_domain(model: &mut ModelProto, domain: &str) {
    if !model.opset_import.iter().any(|import| import.domain() == domain) {
        model.opset_import.push(import(domain, 1));
    }
}

fn import(domain: &str, version: i64) -> OperatorSetIdProto {
    OperatorSetIdProto { domain: Some(domain.to_owned()), version: Some(version) }
}

fn own(model: &ModelProto) -> Option<usize> {
    model.opset_import.iter().position(|import| is_default_domain(import.domain()))
}

fn unchanged(operator: &str, opset: i64) -> bool {
    UNCHANGED_SINCE
        .binary_search_by(|(name, _)| (*name).cmp(operator))
        .is_ok_and(|index| UNCHANGED_SINCE[index].1 <= opset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted() {
        assert!(UNCHANGED_SINCE.is_sorted_by(|left, right| left.0 < right.0));
    }

    #[test]
    fn only_known_operators_count_as_unchanged() {
        assert!(unchanged("Relu", 6));
        assert!(!unchanged("Relu", 5));
        assert!(!unchanged("Clip", 10));
        assert!(!unchanged("Slice", 9));
    }
}
