//! The new model: which nodes, which tensors.

use std::collections::HashSet;

use slipway_kernels::quantize::Scheme;
use slipway_model::onnx::proto::{GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto};
use slipway_model::onnx::{DataType, OnnxModel, is_default_domain};

use super::cut::Cut;
use super::emit::{Emitter, is_transposed, kernel_scheme};
use super::form::Site;
use super::pairs::Pairs;
use super::report::ActivationReport;
use super::select::{Selection, Wanted};
use super::weight::{Bias, BiasTensor, Blocks, Channels, Encoding, Layout, Ordered, Weight};
use super::{Form, Method, Options, QuantizeError};
use crate::calibrate::Calibration;
use crate::file::{FileError, Output, OutputTensor, describe, embed, kept};
use crate::graph::{
    CONTRIB, GraphId, Names, Scopes, Source, attribute, prune, prune_descriptions, raise, raise_ir,
    rewrite as each_graph, use_domain,
};

/// Bytes from which the value of a `Constant` node becomes an initializer, to be copied from file
/// to file.
const LARGE: usize = 1024;

/// A model that is not written yet.
pub(super) struct Rewritten {
    pub(super) output: Output<Weight>,
    pub(super) frozen: Vec<String>,
    pub(super) activations: Vec<ActivationReport>,
}

pub(super) fn rewrite(
    model: &OnnxModel,
    mut proto: ModelProto,
    selection: &Selection,
    options: &Options,
) -> Result<Rewritten, QuantizeError> {
    let mut graph = proto.graph.take().unwrap_or_default();
    let before = Scopes::of(&graph);
    let replaced = replaced_names(&before, selection);
    let tensors: Vec<_> =
        selection.weights.iter().map(|weight| before.tensor(weight.source).clone()).collect();
    let pairs = Pairs::new(&selection.plan, options.calibration.as_ref());
    let mut emitter = Emitter::new(Names::of(&graph), &selection.weights, options.method, pairs);
    let added = replace_nodes(&mut graph, selection, &mut emitter);
    let Emitter { constants, stored, pairs, .. } = emitter;
    let mut activations = pairs.reports;
    activations.sort_by(|left, right| left.name.cmp(&right.name));
    let frozen = prune(&mut graph, &replaced);
    prune_descriptions(&mut graph);
    let mut added = added.into_iter();
    each_graph(&mut graph, &mut |_, graph| graph.value_info.extend(added.next().unwrap_or_default()));
    hoist_constants(&mut graph);
    embed(model, &mut graph, &mut proto.functions)?;
    let live = live_names(&mut graph);
    let old = std::mem::take(&mut graph.initializer);
    let mut outputs = old.into_iter().map(|tensor| kept(model, tensor)).collect::<Result<Vec<_>, _>>()?;
    outputs.extend(constants.into_iter().map(OutputTensor::Whole));
    for ((wanted, tensor), stored) in selection.weights.iter().zip(&tensors).zip(stored) {
        let float_kept = live.contains(&(graph_of(wanted.source), wanted.name.clone()));
        let payload = model.payload(tensor).map_err(FileError::from)?;
        let data_type = DataType::from_code(tensor.data_type()).unwrap_or(DataType::FLOAT);
        outputs.push(OutputTensor::Made(Weight {
            name: wanted.name.clone(),
            stored: stored.name,
            payload,
            data_type,
            layout: layout(wanted),
            form: wanted.form,
            encoding: encoding(wanted, options.method),
            scales: stored.scales,
            biases: biases(model, stored.biases)?,
            corrected: Vec::new(),
            zero_points: stored.zero_points,
            float_kept,
            inputs: wanted.inputs.clone(),
            fitted: None,
        }));
    }
    proto.graph = Some(graph);
    if selection.sites.values().any(Site::needs_integers) {
        raise(&mut proto);
    }
    if selection.sites.values().any(Site::needs_contrib) {
        use_domain(&mut proto, CONTRIB);
    }
    raise_ir(&mut proto);
    let mut spec = serde_json::json!({ "method": options.method, "engine": options.engine, "leastElements": options.least_elements,
        "rules": options.rules });
    if matches!(options.method, Method::Static { .. }) {
        spec["calibration"] = options.calibration.as_ref().map(Calibration::digest).into();
    }
    if let Some(data) = options.data.as_ref().filter(|_| options.method.looks_at_data()) {
        spec["data"] = serde_json::json!({ "digest": data.digest, "samples": data.count() });
    }
    if let Some(data) = &options.bias_correction {
        spec["biasCorrection"] = serde_json::json!({ "digest": data.digest, "samples": data.count() });
    }
    describe(&mut proto, "quantize", spec.to_string(), options.source.as_deref());
    Ok(Rewritten { output: Output { model: proto, tensors: outputs }, frozen, activations })
}

