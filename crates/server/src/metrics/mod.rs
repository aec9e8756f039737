//! What Prometheus reads: counters and histograms of requests, and facts about the model and the process.
//!
//! Every label comes from a closed set; model and revision are fixed for the life of a process.

mod process;
mod queue_length;

use std::borrow::Cow;
use std::fmt::Error;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use crate::queue::Queue;

/// `Content-Type` of [`Metrics::encode`].
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Code of a request whose client went away before the answer.
const CLIENT_GONE: &str = "499";

const LATENCY_SECONDS: [f64; 15] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Over which protocol a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Rest,
    Grpc,
}

impl Protocol {
    const fn name(self) -> &'static str {
        match self {
            Self::Rest => "rest",
            Self::Grpc => "grpc",
        }
    }
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RequestLabels {
    protocol: &'static str,
    code: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ProtocolLabels {
    protocol: &'static str,
}

/// Labels of a metric that is absent until it is set.
type NoLabels = Vec<(String, String)>;

/// What the metrics say about the model.
#[derive(Debug)]
pub(crate) struct ModelFacts<'a> {
    pub(crate) name: &'a str,
    pub(crate) revision: &'a str,
    pub(crate) digest: &'a str,
    pub(crate) backend: &'static str,
    pub(crate) backend_version: &'a str,
    pub(crate) accuracy: Option<f64>,
}

/// The server's metrics.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    rest_duration: Histogram,
    grpc_duration: Histogram,
    queue_wait: Histogram,
    batch_size: Histogram,
    in_flight: Gauge,
    self_check: Family<NoLabels, Gauge>,
}

impl Metrics {
    pub(crate) fn new(model: &ModelFacts<'_>, queue: Arc<Queue>) -> Self {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(process::Process));
        register_info(&mut registry, model);
        let labels = [("model", model.name), ("revision", model.revision)];
        let labels = labels.map(|(key, value)| (Cow::Borrowed(key), Cow::Owned(value.to_owned())));
        let served = registry.sub_registry_with_labels(labels.into_iter());
        register_accuracy(served, model.accuracy);
        served.register_collector(Box::new(queue_length::QueueLength(queue)));

        let requests = Family::default();
        served.register(
            "slipway_requests",
            "Inference requests by protocol and HTTP status",
            requests.clone(),
        );
        let duration = Family::<ProtocolLabels, Histogram>::new_with_constructor(latency_histogram);
        let help = "Seconds from a request's arrival to its answer";
        served.register("slipway_request_duration_seconds", help, duration.clone());
        let queue_wait = latency_histogram();
        served.register(
            "slipway_queue_wait_seconds",
            "Seconds that requests waited for the engine",
            queue_wait.clone(),
        );
        let batch_size = Histogram::new(exponential_buckets(1.0, 2.0, 9));
        served.register("slipway_batch_size", "Rows of one run of the engine", batch_size.clone());
        let in_flight = Gauge::default();
        served.register("slipway_requests_in_flight", "Requests that are being answered", in_flight.clone());
        let self_check = Family::<NoLabels, Gauge>::default();
        let help = "Whether the golden samples gave the gate's answers here; absent where none were replayed";
        served.register("slipway_self_check_passed", help, self_check.clone());

        let of =
            |protocol: Protocol| duration.get_or_create_owned(&ProtocolLabels { protocol: protocol.name() });
        let (rest_duration, grpc_duration) = (of(Protocol::Rest), of(Protocol::Grpc));
        Self {
            registry,
            requests,
            rest_duration,
            grpc_duration,
            queue_wait,
            batch_size,
            in_flight,
            self_check,
        }
    }

    /// Starts to measure one inference request.
    pub(crate) fn begin(self: &Arc<Self>, protocol: Protocol) -> Measured {
        self.in_flight.inc();
        Measured { metrics: Arc::clone(self), protocol, begin: Instant::now(), code: CLIENT_GONE }
    }

