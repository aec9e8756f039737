//! Which form of a model is quantized, and what of it.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use slipway_model::onnx::proto::{ModelProto, NodeProto};
use slipway_model::onnx::{Limits, OnnxModel};

use super::correction::Corrections;
use super::rules::refuse_unmatched;
use super::select::{Selection, select};
use super::weight::Loss;
use super::{
    Engine, Granularity, HalfFloat, Method, Options, QuantizeError, check, planning, refuse_another,
};
use crate::graph::{inline_functions, node_name, opset, raise_to_13, reaches_11, refuse_old};

/// An operator with a weight that can be quantized.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The node's name, or that of its first output: what a [`Rule`] matches.
    pub node: String,
    /// Its operator. Example: `MatMul`.
    pub op: String,
}

impl Candidate {
    pub(super) fn of(node: &NodeProto) -> Self {
        Self { node: node_name(node).to_owned(), op: node.op_type().to_owned() }
    }
}

/// The operators whose weights [`quantize`] would store in fewer bits, in the order of the graph, each name once.
///
/// # Errors
/// As [`quantize`], but for what is known only when weights were read.
pub fn quantizable(input: &Path, options: &Options) -> Result<Vec<Candidate>, QuantizeError> {
    check(options)?;
    let model = OnnxModel::open_with(input, Limits::STREAMED)?;
    refuse_another(&model, options)?;
    let mut selection = choose(&model, options, &BTreeMap::new(), &Corrections::default())?.selection;
    if selection.users.is_empty() {
        return Err(QuantizeError::NothingChanged { skipped: selection.skipped() });
    }
    let mut seen = HashSet::new();
    Ok(selection.users.into_iter().filter(|candidate| seen.insert(candidate.node.clone())).collect())
}

/// The activations whose ranges [`Method::Static`] asks for, in the order of the graph.
pub(crate) fn activations(model: &OnnxModel) -> Vec<String> {
    let mut proto = model.proto().clone();
    inline_functions(&mut proto);
    raise_to_13(&mut proto);
    proto.graph.as_ref().map(planning::activations_of).unwrap_or_default()
}

/// A model in the form in which it is quantized, and what is going to be.
pub(super) struct Chosen {
    pub(super) proto: ModelProto,
    pub(super) selection: Selection,
    pub(super) options: Options,
    pub(super) notes: Vec<String>,
}

/// Decides what is quantized, with some weights left as they are and some biases about to be corrected.
pub(super) fn choose(
    model: &OnnxModel,
    options: &Options,
    lost: &BTreeMap<String, Loss>,
    corrections: &Corrections,
) -> Result<Chosen, QuantizeError> {
    let mut proto = model.proto().clone();
    inline_functions(&mut proto);
    refuse_old(&proto).map_err(|reason| QuantizeError::Options { reason })?;
    refuse_bfloat16(options.method, opset(&proto))?;
    let (options, notes) = suited(&mut proto, options);
    refuse_unmatched(&options.rules, &proto)?;
    corrections.prepare(&mut proto);
    let graph = proto.graph.as_ref().expect("a model without a graph is refused on opening");
    let mut selection = select(&proto, graph, &options, reaches_11(&proto), lost);
    corrections.replace(graph, &mut selection);
    Ok(Chosen { proto, selection, options, notes })
}

/// The model and the options as the method needs them: static quantization wants opset 13, and makes do with one scale
/// a tensor where the opset cannot be raised.
fn suited(proto: &mut ModelProto, options: &Options) -> (Options, Vec<String>) {
    let mut options = options.clone();
    let mut notes = Vec::new();
    let Method::Static { granularity, reduce_range } = options.method else { return (options, notes) };
    if !raise_to_13(proto) && granularity == Granularity::PerChannel {
        options.method = Method::Static { granularity: Granularity::PerTensor, reduce_range };
        notes.push(format!(
            "opset {} cannot be raised to 13, where a channel can have a scale of its own: weights have one scale a tensor",
            opset(proto)
        ));
    }
    if options.engine == Engine::Rten {
        notes.push(RTEN_IS_SLOWER.to_owned());
    }
    (options, notes)
}

/// What static quantization means for the built-in engine.
pub const RTEN_IS_SLOWER: &str = "the built-in engine (rten) does not fuse QuantizeLinear and DequantizeLinear: there the \
     model is smaller and slower than with floats; serve it with ONNX Runtime, or take dynamic";

/// Refuses what no operator of the model's opset can read.
fn refuse_bfloat16(method: Method, opset: i64) -> Result<(), QuantizeError> {
    /// Since when `Cast` takes it (ONNX, Changelog.md).
    const KNOWN: i64 = 13;
    let asked = matches!(method, Method::Half { float: HalfFloat::Bfloat16 });
    if asked && opset < KNOWN {
        let reason =
            format!("bfloat16 needs opset {KNOWN}, the model has {opset}: take float16, or export it again");
        return Err(QuantizeError::Options { reason });
    }
    Ok(())
}