/// Replaces nodes graph by graph; the descriptions to add, in the same order.
fn replace_nodes(
    graph: &mut GraphProto,
    selection: &Selection,
    emitter: &mut Emitter<'_>,
) -> Vec<Vec<ValueInfoProto>> {
    let mut added = Vec::new();
    each_graph(graph, &mut |id, graph| {
        for (place, node) in std::mem::take(&mut graph.node).into_iter().enumerate() {
            match selection.sites.get(&(id, place)) {
                Some(site) => site.emit(&node, emitter),
                None => emitter.keep(node),
            }
        }
        let scratch = emitter.take();
        graph.node = scratch.nodes;
        added.push(scratch.value_info);
    });
    added
}

/// The values that quantized weights replace, and those on the way to them.
fn replaced_names(scopes: &Scopes<'_>, selection: &Selection) -> HashSet<(GraphId, String)> {
    let path = selection
        .path
        .iter()
        .flat_map(|node| scopes.outputs(*node).iter().map(|output| (node.0, output.clone())));
    let sources = selection.weights.iter().map(|weight| (graph_of(weight.source), weight.name.clone()));
    let biases = selection.biases.iter().map(|bias| (graph_of(*bias), scopes.name(*bias).to_owned()));
    path.chain(sources).chain(biases).collect()
}

/// Finds the floats of biases.
fn biases(model: &OnnxModel, tensors: Vec<BiasTensor>) -> Result<Vec<Bias>, FileError> {
    let one = |tensor: BiasTensor| {
        let payload = model.payload(&tensor.bias.tensor)?;
        let data_type = DataType::from_code(tensor.bias.tensor.data_type()).unwrap_or(DataType::FLOAT);
        Ok(Bias { tensor, payload, data_type, means: None })
    };
    tensors.into_iter().map(one).collect()
}

fn graph_of(source: Source) -> GraphId {
    match source {
        Source::Initializer(graph, _) | Source::Constant(graph, _) => graph,
    }
}

fn layout(wanted: &Wanted) -> Layout {
    Layout {
        dims: wanted.dims.clone(),
        batch: wanted.axes.batch,
        axis: wanted.axes.channels,
        transposed: is_transposed(wanted),
    }
}

fn encoding(wanted: &Wanted, method: Method) -> Encoding {
    let cut = Cut::of(method, wanted.axes, &wanted.dims);
    let scheme = match (method, wanted.form) {
        (Method::EightInBlocks { fit, .. }, _) if let Some(cut) = cut => {
            return Encoding::Ordered(Ordered { cut, fit });
        }
        (Method::Half { float }, _) => return Encoding::Half(float),
        (Method::Four { block, zero_points, fit }, Form::MatMulNBits) => {
            return Encoding::Blocks(Blocks { size: block as usize, zero_points, fit });
        }
        (_, Form::ConvInteger) => kernel_scheme(method),
        (Method::Dynamic { reduce_range: true, .. } | Method::Static { reduce_range: true, .. }, _)
            if wanted.is_multiplied =>
        {
            Scheme::INT8_REDUCED
        }
        _ => Scheme::INT8,
    };
    Encoding::Channels(Channels { scheme, granularity: method.granularity() })
}

/// Turns large constants of the main graph into initializers, but for those that the graph gives.
fn hoist_constants(graph: &mut GraphProto) {
    let given: HashSet<String> = graph.output.iter().map(|output| output.name().to_owned()).collect();
    let large = |node: &NodeProto| {
        let name = node.output.first().filter(|name| !given.contains(*name))?;
        let tensor = attribute(node, "value").and_then(|value| value.t.as_ref());
        let tensor = tensor.filter(|tensor| {
            node.op_type() == "Constant"
                && is_default_domain(node.domain())
                && tensor.raw_data.as_ref().is_some_and(|raw| raw.len() >= LARGE)
        })?;
        Some(TensorProto { name: Some(name.clone()), ..tensor.clone() })
    };
    let hoisted: Vec<_> = graph.node.iter().filter_map(large).collect();
    graph.node.retain(|node| large(node).is_none());
    graph.initializer.extend(hoisted);
}

/// Every value that the graphs still have.
fn live_names(graph: &mut GraphProto) -> HashSet<(GraphId, String)> {
    let mut names = HashSet::new();
    each_graph(graph, &mut |id, graph| {
        let outputs = graph.node.iter().flat_map(|node| &node.output).cloned();
        let initializers = graph.initializer.iter().map(|tensor| tensor.name().to_owned());
        names.extend(outputs.chain(initializers).map(|name| (id, name)));
    });
    names
}
