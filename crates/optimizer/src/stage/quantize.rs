//! The stage `quantize`: fewer bits for the weights of a model.
//!
//! [`quantize_dynamic`] gives every `MatMul` and `Gemm` with a constant float weight an 8-bit one
//! and measures the activations at run time:
//!
//! ```text
//! DynamicQuantizeLinear(x) → MatMulInteger(x, w) → Cast → Mul(x_scale · w_scale) → Add(bias)
//! ```
//!
//! which is the form that ONNX Runtime and rten both run, and fuse. The weights are streamed
//! through fixed buffers, so that memory does not grow with the model. The input is never
//! touched, and the output appears whole or not at all.

mod embed;
mod emit;
mod error;
mod file;
mod gemm;
mod names;
mod operand;
mod opset;
mod options;
mod output;
mod prune;
mod report;
mod rewrite;
mod select;
mod target;
mod tensor;
mod uses;

use std::path::Path;

use slipway_model::onnx::OnnxModel;

use crate::progress::Progress;

pub use error::QuantizeError;
pub use options::{DynamicOptions, Granularity, WeightType};
pub use report::{QuantizeReport, Skipped, TensorReport};

/// Quantizes the weights of the model at `input` and writes the result to `output`.
///
/// Names, types and dimensions of what a caller gives and gets stay as they are; initializers
/// that a graph also lists as inputs count as constants, and those that are quantized are named
/// in [`QuantizeReport::frozen`]. The file holds its tensors itself below
/// [`DynamicOptions::inline_limit`] and keeps them in `<output>.data` beside it above. The bytes
/// written depend on the input and the options alone.
///
/// # Errors
/// [`QuantizeError::NothingChanged`] when no weight can be quantized, with a reason a node;
/// [`QuantizeError::Bigger`] when the result would not be smaller;
/// [`QuantizeError::NotFinite`] for weights that are NaN or infinite. See the type for the rest.
pub fn quantize_dynamic(
    input: &Path,
    output: &Path,
    options: &DynamicOptions,
    progress: &dyn Progress,
) -> Result<QuantizeReport, QuantizeError> {
    let model = OnnxModel::open(input)?;
    let place = target::Target::beside(&model, output)?;
    let selection = select::select(&model, options);
    if selection.candidates.is_empty() {
        return Err(QuantizeError::NothingChanged { skipped: selection.skipped });
    }
    let rewritten = rewrite::rewrite(&model, &selection, options)?;
    let before = target::total_len(&model)?;
    let written = file::write(rewritten.output, &place, options, progress)?;
    if written.bytes >= before && !options.allow_bigger {
        return Err(QuantizeError::Bigger { before, after: written.bytes });
    }
    let kept = written.keep(&place)?;
    Ok(QuantizeReport {
        tensors: kept.tensors,
        skipped: selection.skipped,
        frozen: rewritten.frozen,
        opset: rewritten.opset,
        size_before: before,
        size_after: kept.bytes,
        external_data: kept.external,
    })
}
