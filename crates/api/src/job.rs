//! The contract between the operator and its job pods: what goes in as an argument and comes out as a message.
//!
//! The argument is a [`JobSpec`] as canonical JSON. The answer is a [`JobResult`] as the container's termination
//! message; the output itself and the whole report are artifacts in the registry.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    Backend, DataSet, Gate, ModelFormat, Source, Stage,
    condition::reason,
    stage::Static,
    status::{GateStatus, Verdict},
};

/// Where a mounted source (a `ConfigMap` or a volume claim) lies in a job pod.
pub const SOURCE_MOUNT: &str = "/slipway/source";
/// Where a mounted Secret with credentials lies in a job pod.
pub const CREDENTIALS_MOUNT: &str = "/slipway/credentials";
/// Where the Secret with the key lies with which a job signs what it records.
pub const SIGNING_MOUNT: &str = "/slipway/signing";
/// The exit code of a job whose failure would be the same if tried again; the Job's failure policy reads it.
pub const EXIT_FINAL: u8 = 42;
/// Scratch space of a job pod.
pub const SCRATCH_MOUNT: &str = "/slipway/scratch";
/// Where a job writes its answer.
pub const TERMINATION_PATH: &str = "/dev/termination-log";
/// How far above its port a server that a gate drives has its metrics.
pub const JUDGE_METRICS_OFFSET: u16 = 1000;
/// The most bytes of an answer: the kubelet shares 12 KiB among the containers of a pod (the gate's has five) and cuts
/// what is longer.
pub const MAX_RESULT_BYTES: usize = 2400;

/// One step of a pipeline, as a job pod gets it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct JobSpec {
    /// The key of the work; the output is tagged with it.
    pub key: String,
    /// `source`, `data-NAME`, `calibrate-STAGE`, the stage's name, or `gate`.
    pub step: String,
    /// Where inputs are read from and outputs written to.
    pub registry: Registry,
    /// What is to be done.
    pub work: Work,
}

/// A repository in an artifact registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Registry {
    /// Host and, where it is not the default, port. Example: `slipway-registry.slipway-system.svc:5000`.
    pub host: String,
    /// The repository. Example: `default/digits`.
    pub repository: String,
    /// Speak HTTP instead of HTTPS to this host.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub plain_http: bool,
}

impl Registry {
    /// The reference of an artifact of this repository, by digest.
    pub fn uri(&self, digest: &str) -> String {
        format!("oci://{}/{}@{digest}", self.host, self.repository)
    }
}

/// What a job does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Work {
    /// Fetch and verify the model, tell what it is, and refuse what the engine cannot run.
    Source {
        /// Where it comes from.
        source: Source,
        /// What the user says that it is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        format: Option<ModelFormat>,
        /// The engine that has to know its operators.
        #[serde(default, skip_serializing_if = "Backend::is_default")]
        backend: Backend,
    },
    /// Fetch and verify a data set.
    Data {
        /// The data set.
        data: DataSet,
    },
    /// Apply one stage to one artifact.
    Stage {
        /// The stage.
        stage: Stage,
        /// The digest of the artifact that goes in.
        input: String,
        /// The digest of the artifact's calibration, where the stage needs one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        calibration: Option<String>,
        /// The engine that has to load what comes out.
        #[serde(default, skip_serializing_if = "Backend::is_default")]
        backend: Backend,
        /// The data that the stage looks at itself, where it does.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        data: Option<Box<StageData>>,
    },
    /// Run an artifact on data for the ranges of its activations.
    Calibrate(Box<CalibrateWork>),
    /// Judge an artifact by driving two servers on this pod.
    Gate(Box<GateWork>),
}

impl Work {
    /// Where the work's bytes come from, when it is a fetch.
    pub fn source(&self) -> Option<&Source> {
        match self {
            Self::Source { source, format: _, backend: _ } => Some(source),
            Self::Data { data } => Some(&data.source),
            Self::Calibrate(_) | Self::Stage { .. } | Self::Gate(_) => None,
        }
    }

