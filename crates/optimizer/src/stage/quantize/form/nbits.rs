//! `MatMulNBits`: a matrix in blocks of four bits, multiplied with float activations.
//!
//! An operator of ONNX Runtime's own domain, which rten runs too when the blocks divide the depth
//! and have no zero points.

use slipway_model::onnx::proto::NodeProto;

use super::super::emit::Emitter;
use super::super::select::{Axes, Selector};
use super::super::{Engine, Form, Method};
use super::matmul::Gemm;
use super::{Site, expanded};
use crate::graph::{CONTRIB, GraphId, Unresolved, int};

/// A multiplication with a constant matrix on the right.
#[derive(Debug)]
pub(in super::super) struct MatMulNBits {
    weight: usize,
    depth: i64,
    width: i64,
    block: i64,
    zero_points: bool,
    data_type: i32,
    gemm: Gemm,
}

/// Takes a matrix in blocks where the engine can, else in eight bits.
pub(super) fn consider(
    selector: &mut Selector<'_>,
    graph: GraphId,
    node: &NodeProto,
) -> Result<Site, Unresolved> {
    let Method::Four { block, zero_points, .. } = selector.options.method else {
        return Err(Unresolved::Computed);
    };
    let gemm = Gemm::of(node);
    let Ok(operand) = selector.operand(graph, node, 1) else {
        return expanded::consider(selector, graph, node);
    };
    let transposed = operand.transposed ^ gemm.trans_b;
    let [depth, width] = match operand.dims.as_slice() {
        [width, depth] if transposed => [*depth, *width],
        [depth, width] => [*depth, *width],
        _ => return expanded::consider(selector, graph, node),
    };
    let block = i64::from(block);
    if selector.options.engine == Engine::Rten && (depth % block != 0 || zero_points) {
        return expanded::consider(selector, graph, node);
    }
    let axes = Axes { channels: usize::from(!transposed), batch: 0 };
    let weight = selector.want(&operand, axes, Form::MatMulNBits, false);
    let data_type = operand.data_type;
    selector.multiplied(weight, graph, node, gemm.trans_a, data_type);
    Ok(Site::NBits(MatMulNBits { weight, depth, width, block, zero_points, data_type, gemm }))
}

impl MatMulNBits {
    pub(super) fn weight(&self) -> usize {
        self.weight
    }

    pub(super) fn emit(&self, node: &NodeProto, emitter: &mut Emitter<'_>) {
        let output = node.output.first().map_or("", String::as_str);
        let mut left = emitter.as_float(&node.input[0], self.data_type);
        if self.gemm.trans_a {
            left = emitter.transposed(&left);
        }
        let blocks = (self.depth + self.block - 1) / self.block;
        let mut inputs = vec![
            left,
            emitter.stored(self.weight, false),
            emitter.scale_tensor(self.weight, &[self.width * blocks], 1.0),
        ];
        if self.zero_points {
            inputs.push(emitter.zero_points(self.weight));
        }
        let attributes =
            vec![int("K", self.depth), int("N", self.width), int("bits", 4), int("block_size", self.block)];
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        let product = emitter.apply_in(CONTRIB, "MatMulNBits", &inputs, output, attributes);
        let product = emitter.times(&product, self.gemm.alpha);
        let biased = self.gemm.bias(node, &product, self.data_type, emitter);
        emitter.finish(&biased, output, self.data_type);
    }
}
