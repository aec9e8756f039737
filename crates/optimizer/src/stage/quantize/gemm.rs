//! The attributes of a `Gemm`; a `MatMul` is one with all at their defaults.

use slipway_model::onnx::proto::NodeProto;

use super::operand::attribute;

/// `alpha · A' · B' + beta · C`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Gemm {
    pub(super) alpha: f32,
    pub(super) beta: f32,
    pub(super) trans_a: bool,
    pub(super) trans_b: bool,
}

impl Gemm {
    pub(super) fn of(node: &NodeProto) -> Self {
        let float = |name| attribute(node, name).map_or(1.0, |attribute| attribute.f.unwrap_or(1.0));
        let flag = |name| attribute(node, name).is_some_and(|attribute| attribute.i() != 0);
        match node.op_type() {
            "Gemm" => Self {
                alpha: float("alpha"),
                beta: float("beta"),
                trans_a: flag("transA"),
                trans_b: flag("transB"),
            },
            _ => Self { alpha: 1.0, beta: 1.0, trans_a: false, trans_b: false },
        }
    }
}
