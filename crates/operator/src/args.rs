//! The flags of the operator, each with an environment variable for the chart.

use std::net::SocketAddr;

use clap::{Parser, ValueEnum};
use slipway_plan::Settings;

/// Looks after the `ModelDeployments` of a cluster.
#[derive(Debug, Parser)]
#[command(name = "slipway-operator", version)]
pub(crate) struct Args {
    /// The image of serving pods and of the gate's servers.
    #[arg(long, env = "SLIPWAY_SERVER_IMAGE")]
    pub(crate) server_image: String,
    /// The same with ONNX Runtime, for objects that ask for it; the other one when left out.
    #[arg(long, env = "SLIPWAY_ONNXRUNTIME_SERVER_IMAGE")]
    pub(crate) onnxruntime_server_image: Option<String>,
    /// The image of job pods.
    #[arg(long, env = "SLIPWAY_JOB_IMAGE")]
    pub(crate) job_image: String,
    /// The same with ONNX Runtime, for steps that run a model on data in it; the other one when left out.
    #[arg(long, env = "SLIPWAY_ONNXRUNTIME_JOB_IMAGE")]
    pub(crate) onnxruntime_job_image: Option<String>,
    /// When the kubelet pulls these images.
    #[arg(long, env = "SLIPWAY_IMAGE_PULL_POLICY", default_value = "IfNotPresent")]
    pub(crate) image_pull_policy: String,
    /// A Secret with which the kubelet pulls these images; may be repeated, or separated by commas.
    #[arg(long = "image-pull-secret", env = "SLIPWAY_IMAGE_PULL_SECRETS", value_delimiter = ',')]
    pub(crate) image_pull_secrets: Vec<String>,
    /// The artifact registry: host and, where it is not the default, port.
    #[arg(long, env = "SLIPWAY_REGISTRY")]
    pub(crate) registry: String,
    /// Speak HTTP to the artifact registry.
    #[arg(long, env = "SLIPWAY_REGISTRY_PLAIN_HTTP", action = clap::ArgAction::Set, num_args = 0..=1, require_equals = true, default_value_t = false, default_missing_value = "true")]
    pub(crate) registry_plain_http: bool,
    /// Make `ServiceMonitors` where the cluster knows the kind.
    #[arg(long, env = "SLIPWAY_SERVICE_MONITORS", action = clap::ArgAction::Set, num_args = 0..=1, require_equals = true, default_value_t = true, default_missing_value = "true")]
    pub(crate) service_monitors: bool,
    /// A label of every `ServiceMonitor`, as KEY=VALUE; may be repeated, or separated by commas.
    #[arg(long = "service-monitor-label", env = "SLIPWAY_SERVICE_MONITOR_LABELS", value_delimiter = ',', value_parser = label)]
    pub(crate) service_monitor_labels: Vec<(String, String)>,
    /// The only namespace to look after; all when left out.
    #[arg(long, env = "SLIPWAY_NAMESPACE")]
    pub(crate) namespace: Option<String>,
    /// How many objects are looked at at once.
    #[arg(long, env = "SLIPWAY_CONCURRENCY", default_value_t = 8)]
    pub(crate) concurrency: u16,
    /// Compete with other replicas for the lease, so that one does the work.
    #[arg(long, env = "SLIPWAY_LEADER_ELECT", action = clap::ArgAction::Set, num_args = 0..=1, require_equals = true, default_value_t = false, default_missing_value = "true")]
    pub(crate) leader_elect: bool,
    /// The name of the lease.
    #[arg(long, env = "SLIPWAY_LEASE", default_value = "slipway-operator")]
    pub(crate) lease: String,
    /// The namespace of the lease.
    #[arg(long, env = "POD_NAMESPACE", default_value = "default")]
    pub(crate) lease_namespace: String,
    /// The name of this replica.
    #[arg(long, env = "POD_NAME")]
    pub(crate) identity: Option<String>,
    /// Where /metrics, /healthz and /readyz answer.
    #[arg(long, env = "SLIPWAY_LISTEN", default_value = "0.0.0.0:8080")]
    pub(crate) listen: SocketAddr,
    /// How log lines are written; `RUST_LOG` says which.
    #[arg(long, env = "SLIPWAY_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub(crate) log_format: LogFormat,
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Args {
    /// The settings that plans get.
    pub(crate) fn settings(&self) -> Settings {
        Settings {
            server_image: self.server_image.clone(),
            onnxruntime_server_image: self.onnxruntime_server_image.clone(),
            job_image: self.job_image.clone(),
            onnxruntime_job_image: self.onnxruntime_job_image.clone(),
            image_pull_policy: self.image_pull_policy.clone(),
            image_pull_secrets: (self.image_pull_secrets.iter())
                .filter(|name| !name.is_empty())
                .cloned()
                .collect(),
            registry: self.registry.clone(),
            registry_plain_http: self.registry_plain_http,
            service_monitors: self.service_monitors,
            service_monitor_labels: self.service_monitor_labels.iter().cloned().collect(),
            local: false,
        }
    }
}

fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(format!("{text:?} is not KEY=VALUE")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEEDED: [&str; 7] =
        ["slipway-operator", "--server-image", "s:1", "--job-image", "j:1", "--registry", "r:5000"];

    fn parse(more: &[&str]) -> Result<Args, clap::Error> {
        Args::try_parse_from(NEEDED.iter().chain(more))
    }

    #[test]
    fn flags_become_settings() {
        let args = parse(&[
            "--registry-plain-http",
            "--service-monitors=false",
            "--service-monitor-label",
            "release=kps,team=a",
            "--image-pull-secret",
            "one",
            "--image-pull-secret",
            "two",
        ])
        .unwrap();
        let settings = args.settings();
        assert!(settings.registry_plain_http && !settings.service_monitors && !settings.local);
        assert_eq!(settings.image_pull_secrets, ["one", "two"]);
        assert_eq!(settings.service_monitor_labels.len(), 2);
        assert_eq!(settings.service_monitor_labels["release"], "kps");
    }

    #[test]
    fn what_is_left_out_has_a_default_and_what_is_wrong_is_refused() {
        let args = parse(&[]).unwrap();
        assert!(args.settings().service_monitors && !args.leader_elect);
        assert!(parse(&["--service-monitor-label", "nonsense"]).is_err());
        assert!(Args::try_parse_from(["slipway-operator"]).is_err());
    }
}
