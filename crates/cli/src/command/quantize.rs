//! `slipway quantize`: one model file to a smaller one.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use slipway_api::stage::{self, Dynamic, WeightType};
use slipway_optimizer::{
    stage::quantize::{QuantizeReport, quantize_dynamic},
    work,
};

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
  slipway quantize model.onnx small.onnx --scheme dynamic --granularity per-tensor --json")]
pub(crate) struct Quantize {
    /// The ONNX model to read.
    input: PathBuf,
    /// The ONNX model to write.
    output: PathBuf,
    /// How activations are treated.
    #[arg(long, value_enum, default_value_t = Scheme::Dynamic)]
    scheme: Scheme,
    /// One scale for each output channel, or one for the whole tensor.
    #[arg(long, value_enum, default_value_t = Granularity::PerChannel)]
    granularity: Granularity,
}

#[derive(Clone, Copy, ValueEnum)]
enum Scheme {
    /// Weights ahead, activations while the model runs; needs no data.
    Dynamic,
}

#[derive(Clone, Copy, ValueEnum)]
enum Granularity {
    PerChannel,
    PerTensor,
}

impl Quantize {
    pub(crate) fn run(self, json: bool) -> Result<(), Error> {
        let Scheme::Dynamic = self.scheme;
        let granularity = match self.granularity {
            Granularity::PerChannel => stage::Granularity::PerChannel,
            Granularity::PerTensor => stage::Granularity::PerTensor,
        };
        let options = work::options(&Dynamic { weights: WeightType::Int8, granularity });
        let bar = work::Forward(progress::bar(json));
        let report = quantize_dynamic(&self.input, &self.output, &options, &bar)
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
                tensor.sqnr_db.map(|sqnr| format!("{sqnr:.1}")).unwrap_or_default(),
                format!("{:.2e}", tensor.max_error),
            ]
        })
        .collect();
    let mut text = table(&["TENSOR", "SHAPE", "SQNR dB", "MAX ERROR"], &rows);
    for skipped in &report.skipped {
        text = format!("{text}\nleft as it is: {} ({}): {}", skipped.node, skipped.op, skipped.reason);
    }
    format!("{text}\n{} -> {}", bytes(report.size_before), bytes(report.size_after))
}
