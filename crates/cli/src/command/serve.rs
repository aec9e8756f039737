//! `slipway serve`: one model file, served on this machine.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use clap::Args;
use serde_json::json;
use slipway_server::{Config, EngineOptions, check_name, escaped};

use super::engine::EngineArgs;
use crate::{
    error::Error,
    local::{asked_to_end, started},
    output,
};

/// Serve a model on this machine
///
/// Open Inference Protocol v2: REST and gRPC on one port, metrics on another.
#[derive(Args)]
#[command(after_help = "\
Examples:
  slipway serve model.onnx --name net --port 8080
  curl -s localhost:8080/v2/models/net")]
pub(crate) struct Serve {
    /// The model file, or a folder with one.
    model: PathBuf,
    /// The name in /v2/models/{name}; the file's name when left out.
    #[arg(long)]
    name: Option<String>,
    /// The address to listen on; 0.0.0.0 is every one of this machine's, for anybody who reaches it.
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    host: IpAddr,
    /// The port for REST and gRPC; 0 takes any free one.
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// The port for /metrics; 0 takes any free one.
    #[arg(long, default_value_t = 8081)]
    metrics_port: u16,
    #[command(flatten)]
    engine: EngineArgs,
}

impl Serve {
    pub(crate) async fn run(self, json: bool) -> Result<(), Error> {
        let stem = self.model.file_stem().map(|stem| stem.to_string_lossy().into_owned());
        let name = self.name.clone().or(stem).unwrap_or_else(|| "model".into());
        check_name(&name).map_err(|wrong| Error::Usage(format!("{wrong}: --name NAME")))?;
        let EngineOptions { threads, backend, library: _ } = self.engine.options();
        let config = Config {
            http: SocketAddr::new(self.host, self.port),
            metrics: SocketAddr::new(self.host, self.metrics_port),
            threads,
            backend,
            ..Config::local(self.model.clone(), &name)
        };
        let ended = asked_to_end()?;
        let ports = [(self.port, "--port"), (self.metrics_port, "--metrics-port")];
        let server = started(config).await.map_err(|error| error.with_free_ports(self.host, ports))?;
        let url = format!("http://{}/v2/models/{}", server.running.addr, escaped(&name));
        let metrics = format!("http://{}/metrics", server.running.metrics_addr);
        let engine = server.running.engine.clone();
        if json {
            output::json(&json!({ "url": url, "metrics": metrics, "engine": engine }))?;
        } else {
            output::print(&format!("{url} is ready in {engine}; metrics at {metrics}; Ctrl-C ends it"))?;
        }
        ended.await;
        server.stop().await;
        Ok(())
    }
}
