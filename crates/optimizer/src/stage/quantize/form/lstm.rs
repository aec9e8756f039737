//! `DynamicQuantizeLSTM`: an `LSTM` whose products compute in integers, with activations quantized at run time.
//!
//! An operator of ONNX Runtime's own domain, which the built-in engine lacks. It takes each matrix transposed:
//! `W [D, I, 4H]` and `R [D, H, 4H]` for D directions, with a scale and a zero point a column.

use slipway_model::onnx::DataType;
use slipway_model::onnx::proto::NodeProto;

use super::super::emit::Emitter;
use super::super::select::{Axes, Selector};
use super::super::{Engine, Form, Granularity};
use super::{Site, expanded, refuse_overflow};
use crate::graph::{CONTRIB, GraphId, Operand, Unresolved, int_or};

/// The places of `W` and `R` among the operator's inputs.
const PLACES: [usize; 2] = [1, 2];
/// Inputs of an `LSTM`; those of the quantized operator follow them.
const INPUTS: usize = 8;
/// One matrix a direction, whose rows are channels.
const AXES: Axes = Axes { channels: 1, batch: 1 };

/// An `LSTM` with constant matrices.
#[derive(Debug)]
pub(in super::super) struct Lstm {
    weights: [usize; 2],
    /// Directions, and columns of a matrix.
    scale_dims: [i64; 2],
}

/// Takes both matrices where the engine has the operator, else what can be taken in eight bits.
pub(super) fn consider(
    selector: &mut Selector<'_>,
    graph: GraphId,
    node: &NodeProto,
) -> Result<Site, Unresolved> {
    let Some(operands) = operands(selector, graph, node) else {
        return expanded::consider(selector, graph, node);
    };
    let scale_dims = [operands[0].dims[0], operands[0].dims[1]];
    let weights = operands.map(|operand| selector.want(&operand, AXES, Form::DynamicQuantizeLstm, false));
    Ok(Site::Lstm(Lstm { weights, scale_dims }))
}

/// Both matrices, if the operator computes with them as the quantized one does.
fn operands(selector: &Selector<'_>, graph: GraphId, node: &NodeProto) -> Option<[Operand; 2]> {
    let [Ok(w), Ok(r)] = PLACES.map(|place| selector.operand(graph, node, place)) else { return None };
    let is_alike = |operand: &Operand| match operand.dims.as_slice() {
        [_, _, depth] => {
            operand.data_type == DataType::FLOAT.code()
                && operand.dims[..2] == w.dims[..2]
                && refuse_overflow(selector, *depth).is_ok()
        }
        _ => false,
    };
    let fits = selector.options.engine == Engine::OnnxRuntime
        // The quantized operator knows no other order of its axes.
        && int_or(node, "layout", 0) == 0
        && is_alike(&w)
        && is_alike(&r)
        && (selector.options.method.granularity() == Granularity::PerChannel || w.dims[0] == 1);
    fits.then_some([w, r])
}

impl Lstm {
    pub(super) fn emit(&self, node: &NodeProto, emitter: &mut Emitter<'_>) {
        let dims = match emitter.scale_dims(&self.scale_dims) {
            [] => &self.scale_dims[..1],
            dims => dims,
        };
        let mut node = node.clone();
        node.op_type = Some("DynamicQuantizeLSTM".to_owned());
        node.domain = Some(CONTRIB.to_owned());
        node.attribute.retain(|attribute| attribute.name() != "layout");
        node.input.resize(INPUTS, String::new());
        for (place, weight) in PLACES.into_iter().zip(self.weights) {
            let stored = emitter.stored(weight, false);
            node.input[place] = emitter.transposed_matrices(&stored);
            node.input.push(emitter.scale_tensor(weight, dims, 1.0));
            node.input.push(emitter.zeros(dims));
        }
        emitter.keep(node);
    }
}
