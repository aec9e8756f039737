//! `slipway serve`: one model file, served on this machine.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use clap::Args;
use serde_json::json;
use slipway_server::Config;

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
    #[arg(long, default_value_t = 9090)]
    metrics_port: u16,
    /// Threads that one inference may use.
    #[arg(long, default_value_t = 1)]
    threads: usize,
}

impl Serve {
    pub(crate) async fn run(self, json: bool) -> Result<(), Error> {
        let stem = self.model.file_stem().map(|stem| stem.to_string_lossy().into_owned());
        let name = self.name.or(stem).unwrap_or_else(|| "model".into());
        let config = Config {
            http: SocketAddr::new(self.host, self.port),
            metrics: SocketAddr::new(self.host, self.metrics_port),
            threads: self.threads,
            ..Config::local(self.model, &name)
        };
        let ended = asked_to_end()?;
        let server = started(config).await?;
        let url = format!("http://{}/v2/models/{name}", server.running.addr);
        let metrics = format!("http://{}/metrics", server.running.metrics_addr);
        if json {
            output::json(&json!({ "url": url, "metrics": metrics }))?;
        } else {
            output::print(&format!("{url} is ready; metrics at {metrics}; Ctrl-C ends it"))?;
        }
        ended.await;
        server.stop().await;
        Ok(())
    }
}
