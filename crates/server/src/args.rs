//! The command line. Every option can come from the environment too.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};
use slipway_server::pull::PullOptions;
use slipway_server::{BackendChoice, Batching, Config, Drain, EngineOptions, Limits, SelfCheck};

/// Inference server: Open Inference Protocol v2, REST and gRPC on one port.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true)]
pub(crate) struct Args {
    /// Form of the log on standard error.
    #[arg(long, global = true, env = "SLIPWAY_LOG_FORMAT", value_enum, default_value = "text")]
    pub(crate) log_format: LogFormat,
    /// Which log messages to write, such as `debug` or `slipway_server=debug`.
    #[arg(long, global = true, env = "SLIPWAY_LOG", default_value = "info")]
    pub(crate) log: String,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve one model until SIGTERM.
    Serve(ServeArgs),
    /// Fetch a model, and golden samples, into a folder; verify digests and that the engine has every operator.
    Pull(PullArgs),
}

/// Which engine runs the model.
#[derive(Debug, clap::Args)]
struct EngineArgs {
    /// Engine: the built-in one, ONNX Runtime, or by itself the first of them that has all the model's operators.
    #[arg(long, env = "SLIPWAY_BACKEND", value_enum, default_value = "auto")]
    backend: BackendArg,
    /// ONNX Runtime library, or the folder it is in; by default it is looked for beside this program.
    #[arg(long, env = "SLIPWAY_ONNXRUNTIME", value_name = "PATH")]
    onnxruntime_library: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum BackendArg {
    Auto,
    Rten,
    #[value(name = "onnxruntime")]
    OnnxRuntime,
}

impl From<BackendArg> for BackendChoice {
    fn from(arg: BackendArg) -> Self {
        match arg {
            BackendArg::Auto => Self::Auto,
            BackendArg::Rten => Self::Rten,
            BackendArg::OnnxRuntime => Self::OnnxRuntime,
        }
    }
}

fn model_name(text: &str) -> Result<String, slipway_server::WrongName> {
    slipway_server::check_name(text).map(|()| text.to_owned())
}

#[derive(Debug, clap::Args)]
pub(crate) struct ServeArgs {
    /// Model file, or the folder that `pull` filled.
    #[arg(long, env = "SLIPWAY_MODEL")]
    model: PathBuf,
    /// Name in `/v2/models/{name}`.
    #[arg(long, env = "SLIPWAY_NAME", value_parser = model_name)]
    name: String,
    /// Revision that serves; also the model's version in the protocol.
    #[arg(long, env = "SLIPWAY_REVISION")]
    revision: Option<String>,
    /// Accuracy that the gate measured, 0 to 1, for the metric `model_accuracy`.
    #[arg(long, env = "SLIPWAY_ACCURACY", value_parser = parse_accuracy)]
    accuracy: Option<f64>,
    /// Golden samples to replay before saying ready; by default those that `pull` fetched.
    #[arg(long, env = "SLIPWAY_GOLDEN")]
    golden: Option<PathBuf>,
    /// What a failed replay of the golden samples means.
    #[arg(long, env = "SLIPWAY_SELF_CHECK", value_enum, default_value = "not-ready")]
    self_check: SelfCheckArg,
    /// File for the reason why it cannot serve, where it exists.
    #[arg(long, env = "SLIPWAY_TERMINATION_LOG", default_value = "/dev/termination-log")]
    pub(crate) termination_log: PathBuf,
    /// Address to listen on.
    #[arg(long, env = "SLIPWAY_ADDRESS", default_value = "0.0.0.0")]
    address: IpAddr,
    /// Port of REST and gRPC.
    #[arg(long, env = "SLIPWAY_HTTP_PORT", default_value_t = 8080)]
    http_port: u16,
    /// Port of `/metrics`.
    #[arg(long, env = "SLIPWAY_METRICS_PORT", default_value_t = 9090)]
    metrics_port: u16,
    /// Threads that compute one inference.
    #[arg(long, env = "SLIPWAY_THREADS", default_value_t = 1)]
    threads: usize,
    #[command(flatten)]
    engine: EngineArgs,
    /// Threads that serve sockets.
    #[arg(long, env = "SLIPWAY_IO_THREADS", default_value_t = 1)]
    pub(crate) io_threads: usize,
    /// Most rows of one run; 1 is no batching.
    #[arg(long, env = "SLIPWAY_MAX_BATCH", default_value_t = 1)]
    max_batch: usize,
    /// Longest that a request waits for others to share its run, such as `2ms`.
    #[arg(long, env = "SLIPWAY_MAX_DELAY", value_parser = parse_duration, default_value = "0ms")]
    max_delay: Duration,
    /// Whether requests may share a run though they change each other's answers.
    #[arg(long, env = "SLIPWAY_CROSS_REQUEST_EFFECTS", value_enum, default_value = "refuse")]
    cross_request_effects: EffectsArg,
    /// Most requests that wait; more are answered 503.
    #[arg(long, env = "SLIPWAY_QUEUE", default_value_t = Limits::default().queued_requests)]
    queue: usize,
    /// Most bytes of tensors that wait, and as many of requests that are being read; more are answered 503.
    #[arg(long, env = "SLIPWAY_QUEUE_BYTES", default_value_t = Limits::default().queued_bytes)]
    queue_bytes: usize,
    /// Largest request in bytes.
    #[arg(long, env = "SLIPWAY_MAX_BODY", default_value_t = Limits::default().body_bytes)]
    max_body: usize,
    /// Longest that a request may take to arrive.
    #[arg(long, env = "SLIPWAY_READ_TIMEOUT", value_parser = parse_duration, default_value = "60s")]
    read_timeout: Duration,
    /// Longest that the drain after SIGTERM may take.
    #[arg(long, env = "SLIPWAY_DRAIN_TIMEOUT", value_parser = parse_duration, default_value = "25s")]
    drain_timeout: Duration,
    /// How long idle HTTP/1.1 connections stay open in the drain.
    #[arg(long, env = "SLIPWAY_DRAIN_LINGER", value_parser = parse_duration, default_value = "3s")]
    drain_linger: Duration,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum EffectsArg {
    Refuse,
    Allow,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum SelfCheckArg {
    Off,
    NotReady,
    Warn,
}

impl ServeArgs {
    pub(crate) fn into_config(self) -> Config {
        Config {
            model: self.model,
            name: self.name,
            revision: self.revision.filter(|revision| !revision.is_empty()),
            accuracy: self.accuracy,
            golden: self.golden,
            self_check: match self.self_check {
                SelfCheckArg::Off => SelfCheck::Off,
                SelfCheckArg::NotReady => SelfCheck::NotReady,
                SelfCheckArg::Warn => SelfCheck::Warn,
            },
            http: SocketAddr::new(self.address, self.http_port),
            metrics: SocketAddr::new(self.address, self.metrics_port),
            threads: self.threads,
            backend: self.engine.backend.into(),
            onnxruntime_library: self.engine.onnxruntime_library,
            batching: Batching {
                max_size: self.max_batch.max(1),
                max_delay: self.max_delay,
                allow_cross_request_effects: matches!(self.cross_request_effects, EffectsArg::Allow),
            },
            limits: Limits {
                body_bytes: self.max_body,
                queued_requests: self.queue,
                queued_bytes: self.queue_bytes,
                read_timeout: self.read_timeout,
            },
            drain: Drain { linger: self.drain_linger, timeout: self.drain_timeout },
        }
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct PullArgs {
    /// The model's artifact, such as `oci://registry/namespace/name@sha256:…`.
    #[arg(long, env = "SLIPWAY_REFERENCE")]
    reference: String,
    /// The golden samples' artifact.
    #[arg(long, env = "SLIPWAY_GOLDEN_REFERENCE")]
    golden_reference: Option<String>,
    /// Folder to fill; it is made where it is missing.
    #[arg(long, env = "SLIPWAY_INTO")]
    into: PathBuf,
    /// Registry hosts to reach without TLS.
    #[arg(long, env = "SLIPWAY_PLAIN_HTTP", value_delimiter = ',')]
    plain_http: Vec<String>,
    #[command(flatten)]
    engine: EngineArgs,
    /// Most bytes to fetch.
    #[arg(long, env = "SLIPWAY_SIZE_LIMIT")]
    size_limit: Option<u64>,
    /// File for the reason of a failure, where it exists.
    #[arg(long, env = "SLIPWAY_TERMINATION_LOG", default_value = "/dev/termination-log")]
    pub(crate) termination_log: PathBuf,
}

impl PullArgs {
    pub(crate) fn into_options(self) -> PullOptions {
        PullOptions {
            reference: self.reference,
            golden_reference: self.golden_reference.filter(|reference| !reference.is_empty()),
            into: self.into,
            plain_http: self.plain_http,
            size_limit: self.size_limit,
            engine: EngineOptions {
                backend: self.engine.backend.into(),
                library: self.engine.onnxruntime_library,
                ..EngineOptions::default()
            },
        }
    }
}

fn parse_accuracy(text: &str) -> Result<f64, String> {
    let accuracy: f64 = text.parse().map_err(|_| "it is not a number".to_owned())?;
    if (0.0..=1.0).contains(&accuracy) { Ok(accuracy) } else { Err("it must lie between 0 and 1".to_owned()) }
}

/// Whole numbers of `ms`, `s` or `m`.
fn parse_duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u32 =
        digits.parse().map_err(|_| "it is not a whole number with a unit, such as 2ms".to_owned())?;
    let unit = match text.get(digits.len()..) {
        Some("ms") => Duration::from_millis(1),
        Some("s") => Duration::from_secs(1),
        Some("m") => Duration::from_mins(1),
        _ => return Err("its unit must be ms, s or m".to_owned()),
    };
    unit.checked_mul(number).ok_or_else(|| "it is too long".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_line_is_consistent() {
        use clap::CommandFactory;
        Args::command().debug_assert();
    }

    #[test]
    fn durations_have_a_unit() {
        assert_eq!(parse_duration("2ms"), Ok(Duration::from_millis(2)));
        assert_eq!(parse_duration("1m"), Ok(Duration::from_mins(1)));
        for wrong in ["", "2", "ms", "-1s", "1h", "1.5s", "99999999999s"] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn accuracy_is_a_fraction() {
        assert_eq!(parse_accuracy("0.97"), Ok(0.97));
        assert!(parse_accuracy("97").is_err() && parse_accuracy("NaN").is_err());
    }
}
