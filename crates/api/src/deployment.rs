//! `ModelDeployment`: one model, from its file to a watched service.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{DataSet, Gate, Jobs, ModelFormat, Monitoring, Rollout, Serving, Source, Stage, schema};

/// One model, from its file to a watched production service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "crd", derive(kube::CustomResource))]
#[cfg_attr(
    feature = "crd",
    kube(
        group = "slipway.dev",
        version = "v1alpha1",
        kind = "ModelDeployment",
        plural = "modeldeployments",
        singular = "modeldeployment",
        shortname = "mdep",
        category = "slipway",
        namespaced,
        status = "crate::status::Status",
        derive = "PartialEq",
        doc = "One model, from its file to a watched production service.",
        scale(
            spec_replicas_path = ".spec.serving.replicas",
            status_replicas_path = ".status.replicas",
            label_selector_path = ".status.selector"
        ),
        printcolumn(
            name = "Ready",
            type_ = "string",
            json_path = ".status.conditions[?(@.type=='Ready')].status"
        ),
        printcolumn(
            name = "Reason",
            type_ = "string",
            json_path = ".status.conditions[?(@.type=='Ready')].reason",
            priority = 1
        ),
        printcolumn(name = "Revision", type_ = "string", json_path = ".status.stableRevision"),
        printcolumn(name = "Desired", type_ = "integer", json_path = ".spec.serving.replicas"),
        printcolumn(name = "Available", type_ = "integer", json_path = ".status.readyReplicas"),
        printcolumn(name = "Accuracy", type_ = "string", json_path = ".status.gate.accuracy"),
        printcolumn(name = "Size", type_ = "integer", json_path = ".status.artifact.sizeBytes"),
        printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
    )
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(transform = schema::closed)]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "!has(self.gate) || (has(self.data) && self.data.exists(set, set.name == self.gate.data))",
     "message": "gate.data must be the name of a data set in data"},
    {"rule": "!has(self.stages) || self.stages.all(stage, !has(stage.quantize) || !has(stage.quantize.static) || (has(self.data) && self.data.exists(set, set.name == stage.quantize.static.data)))",
     "message": "quantize.static.data must be the name of a data set in data"},
    {"rule": "!has(self.gate) || !has(self.gate.baseline) || self.gate.baseline.stage == 'source' || (has(self.stages) && self.stages.exists(stage, stage.name == self.gate.baseline.stage))",
     "message": "gate.baseline.stage must be source or the name of a stage"},
    {"rule": "!has(self.gate) || !self.gate.checks.exists(check, has(check.accuracy)) || !has(self.data) || self.data.all(set, set.name != self.gate.data || has(set.labels))",
     "message": "an accuracy check needs labels: in the gate's data set (parity needs none)"}
]))]
pub struct ModelDeploymentSpec {
    /// Start no new work; what serves goes on serving. Default: false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspend: bool,
    /// The model.
    pub model: Model,
    /// Named data sets, which the gate and stages refer to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub data: Vec<DataSet>,
    /// What is done to the model, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub stages: Vec<Stage>,
    /// How the pods that fetch, optimise and judge are run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jobs: Option<Jobs>,
    /// What the artifact must show before it may serve. Left out: everything passes, and `GatePassed` says `NoGate`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<Gate>,
    /// How the model answers requests.
    #[serde(default)]
    pub serving: Serving,
    /// How a new revision takes over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<Rollout>,
    /// What Prometheus is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monitoring: Option<Monitoring>,
}

/// The model: where it comes from and what it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(transform = schema::closed)]
pub struct Model {
    /// Where it comes from.
    pub source: Source,
    /// What the file is; told by its own bytes when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<ModelFormat>,
}
