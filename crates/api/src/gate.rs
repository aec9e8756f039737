//! `gate`: what an artifact must show before it may serve.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Duration, Fraction, Ratio, schema};

/// The quality gate: every check must pass before the artifact rolls out; no data is not a pass.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(transform = schema::closed)]
pub struct Gate {
    /// The data set that is replayed, by its name in `data`. Example: `holdout`.
    #[schemars(length(min = 1, max = 32))]
    pub data: String,
    /// What the artifact is compared with. Default: the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<Baseline>,
    /// What the outputs mean, and so what accuracy means.
    pub task: Task,
    /// The one-sided confidence at which bounds are judged: at least 0.5, and below 1. Default: `"0.95"`.
    #[serde(default = "confidence", skip_serializing_if = "is_confidence")]
    #[schemars(extend("default" = "0.95", "x-kubernetes-validations" = [
        {"rule": "double(self) >= 0.5 && double(self) < 1.0",
         "message": "confidence has to be at least 0.5 and below 1, such as \"0.95\""}
    ]))]
    pub confidence: Fraction,
    /// What an inconclusive check means. Default: `Fail`.
    #[serde(default, skip_serializing_if = "OnInconclusive::is_default")]
    pub on_inconclusive: OnInconclusive,
    /// The least number of samples that may be judged at all; a check on fewer is inconclusive. Default: 100.
    #[serde(default = "min_samples", skip_serializing_if = "is_min_samples")]
    #[schemars(range(min = 1, max = 10_000_000), extend("default" = 100))]
    pub min_samples: i64,
    /// The checks, each with a name and exactly one kind.
    #[schemars(length(min = 1, max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub checks: Vec<Check>,
}

fn confidence() -> Fraction {
    "0.95".parse().expect("a valid fraction")
}
fn is_confidence(value: &Fraction) -> bool {
    *value == confidence()
}
fn min_samples() -> i64 {
    100
}
fn is_min_samples(value: &i64) -> bool {
    *value == min_samples()
}

/// What an artifact is compared with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(transform = schema::closed)]
pub struct Baseline {
    /// The output of a stage, or `source`. Example: `source`.
    #[schemars(length(min = 1, max = 12))]
    pub stage: String,
}

/// What the outputs mean; exactly one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(transform = schema::closed)]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "has(self.classification)", "message": "task needs exactly one kind: classification"}
]))]
pub struct Task {
    /// One class a sample: accuracy is the share of samples whose highest score is at the label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classification: Option<Classification>,
}

/// One class a sample.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(transform = schema::closed)]
pub struct Classification {
    /// The model output with one score a class, shape `[batch, classes]`. Example: `probabilities`.
    #[schemars(length(min = 1, max = 128))]
    pub output: String,
}

/// What an inconclusive check means.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnInconclusive {
    /// It blocks the rollout.
    #[default]
    Fail,
    /// It does not block the rollout.
    Pass,
}

impl OnInconclusive {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// One check of the gate: a name and exactly one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(transform = schema::closed)]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "[has(self.accuracy), has(self.parity), has(self.latency), has(self.size)].filter(kind, kind).size() == 1",
     "message": "a check needs exactly one kind: accuracy, parity, latency or size"}
]))]
pub struct Check {
    /// The check's name, unique in the list. Example: `acc`.
    #[schemars(length(min = 1, max = 32), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,
    /// Correctness against labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<AccuracyCheck>,
    /// Agreement with the baseline; needs no labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parity: Option<ParityCheck>,
    /// The time of a request of one sample.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<LatencyCheck>,
    /// Bytes of all model files, uncompressed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<SizeCheck>,
}

/// The kind of a check, with its thresholds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckKind<'a> {
    /// Correctness against labels.
    Accuracy(&'a AccuracyCheck),
    /// Agreement with the baseline.
    Parity(&'a ParityCheck),
    /// The time of a request.
    Latency(&'a LatencyCheck),
    /// Bytes of all model files.
    Size(&'a SizeCheck),
}

impl Check {
    /// The check's kind; `None` when the user wrote none, which the CRD refuses.
    pub fn kind(&self) -> Option<CheckKind<'_>> {
        let Self { name: _, accuracy, parity, latency, size } = self;
        (accuracy.as_ref().map(CheckKind::Accuracy))
            .or(parity.as_ref().map(CheckKind::Parity))
            .or(latency.as_ref().map(CheckKind::Latency))
            .or(size.as_ref().map(CheckKind::Size))
    }
}

/// Correctness against labels; at least one threshold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(transform = schema::closed)]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "has(self.minimum) || has(self.maxDrop)", "message": "accuracy needs minimum, maxDrop or both"}
]))]
pub struct AccuracyCheck {
    /// The Wilson lower bound of accuracy must be at least this. Example: `"0.95"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum: Option<Fraction>,
    /// The upper bound (Tango, paired) of what accuracy loses against the baseline must be at most this.
    /// Example: `"0.01"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_drop: Option<Fraction>,
}

/// Agreement with the baseline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(transform = schema::closed)]
pub struct ParityCheck {
    /// The Clopper–Pearson lower bound of the share of samples with the same highest class must be at least this.
    /// Example: `"0.98"`.
    pub top1_agreement: Fraction,
}

/// The time of a request of one sample, both servers asked in turn; without a threshold, `maxRatio: "1.0"`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(transform = schema::closed)]
pub struct LatencyCheck {
    /// The upper bound of the 95th percentile must be at most this. Example: `10ms`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p95: Option<Duration>,
    /// The upper bound of the ratio of the 95th percentile to the baseline's must be at most this. Default: `"1.0"` where
    /// `p95` is absent. Example: `"1.1"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_ratio: Option<Ratio>,
}

impl LatencyCheck {
    /// The ratio that is wanted: where nothing is said, no slower than the baseline.
    pub fn ratio(&self) -> Option<Ratio> {
        self.max_ratio.clone().or_else(|| self.p95.is_none().then(no_slower))
    }
}

fn no_slower() -> Ratio {
    "1.0".parse().expect("a valid ratio")
}

/// Bytes of all model files, uncompressed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(transform = schema::closed)]
pub struct SizeCheck {
    /// The ratio to the baseline's bytes must be at most this. Example: `"0.35"`.
    pub max_ratio: Ratio,
}
