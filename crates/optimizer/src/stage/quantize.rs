//! The stage `quantize`: fewer bits for the weights of a model.
//!
//! [`quantize`] looks at every operator with a constant float weight, in the main graph, in the
//! bodies of `If`, `Loop` and `Scan` and in functions, and gives it one of the forms of [`Form`].
//! The weights are streamed through fixed buffers, so that memory does not grow with the model.
//! The input is never touched, and the output appears whole or not at all.

mod account;
mod emit;
mod error;
mod form;
mod near;
mod options;
mod pairs;
mod planning;
mod qdq;
mod report;
mod rewrite;
mod rules;
mod select;
mod weight;

use std::collections::BTreeMap;
use std::path::Path;

use slipway_model::onnx::OnnxModel;
use slipway_model::onnx::proto::ModelProto;

use crate::calibrate::digest;
use crate::file::{Target, Written, total_len, write};
use crate::graph::{inline_functions, opset, raise_to_13, reaches_11};
use crate::progress::Progress;

pub use super::Skipped;
pub use error::QuantizeError;
pub use options::{Engine, Fit, Granularity, HalfFloat, Method, Options};
pub use report::{ActivationReport, Form, QuantizeReport, TensorReport};
pub use rules::Rule;
use weight::Loss;

/// Quantizes the weights of the model at `input` and writes the result to `output`.
///
/// Names, types and dimensions of what a caller gives and gets stay as they are; initializers
/// that a graph also lists as inputs count as constants, and those that are quantized are named
/// in [`QuantizeReport::frozen`]. Functions are written out in place of their calls. The file
/// holds its tensors itself below [`Options::inline_limit`] and keeps them in `<output>.data`
/// beside it above. The bytes written depend on the input and the options alone.
///
/// # Errors
/// [`QuantizeError::NothingChanged`] when no weight can be quantized, with a reason a node;
/// [`QuantizeError::Bigger`] when the result would not be smaller; a
/// [`FileError`](crate::file::FileError) for weights that are NaN or infinite, and for files that
/// cannot be read or written.
pub fn quantize(
    input: &Path,
    output: &Path,
    options: &Options,
    progress: &dyn Progress,
) -> Result<QuantizeReport, QuantizeError> {
    check(options)?;
    let model = OnnxModel::open(input)?;
    refuse_another(&model, options)?;
    let target = Target::beside(&model, output)?;
    let before = total_len(&model)?;
    let mut lost = BTreeMap::new();
    loop {
        let attempt = attempt(&model, &target, options, &lost, progress)?;
        if lost.len() < attempt.lost.len() {
            lost = attempt.lost;
            continue;
        }
        if attempt.written.bytes >= before && !options.allow_bigger {
            return Err(QuantizeError::Bigger { before, after: attempt.written.bytes });
        }
        return attempt.keep(&target, before);
    }
}

/// Refuses what no model could be made from, or what the engine could not load.
fn check(options: &Options) -> Result<(), QuantizeError> {
    match (options.method, options.engine) {
        (Method::Four { block, .. }, _) if block < 16 || !block.is_power_of_two() => {
            Err(QuantizeError::Options {
                reason: format!("a block of {block}: it has to be a power of two from 16 up"),
            })
        }
        (Method::Four { zero_points: true, .. }, Engine::Rten) => Err(QuantizeError::Options {
            reason:
                "the built-in engine takes no zero points of blocks: leave them out, or take ONNX Runtime"
                    .into(),
        }),
        (Method::Static { .. }, _) if options.calibration.is_none() => Err(QuantizeError::Options {
            reason: "static quantization needs a calibration: the ranges of activations on data".into(),
        }),
        (method, _) if method.looks_at_data() && options.data.is_none() => Err(QuantizeError::Options {
            reason: "fit: Gptq needs data: samples whose activations decide which integers are chosen".into(),
        }),
        (Method::Half { float: HalfFloat::Bfloat16 }, Engine::Rten) => Err(QuantizeError::Options {
            reason: "the built-in engine cannot load bfloat16: take float16, or ONNX Runtime".into(),
        }),
        _ => Ok(()),
    }
}

