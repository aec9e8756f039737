//! `slipway sensitivity`: which operators have to stay float.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use slipway_api::{
    Stage,
    stage::{Quantize as Spec, QuantizeMethod, Rule, StoredType},
    yaml,
};
use slipway_optimizer::{
    sensitivity::{Kept, Measure, Sensitivity as Found, SensitivityOptions, sensitivity},
    work,
};

use super::{engine, method::Method};
use crate::{
    destination,
    error::Error,
    output::{self, bytes, table},
    progress,
};

/// Find the operators that have to stay float for a budget
///
/// Quantizes each operator alone and runs the model on data, ranks them by what that does to the answers, and looks for
/// the fewest that have to stay float so that the whole model, measured, keeps the budget. Prints the stages to commit.
#[derive(Args)]
#[command(after_help = "\
Examples:
  slipway sensitivity model.onnx samples.npz --budget 0.01
  slipway sensitivity model.onnx samples.npz --scheme weight-only --weights int4 --budget 0.02 --write stages.yaml
  slipway quantize model.onnx small.onnx --stages stages.yaml")]
pub(crate) struct Sensitivity {
    /// The ONNX model.
    model: PathBuf,
    /// The data that both models are asked: a .npz file whose leading axes count samples.
    #[arg(value_name = "DATA")]
    asked: PathBuf,
    /// The largest measure that the quantized model may have: 0.01 is one in a hundred.
    #[arg(long, value_parser = budget)]
    budget: f64,
    /// What is measured. Default: disagreement where each row of the output is a distribution, else the error.
    #[arg(long, value_enum)]
    measure: Option<Asked>,
    /// The output that is compared. Default: the first that holds floats.
    #[arg(long, value_name = "NAME")]
    output: Option<String>,
    /// Maximum number of samples to ask, spread evenly over the data.
    #[arg(long, value_name = "N", default_value_t = 512, value_parser = samples)]
    asked_samples: usize,
    /// Write the stages to a file too.
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
    #[command(flatten)]
    method: Method,
}

#[derive(Clone, Copy, ValueEnum)]
enum Asked {
    /// The share of decisions that differ: the place of the highest score along the last axis.
    Disagreement,
    /// The root of the squared distance, relative to the answers.
    RelativeError,
}

fn budget(text: &str) -> Result<f64, String> {
    let budget = text.parse::<f64>().ok().filter(|budget| budget.is_finite() && *budget >= 0.0);
    budget.ok_or_else(|| "write a number from 0 up, such as 0.01".to_owned())
}

fn samples(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|count| *count > 0).ok_or_else(|| "write a number from 1 up".to_owned())
}

impl Sensitivity {
    pub(crate) fn run(self, json: bool) -> Result<(), Error> {
        let spec = self.method.spec()?;
        self.check_destination()?;
        let quantize = self.method.options(&spec, &self.model, Some(&self.asked), json)?;
        let samples = self.method.ranges.binding.samples(&self.model, &self.asked)?;
        let measure = self.measure.map(|asked| match asked {
            Asked::Disagreement => Measure::Disagreement,
            Asked::RelativeError => Measure::RelativeError,
        });
        let options = SensitivityOptions {
            measure,
            output: self.output.clone(),
            samples: self.asked_samples,
            engine: self.method.engine.options(),
            scratch: self.method.ranges.scratch.folder(),
            ..SensitivityOptions::new(quantize, self.budget)
        };
        let bar = progress::Ending(work::Counted::new(progress::bar(json), "measuring"));
        let found = sensitivity(&self.model, &samples, &options, &bar)
            .map_err(|error| engine::failed(&self.model, &error))?;
        // The bar leaves the terminal before anything else is written to it.
        drop(bar);
        let stages = found.kept.as_ref().map(|kept| stages(&spec, kept));
        if let (Some(file), Some(stages)) = (&self.write, &stages) {
            output::write(file, &as_yaml(stages)?)?;
        }
        if json {
            output::json(&report(&found, stages.as_ref()))
        } else {
            output::print(&text(&found, stages.as_ref())?)
        }?;
        match &found.kept {
            Some(_) => Ok(()),
            None => Err(Error::Budget { budget: found.budget, whole: found.whole.to_string() }),
        }
    }

    fn check_destination(&self) -> Result<(), Error> {
        let Some(file) = &self.write else { return Ok(()) };
        let model = destination::files(&self.model);
        let own = model.iter().map(PathBuf::as_path).chain([self.asked.as_path()]);
        destination::check(file, own.chain(self.method.read()))
    }
}

/// The stages that a user commits.
fn stages(spec: &Spec, kept: &Kept) -> Value {
    let rule = |rule: &slipway_optimizer::stage::quantize::Rule| Rule {
        matches: rule.matches.clone(),
        keep_float: rule.keep_float,
    };
    let quantize = Spec { rules: kept.rules.iter().map(rule).collect(), ..spec.clone() };
    let stage = Stage { name: name(spec).to_owned(), quantize: Some(quantize), simplify: None, smooth: None };
    json!({ "stages": [stage] })
}

fn name(spec: &Spec) -> &'static str {
    match spec.method() {
        Some(QuantizeMethod::WeightOnly(only)) => match only.weights {
            StoredType::Int8 => "int8",
            StoredType::Int4 => "int4",
            StoredType::Float16 => "float16",
            StoredType::Bfloat16 => "bfloat16",
        },
        Some(QuantizeMethod::Dynamic(_) | QuantizeMethod::Static(_)) | None => "int8",
    }
}

fn as_yaml(stages: &Value) -> Result<String, Error> {
    yaml::to_string(stages).map_err(|source| Error::Yaml { path: "stages".into(), source })
}

fn report(found: &Found, stages: Option<&Value>) -> Value {
    let mut report = json!(found);
    report["stages"] = stages.map_or(Value::Null, |stages| stages["stages"].clone());
    report
}

fn text(found: &Found, stages: Option<&Value>) -> Result<String, Error> {
    let is_kept = |node: &str| {
        let mut rules = found.kept.iter().flat_map(|kept| &kept.rules);
        rules.any(|rule| *rule == slipway_optimizer::stage::quantize::Rule::keep_float(node))
    };
    let rows: Vec<_> = (found.operators.iter())
        .map(|harm| {
            let kept = if is_kept(&harm.node) { "float" } else { "" };
            vec![harm.node.clone(), harm.op.clone(), harm.alone.to_string(), kept.to_owned()]
        })
        .collect();
    let measured = match found.measure {
        Measure::Disagreement => format!("disagreement of {} decisions", found.decisions),
        Measure::RelativeError => "relative error".to_owned(),
    };
    let head = format!(
        "{}\n\n{measured}, output {} on {} samples, {}\nall quantized: {}, budget: {}",
        table(&["OPERATOR", "TYPE", "ALONE", "KEPT"], &rows),
        found.output,
        found.samples,
        found.engine,
        found.whole,
        found.budget
    );
    let (Some(kept), Some(stages)) = (&found.kept, stages) else { return Ok(head) };
    let count = kept.rules.len();
    let sizes = format!("{} -> {}", bytes(found.size_before), bytes(kept.size));
    Ok(format!(
        "{head}\nwith {count} rules: {:.6}, {sizes}\nchosen on these samples: judge the model on others, which may show more\n\n{}",
        kept.measured,
        as_yaml(stages)?.trim_end()
    ))
}
