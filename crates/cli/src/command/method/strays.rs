//! What of a quantization is refused: options that would change nothing, and what the engine could not load.

use slipway_api::stage::{Quantize as Spec, QuantizeMethod, WeightOnly};

use super::{Fit, Granularity, Method, Ranges, Scheme, Weights, looks_at};
use crate::{command::engine::Engine, error::Error};

impl Method {
    /// Refuses options that would change nothing.
    pub(super) fn refuse_strays(&self) -> Result<(), Error> {
        let weights = matches!(self.scheme, Scheme::WeightOnly).then_some(self.weights);
        let (four, eight) = (weights == Some(Weights::Int4), weights == Some(Weights::Int8));
        let in_eight = eight && self.block.is_some();
        let for_both = matches!(self.fit, Some(Fit::LeastSquares | Fit::Nearest));
        let strays = [
            (
                self.block.is_some() && !four && !eight,
                "--block is for --scheme weight-only --weights int4 or int8",
            ),
            (self.zero_points && !four, "--zero-points is for --scheme weight-only --weights int4"),
            (
                self.fit.is_some() && !four && !in_eight,
                "--fit is for --scheme weight-only --weights int4, and int8 with --block",
            ),
            (
                self.fit.is_some() && in_eight && !for_both,
                "--fit half-quadratic and gptq are for --weights int4: blocks of int8 take least-squares or nearest",
            ),
            (
                in_eight && self.granularity == Granularity::PerTensor,
                "--granularity per-tensor is one scale, and --block one for each block: leave one of them out",
            ),
            (
                weights.is_some() && !eight && self.granularity == Granularity::PerTensor,
                "--granularity per-tensor is for int8",
            ),
            (
                self.correct_bias && self.fit == Some(Fit::Gptq),
                "--fit gptq sees its data already: leave --correct-bias out",
            ),
        ];
        refuse(strays)
    }

    /// Refuses options of data where the method runs on none; `asked` where the command itself runs on some.
    pub(super) fn refuse_without_data(&self, spec: &Spec, asked: bool) -> Result<(), Error> {
        let is_static = matches!(spec.method(), Some(QuantizeMethod::Static(_)));
        let calibrates = is_static && self.calibration.is_none();
        let runs = calibrates || looks_at(spec).is_some();
        let Ranges { range, percentile, samples, binding, scratch } = &self.ranges;
        let on_data = "for --scheme static without --calibration, --fit gptq and --correct-bias";
        let strays = [
            (self.calibration.is_some() && !is_static, "--calibration is for --scheme static".to_owned()),
            (self.data.is_some() && !runs, format!("--data is {on_data}")),
            (
                (range.is_some() || percentile.is_some()) && !calibrates,
                "--range and --percentile are for --scheme static without --calibration".to_owned(),
            ),
            (samples.is_some() && !runs, format!("--samples is {on_data}")),
            (!binding.is_empty() && !runs && !asked, format!("--input and --length are {on_data}")),
            (!scratch.is_empty() && !runs && !asked, format!("--scratch is {on_data}")),
        ];
        refuse(strays)
    }

    /// Refuses what the engine could not load.
    pub(super) fn refuse_engine(&self, spec: &Spec) -> Result<(), Error> {
        let needs = spec.weight_only.as_ref().and_then(WeightOnly::needs_onnxruntime);
        let Some(field) = needs.filter(|_| self.engine.engine != Engine::Onnxruntime) else { return Ok(()) };
        let [what, instead] = match &self.stages {
            Some(_) => field,
            None if self.zero_points => ["zero points of blocks", "leave --zero-points out"],
            None => ["bfloat16", "take --weights float16"],
        };
        Err(Error::Usage(format!(
            "the built-in engine cannot load {what}: {instead}, or take ONNX Runtime with --engine onnxruntime"
        )))
    }
}

/// Refuses the first of these that is there, in its words.
fn refuse<T: Into<String>>(strays: impl IntoIterator<Item = (bool, T)>) -> Result<(), Error> {
    match strays.into_iter().find(|(stray, _)| *stray) {
        Some((_, words)) => Err(Error::Usage(words.into())),
        None => Ok(()),
    }
}
