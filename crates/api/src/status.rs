//! `status`: what the operator answers. It is memory, never the only copy of anything.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned};

use crate::condition::Condition;

/// What the operator knows about a `ModelDeployment`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Status {
    /// The generation that this status speaks of; -1 before the operator saw the object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// What is true now; see `docs/conditions.md`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// What became of the source and of each stage of this generation, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub stages: Vec<StageStatus>,
    /// The artifact of this generation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact: Option<ArtifactStatus>,
    /// What the gate measured on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gate: Option<GateStatus>,
    /// The revision that gets the traffic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stable_revision: Option<String>,
    /// The revision that this generation asks for, once it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_revision: Option<String>,
    /// Whether pods rendered today would differ from those of this generation's revision, which are never restarted by
    /// themselves: a newer server image, or a gate that judged since and whose golden samples and accuracy they lack.
    /// To take it, change an annotation in `serving.pod.annotations`: that makes a new revision and starts no job.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub update_available: Option<bool>,
    /// Pods of all revisions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,
    /// Pods of the stable revision that are ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready_replicas: Option<i32>,
    /// The label selector of the serving pods, for the scale subresource.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,
    /// Where the model answers inside the cluster. Example: `http://digits.default.svc/v2/models/digits`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// What became of one step of the pipeline.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct StageStatus {
    /// `source`, `data-NAME`, the stage's name, or `gate`.
    pub name: String,
    /// `source`, `data`, `gate` or the stage's kind. Example: `quantize`.
    pub kind: String,
    /// How far it is.
    #[serde(deserialize_with = "known_or_default")]
    pub state: StageState,
    /// The key of the work: identical work has the same key and is done once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The artifact that went in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_digest: Option<String>,
    /// The artifact that came out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_digest: Option<String>,
    /// The whole report, an artifact too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub report_digest: Option<String>,
    /// Bytes of all files that came out, uncompressed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<i64>,
    /// What did it. Example: `slipway/0.1.0`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// The Job that did it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
    /// Why it is in this state, a documented constant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The same in words, with what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// What is worth knowing, in a few words. Example: `onnx, 12 operators`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub facts: Option<String>,
}

/// How far a step is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum StageState {
    /// It waits for a step before it.
    #[default]
    Pending,
    /// Its Job runs.
    Running,
    /// Its output exists.
    Succeeded,
    /// It gave up.
    Failed,
}

/// The artifact of this generation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ArtifactStatus {
    /// Its digest: of the OCI manifest.
    pub digest: String,
    /// Where it is, by digest.
    pub uri: String,
    /// What it is. Example: `onnx`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// Bytes of all its files, uncompressed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<i64>,
    /// The source that it was made from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_digest: Option<String>,
}

/// What the gate measured.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct GateStatus {
    /// The verdict over all checks.
    #[serde(deserialize_with = "known_or_default")]
    pub verdict: Verdict,
    /// How many samples were judged.
    pub samples: i64,
    /// The artifact's accuracy, where labels exist. Example: `0.9708`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<String>,
    /// The artifact that was judged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact_digest: Option<String>,
    /// Each check, in the order of the spec.
    #[schemars(length(max = 48))]
    pub checks: Vec<CheckStatus>,
}

/// What one threshold measured; numbers are decimal strings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct CheckStatus {
    /// The check's name, with the threshold's where it has several. Example: `acc.maxDrop`.
    pub name: String,
    /// The verdict.
    #[serde(deserialize_with = "known_or_default")]
    pub verdict: Verdict,
    /// What was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub measured: Option<String>,
    /// The lower bound, where the check judges one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub low: Option<String>,
    /// The upper bound, where the check judges one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub high: Option<String>,
    /// What the baseline measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// What is wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold: Option<String>,
    /// How the bound was computed. Example: `wilson`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// How many samples. (Not `n`: YAML 1.1, which kubectl and Helm read, takes that for `false`.)
    #[serde(rename = "samples")]
    pub n: i64,
    /// The verdict in words: measured, bound, wanted, and what to do.
    pub message: String,
}

/// The verdict of a check or of the whole gate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Verdict {
    /// The bound clears the threshold.
    Pass,
    /// The bound excludes the threshold.
    Fail,
    /// More samples are needed.
    #[default]
    Inconclusive,
    /// Measured and reported, judged by nobody.
    Reported,
}

/// What was stored, or the default where a later version stored a value that this one does not know: an unknown state
/// is asked again, an unknown verdict is no pass.
fn known_or_default<'de, D: Deserializer<'de>, T: DeserializeOwned + Default>(
    stored: D,
) -> Result<T, D::Error> {
    let stored = serde_json::Value::deserialize(stored)?;
    Ok(serde_json::from_value(stored).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_a_later_version_stored_is_read_without_what_is_new() {
        let status: Status = serde_json::from_value(json!({
            "stages": [{ "name": "small", "kind": "prune", "state": "Archived", "key": "k", "new": 1 }],
            "gate": { "verdict": "Probably", "samples": 3, "checks": [{ "name": "c", "verdict": "Maybe", "new": [] }] },
            "new": {},
        }))
        .unwrap();
        assert_eq!(
            (status.stages[0].state, status.stages[0].key.as_deref()),
            (StageState::Pending, Some("k"))
        );
        let gate = status.gate.unwrap();
        assert_eq!((gate.verdict, gate.checks[0].verdict), (Verdict::Inconclusive, Verdict::Inconclusive));
    }
}