    /// The digests of everything that the work is made of, in the order in which its output records them.
    pub fn inputs(&self) -> Vec<&str> {
        match self {
            Self::Source { .. } | Self::Data { .. } => Vec::new(),
            Self::Stage { stage: _, input, calibration, backend: _, data } => {
                let data = data.as_ref().map(|data| data.digest.as_str());
                [input.as_str()].into_iter().chain(calibration.as_deref()).chain(data).collect()
            }
            Self::Calibrate(work) => vec![&work.input, &work.data_digest],
            Self::Gate(work) => vec![&work.candidate, &work.baseline, &work.data_digest],
        }
    }
}

/// Data that a stage looks at while it works.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StageData {
    /// How the data set is bound to the model.
    pub data: DataSet,
    /// The digest of the data set's artifact.
    pub digest: String,
}

/// What a calibration's job needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CalibrateWork {
    /// How ranges are chosen.
    pub calibrate: Static,
    /// The digest of the artifact that is run.
    pub input: String,
    /// The engine that runs it.
    #[serde(default, skip_serializing_if = "Backend::is_default")]
    pub backend: Backend,
    /// How the data set is bound to the model.
    pub data: DataSet,
    /// The digest of the data set's artifact.
    pub data_digest: String,
}

/// What the gate's job needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GateWork {
    /// The gate.
    pub gate: Gate,
    /// How the data set is bound to the model.
    pub data: DataSet,
    /// The digest of the data set's artifact.
    pub data_digest: String,
    /// The artifacts of data sets that stages look at, by the names of the data sets: none may hold the same file.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub looked_at: BTreeMap<String, String>,
    /// The digest of the artifact that is judged.
    pub candidate: String,
    /// The digest of the artifact that it is compared with.
    pub baseline: String,
    /// The port of the server with the candidate.
    pub candidate_port: u16,
    /// The port of the server with the baseline.
    pub baseline_port: u16,
    /// The name of the model on both servers.
    pub model_name: String,
}

/// A job's answer, written as the container's termination message.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct JobResult {
    /// The digest of the artifact that came out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// The digest of the whole report.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub report: Option<String>,
    /// The digest of the golden samples (the gate's job alone).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub golden: Option<String>,
    /// Bytes of all files of the output, uncompressed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<i64>,
    /// What the output is. Example: `onnx`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// What is worth knowing, in a few words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub facts: Option<String>,
    /// What did it. Example: `slipway/0.1.0`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// Whether the output was there already and nothing was computed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub reused: bool,
    /// What the gate measured (the gate's job alone).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gate: Option<GateStatus>,
    /// Why there is no output.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

/// Why a job has no output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    /// What kind of failure it is.
    pub category: FailureCategory,
    /// Whether the same work may succeed later without a change.
    #[serde(default)]
    pub retryable: bool,
    /// One line for a user: what is wrong, and what to do.
    pub message: String,
}

/// The kinds of failure, a closed set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FailureCategory {
    /// The source, `ConfigMap`, key, Secret or claim does not exist.
    NotFound,
    /// The bytes do not have the digest that was stated.
    DigestMismatch,
    /// The file is not a model that can be used.
    InvalidModel,
    /// The engine does not know an operator of the model.
    UnsupportedOperator,
    /// The data set cannot be used.
    InvalidData,
    /// The stage changed nothing or made the model bigger.
    NothingChanged,
    /// More bytes than allowed.
    TooLarge,
    /// A host did not answer.
    Unreachable,
    /// A host refused the credentials, or none were given.
    Unauthorized,
    /// The artifact registry failed.
    Storage,
    /// The disk that is worked on is full, or failed.
    Disk,
    /// An artifact that an earlier step made is gone.
    ArtifactMissing,
    /// Anything else; a bug if it is ours. Also a kind that this version does not know.
    #[serde(other)]
    Internal,
}

impl FailureCategory {
    /// The reason that a condition carries for this failure.
    pub fn reason(self) -> &'static str {
        match self {
            Self::NotFound | Self::TooLarge | Self::Unreachable | Self::Unauthorized => reason::FETCH_FAILED,
            Self::DigestMismatch => reason::DIGEST_MISMATCH,
            Self::InvalidModel => reason::INVALID_MODEL,
            Self::UnsupportedOperator => reason::UNSUPPORTED_OPERATOR,
            Self::InvalidData => reason::INVALID_DATA,
            Self::NothingChanged => reason::NOTHING_CHANGED,
            Self::Storage => reason::REGISTRY_UNREACHABLE,
            Self::Disk => reason::DISK_FAILED,
            Self::ArtifactMissing => reason::ARTIFACT_MISSING,
            Self::Internal => reason::STAGE_FAILED,
        }
    }
}

