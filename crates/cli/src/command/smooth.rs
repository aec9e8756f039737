//! `slipway smooth`: ranges that are easier to quantize.

use std::path::PathBuf;

use clap::Args;
use slipway_api::{Fraction, stage};
use slipway_optimizer::{
    stage::smooth::{SmoothReport, smooth},
    work,
};

use super::{
    binding::Binding,
    engine::{self, EngineArgs},
    scratch::Scratch,
};
use crate::{
    destination,
    error::Error,
    output::{self, bytes, table},
    progress,
};

/// Move a part of the range of activations into weights, so that integers lose less
///
/// The model computes the same but for rounding; quantize it afterwards. Writes the new file aside and renames it.
#[derive(Args)]
#[command(after_help = "\
Examples:
  slipway smooth model.onnx samples.npz smooth.onnx
  slipway smooth model.onnx samples.npz smooth.onnx --alpha 0.7
  slipway quantize smooth.onnx small.onnx --scheme static --data samples.npz")]
pub(crate) struct Smooth {
    /// The ONNX model to read.
    input: PathBuf,
    /// The data: a .npz file whose leading axes count samples.
    data: PathBuf,
    /// The ONNX model to write.
    output: PathBuf,
    #[command(flatten)]
    engine: EngineArgs,
    /// The share of the range that moves: 0 makes weights even, 1 activations. Default: 0.5.
    #[arg(long, value_name = "SHARE")]
    alpha: Option<Fraction>,
    /// Maximum number of samples to run, spread evenly over the data.
    #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(i32).range(1..=100_000))]
    samples: i32,
    #[command(flatten)]
    binding: Binding,
    #[command(flatten)]
    scratch: Scratch,
}

impl Smooth {
    pub(crate) fn run(self, json: bool) -> Result<(), Error> {
        let spec = stage::Smooth { alpha: self.alpha, samples: self.samples, ..stage::Smooth::on("data") };
        let model = destination::files(&self.input);
        destination::check(&self.output, model.iter().chain([&self.data]).map(PathBuf::as_path))?;
        let mut data = self.binding.data(&self.input, &self.data, self.samples, self.engine)?;
        data.capture.scratch = self.scratch.folder();
        let bar = progress::Ending(work::Forward::new(progress::bar(json), "smoothing"));
        let report = smooth(&self.input, &self.output, &data, &work::smooth::options(&spec), &bar)
            .map_err(|error| engine::failed(&self.input, &error))?;
        // The bar leaves the terminal before anything else is written to it.
        drop(bar);
        if json { output::json(&report) } else { output::print(&text(&report)) }
    }
}

fn text(report: &SmoothReport) -> String {
    let rows: Vec<_> = (report.smoothed.iter())
        .map(|one| {
            let factors = [one.least, one.most].map(|factor| format!("{factor:.3}"));
            let [least, most] = factors;
            vec![one.activation.clone(), one.nodes.join(", "), least, most]
        })
        .collect();
    let mut text = table(&["ACTIVATION", "PRODUCTS", "LEAST", "MOST"], &rows);
    for skipped in &report.skipped {
        text = format!("{text}\nleft as it is: {} ({}): {}", skipped.node, skipped.op, skipped.reason);
    }
    format!(
        "{text}\n{} samples, {} -> {}",
        report.samples,
        bytes(report.size_before),
        bytes(report.size_after)
    )
}
