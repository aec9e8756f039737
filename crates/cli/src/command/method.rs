//! How a model is quantized: what `slipway quantize` and `slipway sensitivity` are asked for.

mod strays;

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use slipway_api::stage::{
    self, BiasCorrection, Dynamic, Quantize as Spec, QuantizeMethod, Rule, Static, WeightOnly, WeightType,
};
use slipway_optimizer::{calibrate::Calibration, stage::quantize::Options, work};

use super::{calibrate::Ranges, engine::EngineArgs, stages};
use crate::error::Error;

/// How a model is quantized.
#[derive(Args)]
pub(crate) struct Method {
    #[command(flatten)]
    pub(crate) engine: EngineArgs,
    /// How activations are treated.
    #[arg(long, value_enum, default_value_t = Scheme::Dynamic)]
    scheme: Scheme,
    /// The type of the stored weights; all but int8 are for weight-only.
    #[arg(long, value_enum, default_value_t = Weights::Int8)]
    weights: Weights,
    /// One scale for each output channel, or one for the whole tensor.
    #[arg(long, value_enum, default_value_t = Granularity::PerChannel)]
    granularity: Granularity,
    /// Weights that share a scale, for int4 and int8: a power of two from 16 to 256. Default: 32 for int4, those of a
    /// channel for int8.
    #[arg(long, value_parser = block)]
    block: Option<i32>,
    /// A zero point for each block, for int4 and --engine onnxruntime.
    #[arg(long)]
    zero_points: bool,
    /// How the scale of a block is chosen; the first two for int8 too. Default: least-squares.
    #[arg(long, value_enum)]
    fit: Option<Fit>,
    /// For static: the ranges of activations, as `slipway calibrate` wrote them.
    #[arg(long, value_name = "FILE")]
    calibration: Option<PathBuf>,
    /// Let biases make up for what quantizing the weights of their products adds to the outputs on average, by what goes into
    /// them on --data.
    #[arg(long)]
    correct_bias: bool,
    /// For static, gptq and --correct-bias: the data to run the model on first, a .npz file whose leading axes count samples.
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) ranges: Ranges,
    /// Leave the nodes or weights of this name as they are; * and ? stand for characters. May be repeated.
    #[arg(long, value_name = "NAME")]
    keep_float: Vec<String>,
    /// Take the quantization from the `stages:` of a YAML file instead, such as `slipway sensitivity` writes.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["scheme", "weights", "granularity", "block", "zero_points", "fit", "correct_bias", "keep_float", "range", "percentile", "samples"])]
    stages: Option<PathBuf>,
}

/// A block as the CRD takes it.
fn block(text: &str) -> Result<i32, String> {
    let block = text.parse().ok().filter(|block| [16, 32, 64, 128, 256].contains(block));
    block.ok_or_else(|| "it has to be a power of two from 16 to 256".to_owned())
}

#[derive(Clone, Copy, ValueEnum)]
enum Scheme {
    /// Weights ahead, activations while the model runs: integer arithmetic; needs no data.
    Dynamic,
    /// Weights and activations ahead, by what activations are on data; for ONNX Runtime.
    Static,
    /// Weights alone: a smaller file that computes in floats.
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
    /// Half the size and the range of singles, for --engine onnxruntime.
    Bfloat16,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
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
    /// Each weight makes up for the errors of those before it, by what goes into the product on data.
    Gptq,
}

