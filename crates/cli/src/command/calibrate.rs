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

use super::{
    binding::Binding,
    engine::{self, EngineArgs},
    scratch::Scratch,
};
use crate::{
    destination,
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
    #[command(flatten)]
    engine: EngineArgs,
    #[command(flatten)]
    ranges: Ranges,
}

/// How a model is run for its ranges.
#[derive(Args, Clone)]
pub(crate) struct Ranges {
    /// How the range of an activation is chosen, where data is run for static quantization. Default: mse.
    #[arg(long, value_enum)]
    pub(super) range: Option<Range>,
    /// The share of values that the range holds, in percent, from 1 to 100; for --range percentile. Default: 99.99.
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    pub(super) percentile: Option<Percent>,
    /// Maximum number of samples to run for ranges, and for what else data decides, spread evenly over the data. Default: 128.
    #[arg(long, value_parser = clap::value_parser!(i32).range(1..=100_000))]
    pub(super) samples: Option<i32>,
    #[command(flatten)]
    pub(super) binding: Binding,
    #[command(flatten)]
    pub(super) scratch: Scratch,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Range {
    /// The range of the least squared error.
    Mse,
    /// All values.
    MinMax,
    /// A share of the values.
    Percentile,
    /// The range that loses least information.
    Entropy,
}

impl Calibrate {
    pub(crate) fn run(self, json: bool) -> Result<(), Error> {
        let spec = self.ranges.spec()?;
        let mut read = destination::files(&self.model);
        read.push(self.data.clone());
        destination::check(&self.output, read.iter().map(PathBuf::as_path))?;
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
        engine: EngineArgs,
        json: bool,
    ) -> Result<Calibration, Error> {
        let mut options = work::calibrate_options(spec, engine.engine.backend());
        options.capture.engine = engine.options();
        options.capture.scratch = self.scratch.folder();
        let calibrator = Calibrator::open(model, &options).map_err(|error| engine::failed(model, &error))?;
        let samples = self.binding.bound(data, &calibrator.inputs())?;
        let (digest, _) = digest_file(data)?;
        let bar = progress::Ending(work::Counted::new(progress::bar(json), "calibrating"));
        calibrator.run(&samples, &digest.to_string(), &bar).map_err(|error| engine::failed(model, &error))
    }

    /// What a user would write in a stage.
    pub(crate) fn spec(&self) -> Result<Static, Error> {
        if self.percentile.is_some() && self.range != Some(Range::Percentile) {
            return Err(Error::Usage("--percentile is for --range percentile".into()));
        }
        let default = Static::on("data");
        Ok(Static {
            range: self.range.map_or(default.range, Range::of_api),
            percentile: self.percentile.clone(),
            samples: self.samples.unwrap_or(default.samples),
            ..default
        })
    }
}

impl Range {
    fn of_api(self) -> CalibrationRange {
        match self {
            Self::Entropy => CalibrationRange::Entropy,
            Self::MinMax => CalibrationRange::MinMax,
            Self::Percentile => CalibrationRange::Percentile,
            Self::Mse => CalibrationRange::Mse,
        }
    }
}

/// A percentage as the CRD takes it.
fn percent(text: &str) -> Result<Percent, String> {
    let wrong = || "write a number from 1 to 100 with at most 6 places, such as 99.99".to_owned();
    if text.starts_with('0') { Err(wrong()) } else { text.parse().map_err(|_| wrong()) }
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
