//! `Conv` in integers.
//!
//! ```text
//! DynamicQuantizeLinear(x) → ConvInteger(x, w) → Cast → Mul(x_scale · w_scale) → Add(bias)
//! ```
//!
//! The weights are `uint8` around a scalar zero point, with the scale of each channel applied afterwards: the only form
//! that every ONNX Runtime since 1.19 runs. The built-in engine gets it where the kernel is a single point; otherwise
//! rten 0.27 pads with the integer 0 where ONNX says the zero point, and forgets the zero points of a batch.

use slipway_model::onnx::is_pointwise;
use slipway_model::onnx::proto::NodeProto;

use super::super::emit::Emitter;
use super::super::select::{Axes, Selector};
use super::super::{Engine, Form};
use super::{Site, because, expanded, refuse_overflow};
use crate::graph::{GraphId, Unresolved};

/// A convolution with a constant kernel.
#[derive(Debug)]
pub(in super::super) struct Conv {
    weight: usize,
    /// The kernel's dimensions: output channels, input channels of a group, then space.
    dims: Vec<i64>,
    data_type: i32,
}

pub(super) fn consider(
    selector: &mut Selector<'_>,
    graph: GraphId,
    node: &NodeProto,
) -> Result<Site, Unresolved> {
    let operand = selector.operand(graph, node, 1)?;
    if operand.transposed || operand.dims.len() < 3 {
        return Err(because(format!("the kernel has {} dimensions", operand.dims.len())));
    }
    if selector.options.engine == Engine::Rten && !is_pointwise(node, &operand.dims[2..]) {
        return expanded::consider(selector, graph, node);
    }
    let depth: i64 = operand.dims[1..].iter().product();
    refuse_overflow(selector, depth)?;
    let weight = selector.want(&operand, Axes { channels: 0, batch: 0 }, Form::ConvInteger, false);
    Ok(Site::Conv(Conv { weight, dims: operand.dims, data_type: operand.data_type }))
}

impl Conv {
    pub(super) fn weight(&self) -> usize {
        self.weight
    }

    pub(super) fn emit(&self, node: &NodeProto, emitter: &mut Emitter<'_>) {
        let output = node.output.first().map_or("", String::as_str);
        let activation = emitter.activation(&node.input[0], self.data_type);
        let kernel = emitter.stored(self.weight, false);
        let zero = emitter.kernel_zero_point();
        let inputs = [&*activation.quantized, &kernel, &activation.zero_point, &zero];
        let integers = emitter.apply_with("ConvInteger", &inputs, output, node.attribute.clone());
        let floats = emitter.widen(&integers);
        let per_channel = self.per_channel();
        let dims = emitter.scale_dims(&per_channel);
        let scale = emitter.scale(self.weight, dims, 1.0, &activation.scale, output);
        let scaled = emitter.apply("Mul", &[&floats, &scale], output);
        let biased = match node.input.get(2).filter(|bias| !bias.is_empty()) {
            Some(bias) => {
                let bias = emitter.as_float(bias, self.data_type);
                let bias = emitter.reshaped(&bias, &per_channel);
                emitter.apply("Add", &[&scaled, &bias], output)
            }
            None => scaled,
        };
        emitter.finish(&biased, output, self.data_type);
    }

    /// The dimensions that spread one value a channel over the output.
    fn per_channel(&self) -> Vec<i64> {
        let space = self.dims.len() - 2;
        std::iter::once(self.dims[0]).chain(std::iter::repeat_n(1, space)).collect()
    }
}
