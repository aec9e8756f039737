//! The new graph: which nodes, which tensors.

use std::collections::HashSet;

use slipway_model::onnx::proto::tensor_proto::DataLocation;
use slipway_model::onnx::proto::{GraphProto, TensorProto};
use slipway_model::onnx::{OnnxModel, Payload};

use super::emit::Emitter;
use super::names::Names;
use super::operand::Source;
use super::output::{Output, OutputTensor, QuantizedWeight};
use super::prune::{prune, prune_descriptions};
use super::select::{Selection, Weight};
use super::tensor::Layout;
use super::{DynamicOptions, QuantizeError, embed, opset};

/// Tensors of fewer bytes are kept in the message itself.
const SMALL: u64 = 1024;

/// A model that is not written yet.
pub(super) struct Rewritten {
    pub(super) output: Output,
    pub(super) frozen: Vec<String>,
    pub(super) opset: i64,
}

pub(super) fn rewrite(
    model: &OnnxModel,
    selection: &Selection,
    options: &DynamicOptions,
) -> Result<Rewritten, QuantizeError> {
    let mut proto = model.proto().clone();
    let opset = opset::raise(&mut proto)?;
    let mut graph = proto.graph.take().unwrap_or_default();
    let replaced = replaced_names(&graph, selection);
    let mut emitter = Emitter::new(Names::of(&graph), &selection.weights, options.granularity);
    for (place, node) in std::mem::take(&mut graph.node).into_iter().enumerate() {
        match selection.candidates.get(&place) {
            Some(candidate) => emitter.replace(&node, candidate),
            None => emitter.nodes.push(node),
        }
    }
    graph.node = std::mem::take(&mut emitter.nodes);
    let frozen = prune(&mut graph, &replaced);
    prune_descriptions(&mut graph, &emitter.value_info);
    embed::embed(model, &mut graph)?;
    let tensors = tensors(model, &mut graph, selection, &emitter, options)?;
    proto.graph = Some(graph);
    Ok(Rewritten { output: Output { model: proto, tensors }, frozen, opset })
}

/// The values that quantized weights replace, and those on the way to them.
fn replaced_names(graph: &GraphProto, selection: &Selection) -> HashSet<String> {
    let path = selection.path.iter().flat_map(|place| &graph.node[*place].output).cloned();
    let initializers = selection.weights.iter().filter_map(|weight| match weight.source {
        Source::Initializer(index) => Some(graph.initializer[index].name().to_owned()),
        Source::Constant(_) => None,
    });
    path.chain(initializers).collect()
}

/// Every tensor of the new main graph, old ones first.
fn tensors(
    model: &OnnxModel,
    graph: &mut GraphProto,
    selection: &Selection,
    emitter: &Emitter<'_>,
    options: &DynamicOptions,
) -> Result<Vec<OutputTensor>, QuantizeError> {
    let names: HashSet<String> = live_names(graph);
    let old = std::mem::take(&mut graph.initializer);
    let mut tensors = old.into_iter().map(|tensor| kept(model, tensor)).collect::<Result<Vec<_>, _>>()?;
    tensors.extend(emitter.constants.iter().cloned().map(OutputTensor::Whole));
    for (weight, weight_names) in selection.weights.iter().zip(&emitter.weights) {
        let quantized = QuantizedWeight {
            name: weight.name.clone(),
            dims: weight.dims(),
            payload: model.payload(&weight.tensor)?,
            layout: Layout::of(&weight.tensor.dims, weight.transposed, options.granularity),
            names: weight_names.clone(),
            weights: options.weights,
            float_kept: names.contains(&source_name(model, weight)),
        };
        tensors.push(OutputTensor::Quantized(Box::new(quantized)));
    }
    Ok(tensors)
}

fn live_names(graph: &GraphProto) -> HashSet<String> {
    let outputs = graph.node.iter().flat_map(|node| &node.output).cloned();
    outputs.chain(graph.initializer.iter().map(|tensor| tensor.name().to_owned())).collect()
}

fn source_name(model: &OnnxModel, weight: &Weight) -> String {
    match weight.source {
        Source::Initializer(index) => model.graph().initializer[index].name().to_owned(),
        Source::Constant(place) => model.graph().node[place].output.first().cloned().unwrap_or_default(),
    }
}

/// A tensor that stays as it is: small ones whole, large ones copied from file to file.
fn kept(model: &OnnxModel, mut tensor: TensorProto) -> Result<OutputTensor, QuantizeError> {
    let external = tensor.data_location() == DataLocation::External;
    if !external && tensor.raw_data.is_none() {
        return Ok(OutputTensor::Whole(tensor));
    }
    let payload = model.payload(&tensor)?;
    if payload.len() >= SMALL && matches!(payload, Payload::File { .. }) {
        tensor.raw_data = None;
        tensor.external_data.clear();
        tensor.data_location = None;
        return Ok(OutputTensor::Copied { header: tensor, payload });
    }
    if external {
        embed::inline(model, &mut tensor)?;
    }
    Ok(OutputTensor::Whole(tensor))
}