impl Method {
    /// The stage that a user would write for this, or did.
    pub(crate) fn spec(&self) -> Result<Spec, Error> {
        if let Some(file) = &self.stages {
            return stages::only_quantization(file);
        }
        self.refuse_strays()?;
        let granularity = match self.granularity {
            Granularity::PerChannel => stage::Granularity::PerChannel,
            Granularity::PerTensor => stage::Granularity::PerTensor,
        };
        let rules = self.keep_float.iter().map(|matches| Rule { matches: matches.clone(), keep_float: true });
        let samples = self.ranges.spec()?.samples;
        let mut spec = Spec {
            dynamic: None,
            r#static: None,
            weight_only: None,
            bias_correction: self
                .correct_bias
                .then(|| BiasCorrection { samples, ..BiasCorrection::on("data") }),
            rules: rules.collect(),
        };
        match self.scheme {
            Scheme::Dynamic | Scheme::Static if self.weights != Weights::Int8 => {
                return Err(Error::Usage(
                    "dynamic and static take --weights int8; the others are for --scheme weight-only".into(),
                ));
            }
            Scheme::Static => spec.r#static = Some(Static { granularity, ..self.ranges.spec()? }),
            Scheme::Dynamic => spec.dynamic = Some(Dynamic { weights: WeightType::Int8, granularity }),
            Scheme::WeightOnly => spec.weight_only = Some(self.weight_only(granularity)?),
        }
        Ok(spec)
    }

    fn weight_only(&self, granularity: stage::Granularity) -> Result<WeightOnly, Error> {
        let fit = self.fit.unwrap_or(Fit::LeastSquares);
        if fit == Fit::HalfQuadratic && !self.zero_points {
            return Err(Error::Usage("--fit half-quadratic looks for zero points: add --zero-points".into()));
        }
        let default = WeightOnly::default();
        let spec = WeightOnly {
            weights: self.weights.of_api(),
            granularity,
            block: self.block,
            zero_points: self.zero_points,
            fit: fit.of_api(),
            ..default
        };
        if fit != Fit::Gptq {
            return Ok(spec);
        }
        Ok(WeightOnly { data: Some("data".into()), samples: self.ranges.spec()?.samples, ..spec })
    }

    /// The files that it is read from, or that it reads.
    pub(crate) fn read(&self) -> impl Iterator<Item = &Path> {
        [&self.data, &self.calibration, &self.stages].into_iter().flatten().map(PathBuf::as_path)
    }

    /// The options of the library for a stage of a model; `fallback` is run where no other data is given.
    pub(crate) fn options(
        &self,
        spec: &Spec,
        model: &Path,
        fallback: Option<&Path>,
        json: bool,
    ) -> Result<Options, Error> {
        let mut options = work::quantize::options(spec, self.engine.engine.backend())
            .ok_or_else(|| Error::Usage("the stage's quantize has no method".into()))?;
        self.refuse_engine(spec)?;
        self.refuse_without_data(spec, fallback.is_some())?;
        let data = self.data.as_deref().or(fallback);
        if let Some(QuantizeMethod::Static(spec)) = spec.method() {
            options.calibration = Some(self.calibration(spec, model, data, json)?);
        }
        let Some((what, samples)) = looks_at(spec) else { return Ok(options) };
        let data = data.ok_or_else(|| Error::Usage(format!("{what} needs --data")))?;
        let mut data = self.ranges.binding.data(model, data, samples, self.engine)?;
        data.capture.scratch = self.ranges.scratch.folder();
        let data = Some(data);
        if spec.bias_correction.is_some() {
            return Ok(Options { bias_correction: data, ..options });
        }
        Ok(Options { data, ..options })
    }

    /// The ranges of activations, read or measured.
    fn calibration(
        &self,
        spec: &Static,
        model: &Path,
        data: Option<&Path>,
        json: bool,
    ) -> Result<Calibration, Error> {
        match (&self.calibration, data) {
            (Some(file), _) => Calibration::read(file).map_err(|error| Error::file(file, &error)),
            (None, Some(data)) => self.ranges.calibration(spec, model, data, self.engine, json),
            (None, None) => Err(Error::Usage(
                "--scheme static needs --data, or --calibration from `slipway calibrate`".into(),
            )),
        }
    }
}

/// What of a quantization runs the model on data while it works, and on how many samples.
fn looks_at(spec: &Spec) -> Option<(&'static str, i32)> {
    let chosen = spec.weight_only.as_ref().filter(|spec| spec.data.is_some());
    let chosen = chosen.map(|spec| ("--fit gptq", spec.samples));
    chosen.or(spec.bias_correction.as_ref().map(|spec| ("--correct-bias", spec.samples)))
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
            Self::Gptq => stage::BlockFit::Gptq,
        }
    }
}
