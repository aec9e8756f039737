//! `slipway quantize`: one model file to a smaller one.

use std::path::PathBuf;

use clap::Args;
use slipway_optimizer::{
    stage::quantize::{QuantizeReport, quantize},
    work,
};

use super::method::Method;
use crate::{
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
        let options = self.method.options(&self.method.spec()?, &self.input, None, json)?;
        let bar = work::Forward::new(progress::bar(json), "quantizing");
        let report = quantize(&self.input, &self.output, &options, &bar)
            .map_err(|error| Error::file(&self.input, &error))?;
        // The bar leaves the terminal before anything else is written to it.
        drop(bar);
        if json { output::json(&report) } else { output::print(&text(&report)) }
    }
}

fn text(report: &QuantizeReport) -> String {
    let rows: Vec<_> = (report.tensors.iter())
        .map(|tensor| {
            vec![
                tensor.name.clone(),
                format!("{:?}", tensor.shape),
                tensor.scheme.clone(),
                tensor.sqnr_db.map(|sqnr| format!("{sqnr:.1}")).unwrap_or_default(),
                format!("{:.2e}", tensor.max_error),
            ]
        })
        .collect();
    let mut text = table(&["TENSOR", "SHAPE", "STORED AS", "SQNR dB", "MAX ERROR"], &rows);
    for tensor in report.tensors.iter().filter(|tensor| tensor.zeroed_channels > 0) {
        text = format!(
            "{text}\n{}: {} channels became zeros: a scale for each would keep them",
            tensor.name, tensor.zeroed_channels
        );
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
