//! Quantizing a model over and over, and measuring what comes of it.

use std::path::Path;

use slipway_model::onnx::{Limits, OnnxModel};
use slipway_server::Engine;
use tempfile::TempDir;

use super::answers::{Output, answers};
use super::reference::{Recorder, Reference};
use super::search::{Found, smallest};
use super::{Deviation, Harm, Kept, Measure, Sensitivity, SensitivityError, SensitivityOptions};
use crate::calibrate::{Feeds, Spread};
use crate::file::source_of;
use crate::progress::{Progress, Quiet};
use crate::stage::quantize::{Candidate, Options, QuantizeError, Rule, quantizable, quantize};

/// Ranks the operators of a model by what their quantization does to its answers, and finds the fewest that have to stay
/// float.
///
/// # Errors
/// Where the model cannot be quantized or run, or there are no samples; that no set keeps the budget is no error, but an answer.
pub fn sensitivity(
    model: &Path,
    feeds: &dyn Feeds,
    options: &SensitivityOptions,
    progress: &dyn Progress,
) -> Result<Sensitivity, SensitivityError> {
    let feeds = Spread::of(feeds, options.samples);
    if feeds.count == 0 {
        return Err(SensitivityError::NoSamples);
    }
    if !options.budget.is_finite() {
        let reason = format!("the budget is {}: it has to be a number, such as 0.01", options.budget);
        return Err(SensitivityError::Output { reason });
    }
    let options = &told_apart(model, options)?;
    let candidates = quantizable(model, &options.quantize)?;
    let study = Study::open(model, options, feeds, candidates.len(), progress)?;
    let whole = study.measured(&options.quantize, "everything")?;
    let operators = study.ranked(candidates)?;
    let kept = study.fewest(&operators, whole.clone())?;
    Ok(study.report(whole, operators, kept))
}

/// The options with the model's digest, which each quantization would read all files for.
fn told_apart(model: &Path, options: &SensitivityOptions) -> Result<SensitivityOptions, SensitivityError> {
    let file = OnnxModel::open_with(model, Limits::STREAMED).map_err(QuantizeError::from)?;
    let source = source_of(&file, options.quantize.source.as_deref()).map_err(QuantizeError::from)?;
    let quantize = Options { source: Some(source), ..options.quantize.clone() };
    Ok(SensitivityOptions { quantize, ..options.clone() })
}

/// A float model that quantized ones are compared with.
struct Study<'a> {
    model: &'a Path,
    options: &'a SensitivityOptions,
    feeds: Spread<'a>,
    progress: &'a dyn Progress,
    folder: TempDir,
    engine: String,
    output: Output,
    float: Reference,
}

/// What a quantized model is worth.
#[derive(Debug, Clone)]
struct Measured {
    deviation: Deviation,
    size: u64,
    before: u64,
}

impl<'a> Study<'a> {
    fn open(
        model: &'a Path,
        options: &'a SensitivityOptions,
        feeds: Spread<'a>,
        candidates: usize,
        progress: &'a dyn Progress,
    ) -> Result<Self, SensitivityError> {
        let no_room = |source| SensitivityError::Scratch { folder: options.scratch.clone(), source };
        let folder = TempDir::with_prefix_in(".slipway-sensitivity-", &options.scratch).map_err(no_room)?;
        let engine = Engine::load(model, &options.engine).map_err(SensitivityError::Load)?;
        let output = Output::of(&engine, options.output.as_deref())?;
        progress.total(((candidates + 2) * feeds.count()) as u64);
        let mut recorder = Recorder::new(options.measure, folder.path()).map_err(no_room)?;
        answers(&engine, &output, &feeds, progress, &mut |sample, answer| {
            if answer.values.iter().all(|value| value.is_finite()) {
                return recorder.add(answer).map_err(no_room);
            }
            let (name, place) = (&output.name, feeds.place(sample));
            let reason = format!("output {name:?} of the float model is NaN or infinite for sample {place}");
            Err(SensitivityError::Output { reason })
        })?;
        let float = recorder.finish().map_err(no_room)?;
        if float.measure == Measure::Disagreement && float.decisions == 0 {
            let reason =
                format!("output {:?} has no rows of scores to decide by: measure its error", output.name);
            return Err(SensitivityError::Output { reason });
        }
        let engine = format!("{} {}", engine.name(), engine.version());
        Ok(Self { model, options, feeds, progress, folder, engine, output, float })
    }

