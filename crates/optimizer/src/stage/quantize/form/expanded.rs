//! Any operator as it is, with its weight brought back to floats before it.
//!
//! ```text
//! Cast(w) → Mul(w_scale) → the operator
//! Cast(w) → Mul(w_scale) → Reshape → the operator, in blocks: w [K/b, b, N], w_scale [K/b, 1, N]
//! ```
//!
//! Engines compute this once, when they load the model: the file is small, the speed that of
//! floats. It needs no operator newer than opset 7.

use slipway_model::onnx::proto::NodeProto;

use super::super::Form;
use super::super::cut::Cut;
use super::super::emit::Emitter;
use super::super::select::{Axes, Selector};
use super::{Site, because};
use crate::graph::{GraphId, Operand, Unresolved, flag};

/// An operator with constant inputs.
#[derive(Debug)]
pub(in super::super) struct Expanded {
    inputs: Vec<Input>,
}

#[derive(Debug)]
struct Input {
    /// Its place among the operator's inputs.
    place: usize,
    weight: usize,
    transposed: bool,
    /// The dimensions that spread a scale over the weight.
    scale_dims: Vec<i64>,
    /// The dimensions to go back to, where it is stored in blocks.
    dims: Option<Vec<i64>>,
    data_type: i32,
}

/// Takes those of the inputs that are constants; an error when none can be taken.
pub(super) fn consider(
    selector: &mut Selector<'_>,
    graph: GraphId,
    node: &NodeProto,
) -> Result<Site, Unresolved> {
    let mut inputs = Vec::new();
    let mut reason = Unresolved::Computed;
    for place in places(node) {
        match selector.operand(graph, node, *place) {
            Ok(operand) if operand.dims.len() >= least_dims(node) => {
                inputs.push(input(selector, node, *place, &operand));
            }
            Ok(operand) => reason = because(format!("the weight has {} dimensions", operand.dims.len())),
            Err(why @ Unresolved::Because(_)) => reason = why,
            Err(Unresolved::Computed) => {}
        }
    }
    if inputs.is_empty() { Err(reason) } else { Ok(Site::Expanded(Expanded { inputs })) }
}

/// The inputs of an operator that may be weights.
fn places(node: &NodeProto) -> &'static [usize] {
    match node.op_type() {
        "MatMul" => &[0, 1],
        "Gather" => &[0],
        "LSTM" | "GRU" | "RNN" => &[1, 2],
        _ => &[1],
    }
}

/// Dimensions of a weight, at least: a kernel has one for space.
fn least_dims(node: &NodeProto) -> usize {
    if node.op_type().starts_with("Conv") { 3 } else { 2 }
}

fn input(selector: &mut Selector<'_>, node: &NodeProto, place: usize, operand: &Operand) -> Input {
    let axes = axes(node, place, operand);
    let cut = Cut::of(selector.options.method, axes, &operand.dims);
    Input {
        place,
        weight: selector.want(operand, axes, Form::Expanded, false),
        transposed: operand.transposed,
        scale_dims: cut.map_or_else(|| axes.scale_dims(&operand.dims), |cut| cut.scale_dims(&operand.dims)),
        dims: cut.map(|_| operand.dims.clone()),
        data_type: operand.data_type,
    }
}

/// Where the output's channels lie in the stored tensor.
fn axes(node: &NodeProto, place: usize, operand: &Operand) -> Axes {
    let rank = operand.dims.len();
    let (channels, batch) = match (node.op_type(), place) {
        // The rows of a left operand are the rows of the product.
        ("MatMul", 0) => (rank - 2, rank - 2),
        ("MatMul", _) => (rank - 1, rank - 2),
        ("Gemm", _) => (usize::from(!flag(node, "transB")), 0),
        ("ConvTranspose", _) => (1, 0),
        // One matrix a direction.
        ("LSTM" | "GRU" | "RNN", _) => (1, 1),
        _ => (0, 0),
    };
    Axes { channels: if operand.transposed { 1 - channels } else { channels }, batch }
}

impl Expanded {
    /// The weight that is the operator's second input.
    pub(super) fn weight(&self) -> Option<usize> {
        self.inputs.iter().find(|input| input.place == 1).map(|input| input.weight)
    }

    pub(super) fn emit(&self, node: &NodeProto, emitter: &mut Emitter<'_>) {
        let mut node = node.clone();
        for input in &self.inputs {
            node.input[input.place] = input.emit(emitter);
        }
        emitter.keep(node);
    }
}

impl Input {
    fn emit(&self, emitter: &mut Emitter<'_>) -> String {
        let key = (self.weight, self.transposed, self.data_type);
        if let Some(known) = emitter.expanded(key) {
            return known;
        }
        let stored = emitter.stored(self.weight, false);
        let floats = emitter.widen(&stored);
        let mut value = floats;
        if emitter.has_scales() {
            let dims = emitter.scale_dims(&self.scale_dims);
            let scale = emitter.scale_tensor(self.weight, dims, 1.0);
            value = emitter.apply("Mul", &[&value, &scale], &stored);
        }
        if let Some(dims) = &self.dims {
            value = emitter.reshaped(&value, dims);
        }
        if self.transposed {
            value = emitter.transposed(&value);
        }
        value = emitter.narrow(&value, self.data_type);
        emitter.remember(key, &value);
        value
    }
}
