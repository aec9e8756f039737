//! `slipway evaluate`: what a model is worth on a data set, against another one.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use serde_json::json;
use slipway_api::{
    DataSet, Duration, Fraction, Gate, Ratio,
    condition::reason,
    status::{GateStatus, Verdict},
};
use slipway_model::{npz::NpzFile, onnx::OnnxModel};
use slipway_optimizer::evaluate::{
    EvaluateError, HttpPredictor, Measured, Race, ReplayOptions, Samples, Sizes, Tally, judge, overall, race,
    replay,
};
use slipway_server::{Config, EngineOptions};

use super::{
    binding::Binding,
    engine::{Engine, EngineArgs},
    seen,
};
use crate::{
    error::Error,
    local::{Started, driven, started, verdict_table},
    output, progress,
};

/// Pairs of requests that are timed where latency is not judged.
const UNJUDGED_PAIRS: usize = 100;

/// Measure a model on a data set, against a baseline
///
/// Accuracy where there are labels, agreement with the baseline, size, latency. Both models are served as they would be
/// in a cluster and asked one sample at a time, then in turn to compare latencies: 100 times each, or 1,000 times where a
/// threshold is given for them, for two minutes at most. Bounds are one-sided at 95 %. What a threshold is given for is judged as the gate of a ModelDeployment would, and exits with 3
/// where it does not pass; the rest is measured alone.
#[derive(Args)]
#[command(after_help = "\
Examples:
  slipway evaluate small.onnx --baseline model.onnx --data holdout.npz --labels labels --output probabilities
  slipway evaluate small.onnx --baseline model.onnx --data holdout.npz --labels labels --output probabilities \\
      --minimum 0.93 --max-drop 0.02 --max-ratio 0.35
  slipway evaluate small.onnx --baseline model.onnx --data holdout.npz --output scores --input x=arr_0 --json
  slipway evaluate small.onnx --baseline model.onnx --data holdout.npz --max-latency-ratio 1.0")]
pub(crate) struct Evaluate {
    /// The model that is judged.
    model: PathBuf,
    /// What it is compared with; the model itself when left out.
    #[arg(long)]
    baseline: Option<PathBuf>,
    /// The data set: a .npz file whose leading axes count samples.
    #[arg(long)]
    data: PathBuf,
    /// The output with one score a class; left out, answers are not compared, and size and latency alone are measured.
    #[arg(long)]
    output: Option<String>,
    /// The array with the true classes.
    #[arg(long, requires = "output")]
    labels: Option<String>,
    #[command(flatten)]
    binding: Binding,
    #[command(flatten)]
    engine: EngineArgs,
    #[command(flatten)]
    wanted: Wanted,
}

/// Thresholds, each as the gate's field of that name.
#[derive(Args)]
#[command(next_help_heading = "Thresholds")]
struct Wanted {
    /// Least accuracy (lower bound).
    #[arg(long, value_name = "RATE", requires = "labels")]
    minimum: Option<Fraction>,
    /// Largest accuracy loss against the baseline (upper bound).
    #[arg(long, value_name = "RATE", requires_all = ["labels", "baseline"])]
    max_drop: Option<Fraction>,
    /// Least agreement with the baseline (lower bound).
    #[arg(long, value_name = "RATE", requires_all = ["output", "baseline"])]
    agreement: Option<Fraction>,
    /// Largest size, as a share of the baseline's.
    #[arg(long, value_name = "RATIO", requires = "baseline")]
    max_ratio: Option<Ratio>,
    /// Longest 95th percentile of requests (upper bound), such as 10ms.
    #[arg(long, value_name = "DURATION")]
    p95: Option<Duration>,
    /// The ratio to the baseline's that the upper bound of the 95th percentile of requests may reach: 1.0 for no slower.
    #[arg(long, value_name = "RATIO", requires = "baseline")]
    max_latency_ratio: Option<Ratio>,
    /// Samples below which nothing that counts them is judged; 1 judges any number.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    min_samples: u32,
}