    /// One request left the queue.
    pub(crate) fn waited(&self, wait: Duration) {
        self.queue_wait.observe(wait.as_secs_f64());
    }

    /// The engine ran once.
    #[expect(clippy::cast_precision_loss, reason = "rows of a batch are far below 2^53")]
    pub(crate) fn ran_batch(&self, rows: usize) {
        self.batch_size.observe(rows as f64);
    }

    /// The golden samples were replayed.
    pub(crate) fn self_check_passed(&self, passed: bool) {
        self.self_check.get_or_create(&NoLabels::new()).set(i64::from(passed));
    }

    /// Everything, as `OpenMetrics` text.
    pub(crate) fn encode(&self) -> Result<String, Error> {
        let mut text = String::with_capacity(8 << 10);
        text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

fn latency_histogram() -> Histogram {
    Histogram::new(LATENCY_SECONDS)
}

fn register_info(registry: &mut Registry, model: &ModelFacts<'_>) {
    let build = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
    registry.register("slipway_build", "The server's build", build);
    let engine = [("backend", model.backend), ("version", model.backend_version)];
    let engine = engine.map(|(key, value)| (key, value.to_owned())).to_vec();
    registry.register("slipway_engine", "The engine that runs the model", Info::new(engine));
    let facts = [
        ("model", model.name),
        ("revision", model.revision),
        ("digest", model.digest),
        ("backend", model.backend),
    ];
    let facts: Vec<(&str, String)> = facts.into_iter().map(|(key, value)| (key, value.to_owned())).collect();
    registry.register("slipway_model", "The model that is served", Info::new(facts));
}

fn register_accuracy(registry: &mut Registry, accuracy: Option<f64>) {
    let Some(accuracy) = accuracy else { return };
    let gauge = Gauge::<f64, AtomicU64>::default();
    gauge.set(accuracy);
    registry.register("model_accuracy", "Accuracy that the gate measured before the rollout, 0 to 1", gauge);
}

/// One request that is being answered; dropping it counts the request.
#[derive(Debug)]
pub(crate) struct Measured {
    metrics: Arc<Metrics>,
    protocol: Protocol,
    begin: Instant,
    code: &'static str,
}

impl Measured {
    /// Counts the request under a code.
    pub(crate) fn end(mut self, code: &'static str) {
        self.code = code;
    }
}

impl Drop for Measured {
    fn drop(&mut self) {
        self.metrics.in_flight.dec();
        let histogram = match self.protocol {
            Protocol::Rest => &self.metrics.rest_duration,
            Protocol::Grpc => &self.metrics.grpc_duration,
        };
        histogram.observe(self.begin.elapsed().as_secs_f64());
        let labels = RequestLabels { protocol: self.protocol.name(), code: self.code };
        self.metrics.requests.get_or_create(&labels).inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::Capacity;

    #[test]
    fn every_metric_is_documented() {
        let queue = Arc::new(Queue::new(Capacity { jobs: 1, bytes: 1 }));
        let [name, revision, digest, backend_version] = ["net", "net-1", "sha256:0", "1"];
        let facts =
            ModelFacts { name, revision, digest, backend: "rten", backend_version, accuracy: Some(0.5) };
        let metrics = Arc::new(Metrics::new(&facts, queue));
        metrics.begin(Protocol::Rest).end("200");
        metrics.self_check_passed(true);
        let docs = include_str!("../../../../docs/monitoring.md");
        let text = metrics.encode().unwrap();
        let names: Vec<_> =
            text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
        let missing: Vec<_> = names.iter().filter(|name| !docs.contains(&format!("| `{name}"))).collect();
        assert!(missing.is_empty(), "docs/monitoring.md lacks {missing:?}");
        assert_eq!(names.len(), docs.lines().filter(|line| is_of_a_server(line)).count(), "{names:?}");
    }

    /// A row of the server's table.
    fn is_of_a_server(line: &str) -> bool {
        line.starts_with("| `") && !line.starts_with("| `slipway_operator_")
    }
}