    /// Quantizes the model and compares its answers.
    fn measured(&self, options: &Options, what: &str) -> Result<Measured, SensitivityError> {
        self.progress.message(what);
        let path = self.folder.path().join("quantized.onnx");
        let report = quantize(self.model, &path, options, &Quiet(self.progress))?;
        let load = |source| SensitivityError::Quantized { what: what.to_owned(), source };
        let engine = Engine::load(&path, &self.options.engine).map_err(load)?;
        let output = Output::of(&engine, Some(&self.output.name))?;
        let mut comparison = self.float.comparison();
        answers(&engine, &output, &self.feeds, self.progress, &mut |sample, answer| {
            let read = |source| SensitivityError::Scratch { folder: self.options.scratch.clone(), source };
            comparison.add(sample, self.feeds.place(sample), &answer).map_err(read)
        })?;
        let deviation = comparison.deviation();
        Ok(Measured { deviation, size: report.size_after, before: report.size_before })
    }

    /// Quantizes each candidate alone; the most harmful first, without those that stay float anyway.
    fn ranked(&self, candidates: Vec<Candidate>) -> Result<Vec<Harm>, SensitivityError> {
        let mut harms = Vec::new();
        for Candidate { node, op } in candidates {
            let rule = |matches: &str, keep_float| Rule { matches: matches.to_owned(), keep_float };
            let rules = vec![rule(&node, false), rule("*", true)];
            let options = Options { rules, allow_bigger: true, ..self.options.quantize.clone() };
            match self.measured(&options, &node) {
                Ok(measured) => harms.push(Harm { node, op, alone: measured.deviation }),
                Err(SensitivityError::Quantize(QuantizeError::NothingChanged { .. })) => {}
                Err(error) => return Err(error),
            }
        }
        harms.sort_by(|left, right| {
            let by_harm = right.alone.or_infinite().total_cmp(&left.alone.or_infinite());
            by_harm.then(left.node.cmp(&right.node))
        });
        Ok(harms)
    }

    /// The fewest operators without which the model keeps the budget, and is smaller than with floats.
    fn fewest(&self, operators: &[Harm], whole: Measured) -> Result<Option<Kept>, SensitivityError> {
        let ranked: Vec<usize> = (0..operators.len()).collect();
        // With all of them in floats nothing would be quantized.
        let most = self.options.most_kept.saturating_sub(self.options.quantize.rules.len());
        let most = most.min(operators.len().saturating_sub(1));
        let halvings = usize::BITS - most.leading_zeros();
        self.progress.total((halvings as usize + 1) as u64 * self.feeds.count as u64);
        let budget = self.options.budget;
        // Whatever keeps the budget replaces what was found before, so the last that did is what is found.
        let cost = whole.deviation.or_infinite();
        let mut last = whole;
        let found = smallest(&ranked, most, budget, cost, &mut |kept| match self
            .measured(&self.keeping(operators, kept), "a set of operators")
        {
            Ok(measured) => {
                let cost = measured.deviation.or_infinite();
                if cost <= budget {
                    last = measured;
                }
                Ok(cost)
            }
            Err(SensitivityError::Quantize(QuantizeError::NothingChanged { .. })) => Ok(f64::INFINITY),
            Err(error) => Err(error),
        })?;
        let Some(Found { members, cost: measured }) = found else { return Ok(None) };
        let options = self.keeping(operators, &members);
        let is_smaller = last.size < last.before || self.options.quantize.allow_bigger;
        Ok(is_smaller.then_some(Kept { rules: options.rules, measured, size: last.size }))
    }

    /// Options that keep some operators float.
    fn keeping(&self, operators: &[Harm], kept: &[usize]) -> Options {
        let mut options = Options { allow_bigger: true, ..self.options.quantize.clone() };
        let rules = kept.iter().map(|index| Rule::keep_float(&operators[*index].node));
        options.rules = rules.chain(options.rules).collect();
        options
    }

    fn report(self, whole: Measured, operators: Vec<Harm>, kept: Option<Kept>) -> Sensitivity {
        Sensitivity {
            measure: self.float.measure,
            output: self.output.name,
            samples: self.feeds.count,
            decisions: self.float.decisions,
            engine: self.engine,
            budget: self.options.budget,
            whole: whole.deviation,
            operators,
            kept,
            size_before: whole.before,
        }
    }
}