impl Evaluate {
    pub(crate) async fn run(self, json: bool) -> Result<(), Error> {
        let baseline_path = self.baseline.clone().unwrap_or_else(|| self.model.clone());
        let (data, gate) = self.spec()?;
        let servers = [
            serve(&self.model, self.engine).await?,
            serve(&baseline_path, EngineArgs { engine: Engine::Auto, ..self.engine }).await?,
        ];
        let engines = servers.each_ref().map(|server| server.running.engine.clone());
        let mut candidate = self.predictor(&servers[0], "candidate").await?;
        let mut baseline = self.predictor(&servers[1], "baseline").await?;
        let mut file = NpzFile::open(&self.data).map_err(|error| Error::file(&self.data, &error))?;
        let samples = Samples::bind(&mut file, &data, candidate.inputs())
            .map_err(|error| Error::file(&self.data, &error))?;
        let bar = progress::bar(json);
        let mut tally = Tally::default();
        if let Some(output) = &self.output {
            bar.start_counting("judging", u64::try_from(samples.count()).ok());
            let options = ReplayOptions { output, needs_labels: self.labels.is_some() };
            let replayed = replay(&samples, &mut candidate, &mut baseline, options, |_| bar.advance(1)).await;
            bar.finish();
            tally = replayed.map_err(|error| self.unjudged(&error))?.tally;
        }
        let pairs = self.wanted.pairs();
        bar.start_counting("timing", u64::try_from(Race::laps(pairs)).ok());
        let raced = race(&samples, &mut candidate, &mut baseline, pairs, |_| bar.advance(1)).await;
        bar.finish();
        let measured = Measured {
            tally,
            sizes: Sizes { candidate: size(&self.model)?, baseline: size(&baseline_path)? },
            race: Some(raced.map_err(|error| self.unjudged(&error))?),
        };
        let status = self.wanted.told(judge(&gate, &measured));
        for server in servers {
            server.stop().await;
        }
        let warning = seen::warning(&self.model, &self.data)?;
        show(&Report { status: &status, engines, warning }, json)?;
        refused(&status)
    }

    async fn predictor(&self, server: &Started, role: &'static str) -> Result<HttpPredictor, Error> {
        let url = format!("http://{}", server.running.addr);
        let connected = match &self.output {
            Some(output) => HttpPredictor::connect(&url, "model", role, output).await,
            None => HttpPredictor::connect_to_all(&url, "model", role).await,
        };
        connected.map_err(|error| Error::model(&error))
    }

    /// An error of the data with its file, one of a model as it is.
    fn unjudged(&self, error: &EvaluateError) -> Error {
        match error {
            EvaluateError::Data(error) => Error::file(&self.data, error),
            _ => Error::model(error),
        }
    }

    /// The data set's binding and a gate; everything passes a threshold that nobody gave.
    fn spec(&self) -> Result<(DataSet, Gate), Error> {
        let data = DataSet { labels: self.labels.clone(), ..self.binding.spec(&self.data)? };
        let Wanted { minimum, max_drop, agreement, max_ratio, p95, max_latency_ratio, min_samples } =
            &self.wanted;
        let mut checks = Vec::new();
        if self.labels.is_some() {
            let accuracy =
                json!({ "minimum": or(minimum.as_ref(), "0"), "maxDrop": or(max_drop.as_ref(), "1") });
            checks.push(json!({ "name": "accuracy", "accuracy": accuracy }));
        }
        if self.output.is_some() {
            checks.push(
                json!({ "name": "agreement", "parity": { "top1Agreement": or(agreement.as_ref(), "0") } }),
            );
        }
        checks.push(json!({ "name": "size", "size": { "maxRatio": or(max_ratio.as_ref(), "1000") } }));
        let latency =
            json!({ "p95": or(p95.as_ref(), "1h"), "maxRatio": or(max_latency_ratio.as_ref(), "1000") });
        checks.push(json!({ "name": "latency", "latency": latency }));
        let gate = json!({
            "data": "data", "minSamples": min_samples, "checks": checks,
            "task": { "classification": { "output": self.output.as_deref().unwrap_or_default() } },
        });
        Ok((data, serde_json::from_value(gate).map_err(|error| Error::Usage(error.to_string()))?))
    }
}

async fn serve(model: &Path, engine: EngineArgs) -> Result<Started, Error> {
    let EngineOptions { threads, backend, library: _ } = engine.options();
    started(driven(Config { threads, backend, ..Config::local(model, "model") })).await
}

fn size(path: &Path) -> Result<u64, Error> {
    let model = OnnxModel::open(path).map_err(|error| Error::file(path, &error))?;
    Ok(model.facts().total_bytes)
}

impl Wanted {
    /// How many pairs of requests are timed: fewer where no verdict rests on them.
    fn pairs(&self) -> usize {
        if self.p95.is_some() || self.max_latency_ratio.is_some() { Race::PAIRS } else { UNJUDGED_PAIRS }
    }

