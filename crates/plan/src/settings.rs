//! Settings of the whole installation, from the chart; never part of a key or of a revision's identity.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use slipway_api::{Backend, job::Work};

/// Settings of the whole installation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Settings {
    /// The image of serving pods and of the gate's servers (`slipway-server`).
    pub server_image: String,
    /// The same with ONNX Runtime (`slipway-server-onnxruntime`), for objects that ask for it. Default: the other one.
    #[serde(default)]
    pub onnxruntime_server_image: Option<String>,
    /// The image of job pods (`slipway-job`).
    pub job_image: String,
    /// The same with ONNX Runtime (`slipway-job-onnxruntime`), for steps that run the model on data
    /// in it. Default: the other one.
    #[serde(default)]
    pub onnxruntime_job_image: Option<String>,
    /// When the kubelet pulls these images. Default: `IfNotPresent`.
    #[serde(default = "if_not_present")]
    pub image_pull_policy: String,
    /// Secrets with which the kubelet pulls these images.
    #[serde(default)]
    pub image_pull_secrets: Vec<String>,
    /// The artifact registry: host and, where it is not the default, port.
    pub registry: String,
    /// Speak HTTP instead of HTTPS to the artifact registry.
    #[serde(default)]
    pub registry_plain_http: bool,
    /// Whether service monitors are made at all. Default: true.
    #[serde(default = "yes")]
    pub service_monitors: bool,
    /// Labels of every service monitor.
    #[serde(default)]
    pub service_monitor_labels: BTreeMap<String, String>,
    /// Whether sources may lie on this machine's disk (`file://`): the local road, never a cluster.
    #[serde(default)]
    pub local: bool,
}

impl Settings {
    /// The image of a server that runs models in an engine.
    pub fn server_image_with(&self, engine: Backend) -> &str {
        let onnxruntime = self.onnxruntime_server_image.as_deref();
        onnxruntime.filter(|_| engine.may_be_onnxruntime()).unwrap_or(&self.server_image)
    }

    /// The image of a step's pod: calibrations, and stages that look at data, run the model in the job's own program.
    pub fn job_image_of(&self, work: &Work) -> &str {
        let engine = match work {
            Work::Calibrate(work) => Some(work.backend),
            Work::Stage { data: Some(_), backend, .. } => Some(*backend),
            Work::Stage { .. } | Work::Source { .. } | Work::Data { .. } | Work::Gate(_) => None,
        };
        let runs_in_it = engine.is_some_and(Backend::may_be_onnxruntime);
        self.onnxruntime_job_image.as_deref().filter(|_| runs_in_it).unwrap_or(&self.job_image)
    }
}

fn if_not_present() -> String {
    "IfNotPresent".into()
}

fn yes() -> bool {
    true
}
