//! `slipway quantize`: one model file to a smaller one.

use std::path::PathBuf;

use clap::Args;
use slipway_api::stage::{Quantize as Spec, StoredType, WeightOnly};
use slipway_optimizer::{
    stage::quantize::{Form, QuantizeReport, TensorReport, quantize},
    work,
};

use super::{engine, method::Method};
use crate::{
    destination,
    error::Error,
    output::{self, bytes, table},
    progress,
};

/// Store a model's weights in fewer bits
///
/// Writes the new file aside and renames it; the input is never touched. Fails when nothing would change.
#[derive(Args)]
#[command(after_help = "\
Examples:
  slipway quantize model.onnx small.onnx --scheme dynamic
  slipway quantize model.onnx small.onnx --scheme dynamic --granularity per-tensor --json
  slipway quantize model.onnx small.onnx --scheme weight-only --weights int8 --block 64
  slipway quantize model.onnx small.onnx --scheme weight-only --weights int4 --block 32
  slipway quantize model.onnx small.onnx --scheme weight-only --weights int4 --zero-points --engine onnxruntime
  slipway quantize model.onnx small.onnx --scheme weight-only --weights int4 --fit gptq --data samples.npz
  slipway quantize model.onnx small.onnx --scheme static --data samples.npz
  slipway quantize model.onnx small.onnx --scheme weight-only --correct-bias --data samples.npz
  slipway quantize model.onnx small.onnx --stages stages.yaml
  slipway quantize model.onnx small.onnx --keep-float '/head/*'")]
pub(crate) struct Quantize {
    /// The ONNX model to read.
    input: PathBuf,
    /// The ONNX model to write.
    output: PathBuf,
    #[command(flatten)]
    method: Method,
}

impl Quantize {
    pub(crate) fn run(self, json: bool) -> Result<(), Error> {
        let spec = self.method.spec()?;
        let model = destination::files(&self.input);
        destination::check(&self.output, model.iter().map(PathBuf::as_path).chain(self.method.read()))?;
        let options = self.method.options(&spec, &self.input, None, json)?;
        let bar = progress::Ending(work::Forward::new(progress::bar(json), "quantizing"));
        let report = quantize(&self.input, &self.output, &options, &bar)
            .map_err(|error| engine::failed(&self.input, &error))?;
        // The bar leaves the terminal before anything else is written to it.
        drop(bar);
        if json { output::json(&report) } else { output::print(&text(&report, &spec)) }
    }
}

fn text(report: &QuantizeReport, spec: &Spec) -> String {
    let rows: Vec<_> = (report.tensors.iter())
        .map(|tensor| {
            vec![
                tensor.name.clone(),
                format!("{:?}", tensor.shape),
                tensor.scheme.clone(),
                tensor.sqnr_db.map(|sqnr| format!("{sqnr:.1}")).unwrap_or_default(),
                tensor.max_error.map(|error| format!("{error:.2e}")).unwrap_or_default(),
            ]
        })
        .collect();
    let mut text = table(&["TENSOR", "SHAPE", "STORED AS", "SQNR dB", "MAX ERROR"], &rows);
    for note in report.tensors.iter().flat_map(|tensor| losses(tensor).into_iter().chain(missing(tensor))) {
        text = format!("{text}\n{note}");
    }
    for note in data_words(report).iter().chain(&undivided(report, spec)) {
        text = format!("{text}\n{note}");
    }
    for note in &report.notes {
        text = format!("{text}\nnote: {note}");
    }
    for skipped in &report.skipped {
        let op = if skipped.op.is_empty() { String::new() } else { format!(" ({})", skipped.op) };
        text = format!("{text}\nleft as it is: {}{op}: {}", skipped.node, skipped.reason);
    }
    format!("{text}\n{} -> {}", bytes(report.size_before), bytes(report.size_after))
}

/// Channels of which nothing useful is left.
fn losses(tensor: &TensorReport) -> Option<String> {
    let TensorReport { name, lost_channels: count, scheme, .. } = tensor;
    let what = match count {
        0 => return None,
        1 => "1 channel".to_owned(),
        _ => format!("{count} channels"),
    };
    Some(if scheme.contains("float") {
        format!("{name}: {what} too small for 16-bit floats: int8 with a scale for each would keep them")
    } else {
        format!("{name}: {what} became zeros: a scale for each would keep them")
    })
}

/// Why a figure is missing.
fn missing(tensor: &TensorReport) -> Option<String> {
    tensor.unmeasured.as_ref().map(|reason| format!("{}: no error is told: {reason}", tensor.name))
}

/// What data decided.
fn data_words(report: &QuantizeReport) -> Vec<String> {
    let counted =
        |is: fn(&TensorReport) -> bool| tensors(report.tensors.iter().filter(|one| is(one)).count());
    let chosen = counted(|tensor| tensor.on_data)
        .map(|what| format!("integers of {what} were chosen by data: judge the answers, not the SQNR"));
    let corrected = counted(|tensor| tensor.bias_corrected)
        .map(|what| format!("biases of the products of {what} are corrected"));
    chosen.into_iter().chain(corrected).collect()
}

/// Matrices in eight bits, where four were wanted and a block does not divide them.
fn undivided(report: &QuantizeReport, spec: &Spec) -> Option<String> {
    let four = spec.weight_only.as_ref().filter(|spec| spec.weights == StoredType::Int4)?;
    let block = four.block.unwrap_or(WeightOnly::BLOCK);
    let divides = |size: &u64| u64::try_from(block).is_ok_and(|block| size.is_multiple_of(block));
    let is_undivided = |tensor: &&TensorReport| {
        let is_eight = tensor.form == Form::Expanded && tensor.scheme.starts_with("int8");
        is_eight && tensor.shape.len() == 2 && !tensor.shape.iter().all(divides)
    };
    let what = tensors(report.tensors.iter().filter(is_undivided).count())?;
    Some(format!(
        "{what} of two dimensions stored as int8: int4 needs a depth that the block of {block} divides"
    ))
}

/// A number of tensors in words, where there are any.
fn tensors(count: usize) -> Option<String> {
    match count {
        0 => None,
        1 => Some("1 tensor".to_owned()),
        _ => Some(format!("{count} tensors")),
    }
}