    /// The verdicts on what a threshold was given for; the rest is reported.
    fn told(&self, mut status: GateStatus) -> GateStatus {
        let Self { minimum, max_drop, agreement, max_ratio, p95, max_latency_ratio, min_samples: _ } = self;
        let given = [
            ("accuracy.minimum", minimum.is_some()),
            ("accuracy.maxDrop", max_drop.is_some()),
            ("agreement", agreement.is_some()),
            ("size", max_ratio.is_some()),
            // The name of both together, where no request was answered in time.
            ("latency", p95.is_some() || max_latency_ratio.is_some()),
            ("latency.p95", p95.is_some()),
            ("latency.maxRatio", max_latency_ratio.is_some()),
        ];
        for check in &mut status.checks {
            if given.iter().any(|(name, is_given)| *name == check.name && !is_given) {
                check.verdict = Verdict::Reported;
                check.threshold = None;
                check.message = String::from("measured; no threshold was given");
            }
        }
        let judged = status.checks.iter().any(|check| check.verdict != Verdict::Reported);
        status.verdict = if judged { overall(&status.checks) } else { Verdict::Reported };
        status
    }
}

/// A threshold, or one that everything passes where none was given.
fn or<T: ToString>(given: Option<&T>, open: &str) -> String {
    given.map_or_else(|| open.to_owned(), T::to_string)
}

/// Says what did not pass.
fn refused(status: &GateStatus) -> Result<(), Error> {
    let reason = match status.verdict {
        Verdict::Pass | Verdict::Reported => return Ok(()),
        Verdict::Fail => reason::CHECK_FAILED,
        Verdict::Inconclusive => reason::INCONCLUSIVE,
    };
    let open = status.checks.iter().filter(|check| check.verdict == status.verdict);
    let words: Vec<_> = open.map(|check| format!("{}: {}", check.name, check.message)).collect();
    Err(Error::Gate { reason: reason.into(), message: words.join("; ") })
}

/// What is printed for scripts.
#[derive(Serialize)]
struct Report<'a> {
    #[serde(flatten)]
    status: &'a GateStatus,
    /// The engines of the model and of the baseline.
    engines: [String; 2],
    #[serde(skip_serializing_if = "Option::is_none")]
    warning: Option<String>,
}

fn show(report: &Report<'_>, json: bool) -> Result<(), Error> {
    if json {
        return output::json(report);
    }
    let Report { status, engines: [engine, baseline], warning } = report;
    if let Some(warning) = warning {
        eprintln!("warning: {warning}");
    }
    let judged = status.verdict != Verdict::Reported;
    let samples = match status.samples {
        0 => String::new(),
        samples => format!("{samples} samples\n\n"),
    };
    let engines = format!("model in {engine}, baseline in {baseline}\n");
    output::print(&format!("{engines}{samples}{}", verdict_table(status, judged)))
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use slipway_api::status::CheckStatus;

    use super::*;

    #[derive(Parser)]
    struct Call {
        #[command(flatten)]
        evaluate: Evaluate,
    }

    fn call(more: &[&str]) -> Evaluate {
        let plain = ["evaluate", "small.onnx", "--baseline", "model.onnx", "--data", "x.npz"];
        Call::try_parse_from([&plain[..], more].concat()).unwrap_or_else(|error| panic!("{error}")).evaluate
    }

    #[test]
    fn latency_that_could_not_be_timed_is_judged_where_a_threshold_was_given_alone() {
        let status = GateStatus {
            checks: vec![CheckStatus { name: "latency".into(), ..CheckStatus::default() }],
            ..GateStatus::default()
        };
        for (more, verdict) in [
            (&[][..], Verdict::Reported),
            (&["--max-ratio", "1"], Verdict::Reported),
            (&["--p95", "10ms"], Verdict::Inconclusive),
            (&["--max-latency-ratio", "1.0"], Verdict::Inconclusive),
        ] {
            let told = call(more).wanted.told(status.clone());
            assert_eq!((told.verdict, told.checks[0].verdict), (verdict, verdict), "{more:?}");
        }
    }

    #[test]
    fn as_many_samples_are_wanted_as_an_object_wants() {
        let task = json!({ "classification": { "output": "p" } });
        let gate: Gate =
            serde_json::from_value(json!({ "data": "holdout", "task": task, "checks": [] })).unwrap();
        assert_eq!(i64::from(call(&[]).wanted.min_samples), gate.min_samples);
    }
}