/// Refuses a model whose operators do not spread scales over tensors.
fn refuse_old(opset: i64) -> Result<(), QuantizeError> {
    /// Since when `Mul` and `Add` broadcast by themselves (ONNX, Changelog.md).
    const BROADCASTS: i64 = 7;
    if opset < BROADCASTS {
        let reason = format!("the model has opset {opset}, and {BROADCASTS} is needed: export it again");
        return Err(QuantizeError::Options { reason });
    }
    Ok(())
}

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

/// Refuses a calibration of another model.
fn refuse_another(model: &OnnxModel, options: &Options) -> Result<(), QuantizeError> {
    let (Method::Static { .. }, Some(calibration)) = (options.method, &options.calibration) else {
        return Ok(());
    };
    let own = digest(model)?;
    if calibration.model == own {
        return Ok(());
    }
    let reason =
        format!("the calibration is of model {}, this one is {own}: calibrate this one", calibration.model);
    Err(QuantizeError::Options { reason })
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

/// The activations whose ranges [`Method::Static`] asks for, in the order of the graph.
pub(crate) fn activations(model: &OnnxModel) -> Vec<String> {
    let mut proto = model.proto().clone();
    inline_functions(&mut proto);
    raise_to_13(&mut proto);
    proto.graph.as_ref().map(planning::activations_of).unwrap_or_default()
}

/// An output that has no name yet.
struct Attempt {
    written: Written<weight::Stored>,
    activations: Vec<ActivationReport>,
    notes: Vec<String>,
    skipped: Vec<Skipped>,
    vectors: Vec<String>,
    frozen: Vec<String>,
    opset: i64,
    /// Every weight found so far of which nothing but a few values would be left.
    lost: BTreeMap<String, Loss>,
}

/// Writes the output with some weights left as they are.
fn attempt(
    model: &OnnxModel,
    target: &Target,
    options: &Options,
    lost: &BTreeMap<String, Loss>,
    progress: &dyn Progress,
) -> Result<Attempt, QuantizeError> {
    let mut proto = model.proto().clone();
    inline_functions(&mut proto);
    refuse_old(opset(&proto))?;
    refuse_bfloat16(options.method, opset(&proto))?;
    let (options, mut notes) = suited(&mut proto, options);
    rules::refuse_unmatched(&options.rules, &proto)?;
    let integers = reaches_11(&proto);
    let graph = proto.graph.as_ref().expect("a model without a graph is refused on opening");
    let mut selection = select::select(&proto, graph, &options, integers, lost);
    let skipped = selection.skipped();
    if selection.sites.is_empty() {
        return Err(QuantizeError::NothingChanged { skipped });
    }
    let mut rewritten = rewrite::rewrite(model, proto, &selection, &options)?;
    if let Some(data) = options.data.as_ref().filter(|_| options.method.looks_at_data()) {
        let mut weights = rewritten.output.made();
        notes.extend(weight::fit(&mut weights, model.path(), data, target.folder(), progress)?);
    }
    let opset = opset(&rewritten.output.model);
    let written = write(rewritten.output, target, options.inline_limit, progress)?;
    let found = written.reports.iter().filter_map(|stored| Some((stored.report.name.clone(), stored.loss?)));
    let lost = found.chain(lost.clone()).collect();
    let (frozen, activations) = (rewritten.frozen, rewritten.activations);
    let vectors = selection.vectors.into_iter().collect();
    Ok(Attempt { written, activations, notes, skipped, vectors, frozen, opset, lost })
}

impl Attempt {
    fn keep(self, target: &Target, size_before: u64) -> Result<QuantizeReport, QuantizeError> {
        let Self { written, activations, notes, skipped, vectors, frozen, opset, lost: _ } = self;
        let (size_after, external_data) = (written.bytes, written.is_external());
        let stored = written.keep(target)?;
        Ok(QuantizeReport {
            tensors: stored.into_iter().map(|stored| stored.report).collect(),
            activations,
            notes,
            skipped,
            vectors,
            frozen,
            opset,
            size_before,
            size_after,
            external_data,
        })
    }
}