impl JobResult {
    /// The termination message: JSON of at most [`MAX_RESULT_BYTES`].
    ///
    /// Where it would be longer, the words of the gate's checks go first (they can be said again from the numbers), then
    /// checks, the least weighty first; the last of the weightiest stays, so that the verdict is what it was. Then the
    /// failure's words are cut.
    pub fn to_message(&self) -> String {
        let mut result = self.clone();
        let mut text = crate::canonical_json(&result);
        if text.len() > MAX_RESULT_BYTES
            && let Some(gate) = &mut result.gate
        {
            gate.checks.iter_mut().for_each(|check| check.message.clear());
            text = crate::canonical_json(&result);
        }
        while text.len() > MAX_RESULT_BYTES
            && let Some(gate) = &mut result.gate
            && gate.checks.len() > 1
        {
            leave_one_out(gate);
            text = crate::canonical_json(&result);
        }
        if text.len() > MAX_RESULT_BYTES
            && let Some(failure) = &mut result.failure
        {
            failure.message = failure.message.chars().take(512).collect();
            text = crate::canonical_json(&result);
        }
        text
    }
}

/// Leaves out the last of the checks whose verdict weighs least.
fn leave_one_out(gate: &mut GateStatus) {
    let weight = |verdict| match verdict {
        Verdict::Pass => 0,
        Verdict::Reported => 1,
        Verdict::Inconclusive => 2,
        Verdict::Fail => 3,
    };
    let checks = gate.checks.iter().enumerate().rev();
    if let Some((place, _)) = checks.min_by_key(|(_, check)| weight(check.verdict)) {
        gate.checks.remove(place);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::CheckStatus;

    #[test]
    fn no_length_of_an_answer_loses_its_failure() {
        let check = |verdict| CheckStatus {
            name: "c".repeat(32),
            verdict,
            measured: Some("0.1234".into()),
            message: "words ".repeat(60),
            ..CheckStatus::default()
        };
        for rest in [Verdict::Inconclusive, Verdict::Reported, Verdict::Pass, Verdict::Fail] {
            let mut checks = vec![check(rest); 47];
            checks.push(check(Verdict::Fail));
            let gate = GateStatus { verdict: Verdict::Fail, checks, ..GateStatus::default() };
            let text = JobResult { gate: Some(gate), ..JobResult::default() }.to_message();
            let gate = serde_json::from_str::<JobResult>(&text).unwrap().gate.unwrap();
            assert!(gate.checks.iter().any(|check| check.verdict == Verdict::Fail), "{rest:?}");
            assert!(gate.checks.len() > 10, "no more is left out than is needed: {}", gate.checks.len());
            assert_eq!(gate.verdict, Verdict::Fail);
        }
    }

    #[test]
    fn an_answer_of_a_later_version_keeps_its_words() {
        let answer = r#"{"failure":{"category":"Exhausted","message":"no GPU","new":1},"new":2}"#;
        let failure = serde_json::from_str::<JobResult>(answer).unwrap().failure.unwrap();
        assert_eq!((failure.category, failure.message.as_str()), (FailureCategory::Internal, "no GPU"));
    }

    #[test]
    fn a_message_always_fits_the_termination_log() {
        let check =
            CheckStatus { name: "c".repeat(32), message: "words ".repeat(60), ..CheckStatus::default() };
        let gate = GateStatus { checks: vec![check; 32], ..GateStatus::default() };
        let failure =
            Failure { category: FailureCategory::Internal, retryable: false, message: "é".repeat(4000) };
        for result in [
            JobResult { gate: Some(gate), ..JobResult::default() },
            JobResult { failure: Some(failure), ..JobResult::default() },
        ] {
            let text = result.to_message();
            assert!(text.len() <= MAX_RESULT_BYTES, "{}", text.len());
            serde_json::from_str::<JobResult>(&text).unwrap();
        }
    }
}
