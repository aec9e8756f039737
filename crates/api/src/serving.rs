//! `serving`: how the model answers requests.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Duration, LocalReference, Resources, Toleration, pod, schema};

/// How the model answers requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(transform = schema::closed)]
pub struct Serving {
    /// The server. Default: Slipway's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime: Option<Runtime>,
    /// The name in `/v2/models/{name}`. Default: the object's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[A-Za-z0-9]([-._A-Za-z0-9]*[A-Za-z0-9])?$"))]
    pub model_name: Option<String>,
    /// The Service in front of the pods, named like the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ServicePort>,
    /// How many pods. Default: 1. `kubectl scale` and autoscalers set it through the scale subresource.
    #[serde(default = "one")]
    #[schemars(range(min = 0, max = 1000))]
    pub replicas: i32,
    /// Requests that may run together. Default: no batching.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batching: Option<Batching>,
    /// Compute resources of the server. Default: requests of 50m and 64Mi.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// The longest that a pod may take to load the model and become ready. Default: `5m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub startup_deadline: Option<Duration>,
    /// Where the pods run and how they are labelled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<ServingPod>,
}

impl Serving {
    /// The engine that the user names.
    pub fn backend(&self) -> Option<Backend> {
        self.runtime.as_ref()?.slipway.as_ref()?.backend
    }

    /// The engine that runs the model, and for which stages make it.
    pub fn engine(&self) -> Backend {
        self.backend().unwrap_or_default()
    }
}

fn one() -> i32 {
    1
}

impl Default for Serving {
    fn default() -> Self {
        Self {
            runtime: None,
            model_name: None,
            service: None,
            replicas: one(),
            batching: None,
            resources: None,
            startup_deadline: None,
            pod: None,
        }
    }
}

/// The server; exactly one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(transform = schema::closed)]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "has(self.slipway)", "message": "runtime needs exactly one kind: slipway"}
]))]
pub struct Runtime {
    /// Slipway's own server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slipway: Option<SlipwayRuntime>,
}

/// Slipway's own server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(transform = schema::closed)]
pub struct SlipwayRuntime {
    /// The engine. `onnxruntime` is ONNX Runtime, which has every operator, scikit-learn's too; `rten` is built in and needs
    /// a smaller image, but runs only operators in forms that were proven equal to ONNX; `auto` takes ONNX Runtime where
    /// its library is there and loads the model, and else `rten`. Default: `auto`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend: Option<Backend>,
    /// Threads that one request may use. Default: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 256))]
    pub threads: Option<i32>,
    /// Replay of the gate's golden samples before a pod says that it is ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub self_check: Option<SelfCheck>,
}

/// The engine that runs a model.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    /// ONNX Runtime where its library is there and loads the model, else the built-in engine.
    #[default]
    Auto,
    /// Built into the server.
    Rten,
    /// ONNX Runtime, and no other engine.
    Onnxruntime,
}

impl Backend {
    /// The value of the server's option `--backend`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Rten => "rten",
            Self::Onnxruntime => "onnxruntime",
        }
    }

    /// Whether ONNX Runtime may run the model: pods need an image that has it, and no operator is refused before.
    pub fn may_be_onnxruntime(self) -> bool {
        matches!(self, Self::Auto | Self::Onnxruntime)
    }

    /// Whether the built-in engine may run the model: it has to have a form that this engine loads.
    pub fn may_be_rten(self) -> bool {
        matches!(self, Self::Auto | Self::Rten)
    }

    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Replay of the gate's golden samples before a pod says that it is ready.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(transform = schema::closed)]
pub struct SelfCheck {
    /// What a pod does whose outputs differ from what the gate recorded by more than it allows. Default: `NotReady`.
    #[serde(default, skip_serializing_if = "OnMismatch::is_default")]
    pub on_mismatch: OnMismatch,
}

/// What a pod does whose outputs differ from the gate's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnMismatch {
    /// It does not become ready: its server ends with the difference as its last words and starts again, and condition
    /// `Ready` tells them.
    #[default]
    NotReady,
    /// It logs the difference and serves.
    Warn,
}

impl OnMismatch {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// The Service in front of the pods.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(transform = schema::closed)]
pub struct ServicePort {
    /// The Service's type. Default: `ClusterIP`.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub service_type: Option<ServiceType>,
    /// The port for REST and gRPC. Default: 80.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<i32>,
    /// Annotations of the Service, for load balancers. Example: `{ example.com/internal: "true" }`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32), schema_with = "pod::strings")]
    pub annotations: BTreeMap<String, String>,
}

/// The type of a Service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ServiceType {
    /// Reached from inside the cluster.
    ClusterIP,
    /// Reached on a port of every node.
    NodePort,
    /// Reached through a load balancer.
    LoadBalancer,
}

/// Requests that may run together; needs a model whose leading axis is dynamic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(transform = schema::closed)]
pub struct Batching {
    /// The most samples in one run. Example: 32.
    #[schemars(range(min = 1, max = 4096))]
    pub max_size: i32,
    /// The longest that a request waits for company. Default: `2ms`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_delay: Option<Duration>,
    /// Accept that requests which share a batch change each other's answers, as they do after dynamic quantization
    /// (its activation scale spans the batch). Default: false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_cross_request_effects: bool,
}

/// Where serving pods run and how they are labelled.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(transform = schema::closed)]
pub struct ServingPod {
    /// Labels that a node must have. Example: `{ disktype: ssd }`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32), schema_with = "pod::strings")]
    pub node_selector: BTreeMap<String, String>,
    /// Taints that the pods tolerate.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub tolerations: Vec<Toleration>,
    /// Secrets with which the kubelet pulls the server's image.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub image_pull_secrets: Vec<LocalReference>,
    /// The pods' priority class. Example: `high`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub priority_class_name: Option<String>,
    /// More labels for the pods. Example: `{ team: vision }`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32), schema_with = "pod::strings")]
    pub labels: BTreeMap<String, String>,
    /// More annotations for the pods. Example: `{ example.com/owner: vision }`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32), schema_with = "pod::strings")]
    pub annotations: BTreeMap<String, String>,
}
