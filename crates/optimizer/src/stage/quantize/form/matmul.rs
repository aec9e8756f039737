//! `MatMul` and `Gemm` in integers.
//!
//! ```text
//! DynamicQuantizeLinear(x) → MatMulInteger(x, w) → Cast → Mul(x_scale · w_scale) → Add(bias)
//! ```
//!
//! ONNX Runtime and rten both run this, and fuse it.

use slipway_model::onnx::proto::NodeProto;

use super::super::Form;
use super::super::emit::Emitter;
use super::super::select::{Axes, Selector};
use super::{Site, because, expanded, refuse_overflow};
use crate::graph::{GraphId, Operand, Unresolved, flag, float_or};

/// `alpha · A' · B' + beta · C`; a `MatMul` is one with all at their defaults.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Gemm {
    pub(super) alpha: f32,
    beta: f32,
    pub(super) trans_a: bool,
    pub(super) trans_b: bool,
}

impl Gemm {
    pub(super) fn of(node: &NodeProto) -> Self {
        match node.op_type() {
            "Gemm" => Self {
                alpha: float_or(node, "alpha", 1.0),
                beta: float_or(node, "beta", 1.0),
                trans_a: flag(node, "transA"),
                trans_b: flag(node, "transB"),
            },
            _ => Self { alpha: 1.0, beta: 1.0, trans_a: false, trans_b: false },
        }
    }

    pub(super) fn beta(self) -> f32 {
        self.beta
    }

    /// The product plus the node's bias, where it has one.
    pub(super) fn bias(
        self,
        node: &NodeProto,
        product: &str,
        data_type: i32,
        emitter: &mut Emitter<'_>,
    ) -> String {
        let Some(bias) = node.input.get(2).filter(|bias| !bias.is_empty()) else {
            return product.to_owned();
        };
        let bias = emitter.as_float(bias, data_type);
        let bias = emitter.times(&bias, self.beta);
        let output = node.output.first().map_or("", String::as_str);
        emitter.apply("Add", &[product, &bias], output)
    }
}

/// A multiplication with a constant right operand.
#[derive(Debug)]
pub(in super::super) struct MatMul {
    weight: usize,
    /// Whether the stored tensor must be transposed.
    transposed: bool,
    /// The dimensions that spread a scale over the product.
    scale_dims: Vec<i64>,
    /// The code of the float type that the node computes in.
    data_type: i32,
    gemm: Gemm,
}

pub(super) fn consider(
    selector: &mut Selector<'_>,
    graph: GraphId,
    node: &NodeProto,
) -> Result<Site, Unresolved> {
    let gemm = Gemm::of(node);
    let left = node.input.first().map_or("", String::as_str);
    if selector.scopes.resolve(graph, left).is_ok() {
        return expanded::consider(selector, graph, node);
    }
    let operand = selector.operand(graph, node, 1)?;
    let transposed = operand.transposed ^ gemm.trans_b;
    let [depth, width] = matrix(&operand, transposed)?;
    refuse_overflow(selector, depth)?;
    let rank = operand.dims.len();
    // A vector times matrices has an axis less than their scales.
    if rank > 2 && selector.scopes.declared_rank(left).is_none_or(|rank| rank < 2) {
        return expanded::consider(selector, graph, node);
    }
    let axes = Axes { channels: if transposed { 0 } else { rank - 1 }, batch: rank - 2 };
    // One matrix needs no more than its width, which is what engines fuse.
    let scale_dims = if rank == 2 { vec![width] } else { axes.scale_dims(&operand.dims) };
    let weight = selector.want(&operand, axes, Form::MatMulInteger, transposed);
    Ok(Site::MatMul(MatMul { weight, transposed, scale_dims, data_type: operand.data_type, gemm }))
}

/// Depth and width of a constant as the multiplication sees it.
fn matrix(operand: &Operand, transposed: bool) -> Result<[i64; 2], Unresolved> {
    match operand.dims.as_slice() {
        [width, depth] if transposed => Ok([*depth, *width]),
        [.., depth, width] if !transposed => Ok([*depth, *width]),
        dims => Err(because(format!("the weight has {} dimensions", dims.len()))),
    }
}

impl MatMul {
    pub(super) fn weight(&self) -> usize {
        self.weight
    }

    pub(super) fn emit(&self, node: &NodeProto, emitter: &mut Emitter<'_>) {
        let output = node.output.first().map_or("", String::as_str);
        let activation = emitter.activation(&node.input[0], self.data_type);
        let left = if self.gemm.trans_a {
            emitter.transposed(&activation.quantized)
        } else {
            activation.quantized.clone()
        };
        let right = emitter.stored(self.weight, self.transposed);
        let zero = emitter.zero_point(0);
        let integers =
            emitter.apply("MatMulInteger", &[&left, &right, &activation.zero_point, &zero], output);
        let floats = emitter.widen(&integers);
        let dims = emitter.scale_dims(&self.scale_dims);
        let scale = emitter.scale(self.weight, dims, self.gemm.alpha, &activation.scale, output);
        let scaled = emitter.apply("Mul", &[&floats, &scale], output);
        let biased = self.gemm.bias(node, &scaled, self.data_type, emitter);
        emitter.finish(&biased, output, self.data_type);
    }
}
