//! `slipway quantize`: one model file to a smaller one.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use slipway_api::stage::{self, Dynamic, Quantize as Spec, Rule, Static, WeightOnly, WeightType};
use slipway_optimizer::{
    calibrate::Calibration,
    stage::quantize::{Options, QuantizeReport, quantize},
    work,
};

use super::{calibrate::Ranges, engine::Engine};
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
  slipway quantize model.onnx small.onnx --scheme weight-only --weights int4 --block 64
  slipway quantize model.onnx small.onnx --scheme weight-only --weights int4 --zero-points --engine onnxruntime
  slipway quantize model.onnx small.onnx --scheme static --data samples.npz
  slipway quantize model.onnx small.onnx --keep-float '/head/*'")]
pub(crate) struct Quantize {
    /// The ONNX model to read.
    input: PathBuf,
    /// The ONNX model to write.
    output: PathBuf,
    /// The engine that is going to run the model: it decides which forms there are.
    #[arg(long, value_enum, default_value_t = Engine::Rten)]
    engine: Engine,
    /// How activations are treated.
    #[arg(long, value_enum, default_value_t = Scheme::Dynamic)]
    scheme: Scheme,
    /// The type of the stored weights; all but int8 are for weight-only.
    #[arg(long, value_enum, default_value_t = Weights::Int8)]
    weights: Weights,
    /// One scale for each output channel, or one for the whole tensor.
    #[arg(long, value_enum, default_value_t = Granularity::PerChannel)]
    granularity: Granularity,
    /// Weights that share a scale, for int4: a power of two.
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(i32).range(16..=256))]
    block: i32,
    /// A zero point for each block, for int4 and ONNX Runtime.
    #[arg(long)]
    zero_points: bool,
    /// How the scale of a block is chosen, for int4.
    #[arg(long, value_enum, default_value_t = Fit::LeastSquares)]
    fit: Fit,
    /// For static: the ranges of activations, as `slipway calibrate` wrote them.
    #[arg(long, value_name = "FILE")]
    calibration: Option<PathBuf>,
    /// For static: the data to calibrate on first, a .npz file whose leading axes count samples.
    #[arg(long, value_name = "FILE", conflicts_with = "calibration")]
    data: Option<PathBuf>,
    #[command(flatten)]
    ranges: Ranges,
    /// Leave the nodes or weights of this name as they are; * and ? stand for characters. May be repeated.
    #[arg(long, value_name = "NAME")]
    keep_float: Vec<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Scheme {
    /// Weights ahead, activations while the model runs: integer arithmetic; needs no data.
    Dynamic,
    /// Weights and activations ahead, by what activations are on data; for ONNX Runtime.
    Static,
    /// Weights alone: a smaller file that computes in floats; needs no data.
    WeightOnly,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Weights {
    /// A byte each.
    Int8,
    /// Matrices in blocks of four bits, other weights as int8.
    Int4,
    /// Half the size, and nearly nothing lost.
    Float16,
    /// Half the size and the range of singles, for ONNX Runtime.
    Bfloat16,
}

#[derive(Clone, Copy, ValueEnum)]
enum Granularity {
    PerChannel,
    PerTensor,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Fit {
    /// The scale of the least squared error.
    LeastSquares,
    /// From the range alone, bit for bit as ONNX Runtime: the fastest.
    Nearest,
    /// The zero point of a half-quadratic search, which forgives outliers: with --zero-points.
    HalfQuadratic,
}

impl Quantize {
    pub(crate) fn run(self, json: bool) -> Result<(), Error> {
        let options =
            work::quantize::options(&self.spec()?, self.engine.backend()).expect("the scheme is the method");
        let options = Options { calibration: self.calibration(json)?, ..options };
        let bar = work::Forward::new(progress::bar(json), "quantizing");
        let report = quantize(&self.input, &self.output, &options, &bar)
            .map_err(|error| Error::file(&self.input, &error))?;
        // The bar leaves the terminal before anything else is written to it.
        drop(bar);
        if json { output::json(&report) } else { output::print(&text(&report)) }
    }

    /// The ranges of activations, read or measured.
    fn calibration(&self, json: bool) -> Result<Option<Calibration>, Error> {
        match (self.scheme, &self.calibration, &self.data) {
            (Scheme::Static, Some(file), _) => {
                Calibration::read(file).map(Some).map_err(|error| Error::file(file, &error))
            }
            (Scheme::Static, None, Some(data)) => {
                self.ranges.calibration(&self.input, data, self.engine, json).map(Some)
            }
            (Scheme::Static, None, None) => Err(Error::Usage(
                "--scheme static needs --data, or --calibration from `slipway calibrate`".into(),
            )),
            (Scheme::Dynamic | Scheme::WeightOnly, None, None) => Ok(None),
            (Scheme::Dynamic | Scheme::WeightOnly, _, _) => {
                Err(Error::Usage("--data and --calibration are for --scheme static".into()))
            }
        }
    }

    /// The stage that a user would write for this.
    fn spec(&self) -> Result<Spec, Error> {
        let granularity = match self.granularity {
            Granularity::PerChannel => stage::Granularity::PerChannel,
            Granularity::PerTensor => stage::Granularity::PerTensor,
        };
        let rules = self.keep_float.iter().map(|matches| Rule { matches: matches.clone(), keep_float: true });
        let mut spec = Spec { dynamic: None, r#static: None, weight_only: None, rules: rules.collect() };
        match self.scheme {
            Scheme::Dynamic | Scheme::Static if self.weights != Weights::Int8 => {
                return Err(Error::Usage(
                    "dynamic and static take --weights int8; the others are for --scheme weight-only".into(),
                ));
            }
            Scheme::Static => spec.r#static = Some(Static { granularity, ..Static::on("data") }),
            Scheme::Dynamic => spec.dynamic = Some(Dynamic { weights: WeightType::Int8, granularity }),
            Scheme::WeightOnly => spec.weight_only = Some(self.weight_only(granularity)?),
        }
        Ok(spec)
    }

    fn weight_only(&self, granularity: stage::Granularity) -> Result<WeightOnly, Error> {
        let (weights, fit) = (self.weights.of_api(), self.fit.of_api());
        if self.zero_points && self.weights != Weights::Int4 {
            return Err(Error::Usage("--zero-points is for --weights int4".into()));
        }
        if self.fit == Fit::HalfQuadratic && !self.zero_points {
            return Err(Error::Usage("--fit half-quadratic looks for zero points: add --zero-points".into()));
        }
        Ok(WeightOnly { weights, granularity, block: self.block, zero_points: self.zero_points, fit })
    }
}

impl Weights {
    fn of_api(self) -> stage::StoredType {
        match self {
            Self::Int8 => stage::StoredType::Int8,
            Self::Int4 => stage::StoredType::Int4,
            Self::Float16 => stage::StoredType::Float16,
            Self::Bfloat16 => stage::StoredType::Bfloat16,
        }
    }
}

impl Fit {
    fn of_api(self) -> stage::BlockFit {
        match self {
            Self::LeastSquares => stage::BlockFit::LeastSquares,
            Self::Nearest => stage::BlockFit::Nearest,
            Self::HalfQuadratic => stage::BlockFit::HalfQuadratic,
        }
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
