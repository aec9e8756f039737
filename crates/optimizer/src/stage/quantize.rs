//! The stage `quantize`: fewer bits for the weights of a model.
//!
//! [`quantize`] looks at every operator with a constant float weight, in the main graph, in the
//! bodies of `If`, `Loop` and `Scan` and in functions, and gives it one of the forms of [`Form`].
//! The weights are streamed through fixed buffers, so that memory does not grow with the model.
//! The input is never touched, and the output appears whole or not at all.

mod account;
mod choice;
mod correction;
mod cut;
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

use slipway_model::onnx::{Limits, OnnxModel};

use crate::file::{FileError, Target, Written, destination, digest, source_of, total_len, write};
use crate::graph::opset;
use crate::progress::Progress;

pub use super::Skipped;
pub(crate) use choice::activations;
pub use choice::{Candidate, RTEN_IS_SLOWER, quantizable};
use choice::{Chosen, choose};
use correction::Corrections;
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
/// holds its tensors itself below [`Options::inline_limit`] and keeps them in `<output>.<digest>.data`
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
    let model = OnnxModel::open_with(input, Limits::STREAMED)?;
    let own = refuse_another(&model, options)?;
    let target = Target::beside(&model, &destination(output)?)?;
    let source = source_of(&model, options.source.as_ref().or(own.as_ref()).map(String::as_str))?;
    let options = &Options { source: Some(source), ..options.clone() };
    let before = total_len(&model)?;
    let corrections = Corrections::of(&model, options, progress)?;
    let mut lost = BTreeMap::new();
    loop {
        let attempt = attempt(&model, &target, options, &lost, &corrections, progress)?;
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
    let odd = |block: &u32| !(16..=256).contains(block) || !block.is_power_of_two();
    if let Some(block) = options.method.block().filter(odd) {
        let reason = format!("a block of {block}: it has to be a power of two from 16 to 256");
        return Err(QuantizeError::Options { reason });
    }
    match (options.method, options.engine) {
        (Method::EightInBlocks { fit: Fit::HalfQuadratic | Fit::Gptq, .. }, _) => {
            Err(QuantizeError::Options {
                reason: "blocks of 8 bits are fitted by Nearest or LeastSquares: the others are for 4 bits"
                    .into(),
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
        (Method::Half { .. } | Method::Four { fit: Fit::Gptq, .. }, _) if options.bias_correction.is_some() => {
            Err(QuantizeError::Options {
                reason: "bias correction is for integers that were not chosen by data: leave it out of 16-bit floats and of fit: Gptq".into(),
            })
        }
        (method, _) if method.looks_at_data() && options.data.is_none() => Err(QuantizeError::Options {
            reason: "fit: Gptq needs data: samples whose activations decide which integers are chosen".into(),
        }),
        (Method::Half { float: HalfFloat::Bfloat16 }, Engine::Rten) => Err(QuantizeError::Options {
            reason: "the built-in engine cannot load bfloat16: take float16, or ONNX Runtime".into(),
        }),
        _ => Ok(()),
    }
}

/// Refuses a calibration of another model; the model's digest, where its files were read for it.
fn refuse_another(model: &OnnxModel, options: &Options) -> Result<Option<String>, QuantizeError> {
    let (Method::Static { .. }, Some(calibration)) = (options.method, &options.calibration) else {
        return Ok(None);
    };
    let own = digest(model).map_err(FileError::Digest)?;
    if calibration.model == own {
        return Ok(Some(own));
    }
    let reason =
        format!("the calibration is of model {}, this one is {own}: calibrate this one", calibration.model);
    Err(QuantizeError::Options { reason })
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
    corrections: &Corrections,
    progress: &dyn Progress,
) -> Result<Attempt, QuantizeError> {
    let Chosen { proto, mut selection, options, mut notes } = choose(model, options, lost, corrections)?;
    let skipped = selection.skipped();
    if selection.sites.is_empty() {
        return Err(QuantizeError::NothingChanged { skipped });
    }
    let mut rewritten = rewrite::rewrite(model, proto, &selection, &options)?;
    notes.extend(corrections.attach(&mut rewritten.output, &selection));
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
