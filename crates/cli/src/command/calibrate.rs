//! `slipway calibrate`: the ranges of a model's activations on data.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use slipway_api::{
    Percent,
    stage::{CalibrationRange, Static},
};
use slipway_artifacts::digest_file;
use slipway_optimizer::{
    calibrate::{Calibration, Calibrator},
    work,
};

use super::{binding::Binding, engine::Engine};
use crate::{
    error::Error,
    output::{self, table},
    progress,
};

/// Run a model on data for the ranges of its activations
///
/// Static quantization needs them. The same model, data and options give the same bytes on every machine of one kind.
#[derive(Args)]
#[command(after_help = "\
Examples:
  slipway calibrate model.onnx samples.npz calibration.json
  slipway calibrate model.onnx samples.npz calibration.json --range percentile --percentile 99.9
  slipway quantize model.onnx small.onnx --scheme static --calibration calibration.json")]
pub(crate) struct Calibrate {
    /// The ONNX model.
    model: PathBuf,
    /// The data: a .npz file whose leading axes count samples.
    data: PathBuf,
    /// The calibration to write.
    output: PathBuf,
    /// The engine that runs the model: the one that is going to serve it. Programs for one machine have rten alone.
    #[arg(long, value_enum, default_value_t = Engine::Rten)]
    engine: Engine,
    #[command(flatten)]
    ranges: Ranges,
}

/// How a model is run for its ranges.
#[derive(Args, Clone)]
pub(crate) struct Ranges {
    /// How the range of an activation is chosen.
    #[arg(long, value_enum, default_value_t = Range::Entropy)]
    range: Range,
    /// The share of values that the range holds, in percent; for percentile. Default: 99.99.
    #[arg(long, value_name = "PERCENT")]
    percentile: Option<Percent>,
    /// The most samples that are run.
    #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(i32).range(1..=100_000))]
    samples: i32,
    #[command(flatten)]
    pub(crate) binding: Binding,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Range {
    /// The range that loses least information.
    Entropy,
    /// All values.
    MinMax,
    /// A share of the values.
    Percentile,
    /// The range of the least squared error.
    Mse,
}

impl Calibrate {
    pub(crate) fn run(self, json: bool) -> Result<(), Error> {
        let spec = self.ranges.spec()?;
        let calibration = self.ranges.calibration(&spec, &self.model, &self.data, self.engine, json)?;
        let text = calibration.to_json();
        output::write(&self.output, &text)?;
        if json { output::print(&text) } else { output::print(&summary(&calibration)) }
    }
}

impl Ranges {
    /// Runs a model on data for the ranges that a stage asks for.
    pub(crate) fn calibration(
        &self,
        spec: &Static,
        model: &Path,
        data: &Path,
        engine: Engine,
        json: bool,
    ) -> Result<Calibration, Error> {
        let options = work::calibrate_options(spec, engine.backend());
        let calibrator = Calibrator::open(model, &options).map_err(|error| Error::file(model, &error))?;
        let samples = self.binding.bound(data, &calibrator.inputs())?;
        let (digest, _) = digest_file(data)?;
        let bar = work::Counted::new(progress::bar(json), "calibrating");
        calibrator.run(&samples, &digest.to_string(), &bar).map_err(|error| Error::file(model, &error))
    }

    /// What a user would write in a stage.
    pub(crate) fn spec(&self) -> Result<Static, Error> {
        let range = match self.range {
            Range::Entropy => CalibrationRange::Entropy,
            Range::MinMax => CalibrationRange::MinMax,
            Range::Percentile => CalibrationRange::Percentile,
            Range::Mse => CalibrationRange::Mse,
        };
        if self.percentile.is_some() && self.range != Range::Percentile {
            return Err(Error::Usage("--percentile is for --range percentile".into()));
        }
        Ok(Static { range, percentile: self.percentile.clone(), samples: self.samples, ..Static::on("data") })
    }
}

fn summary(calibration: &Calibration) -> String {
    let row = |(name, span): (&str, slipway_optimizer::calibrate::Span)| {
        vec![name.to_owned(), format!("{:.4}", span.low), format!("{:.4}", span.high)]
    };
    let rows: Vec<_> = calibration.spans().map(row).collect();
    let mut text = table(&["ACTIVATION", "LOW", "HIGH"], &rows);
    for (name, reason) in &calibration.unusable {
        text = format!("{text}\nno range: {name}: {reason}");
    }
    format!("{text}\n{} samples, {} activations", calibration.samples, rows.len())
}
