//! `slipway-operator`: flags, log, signals, and the parts of the library put together.

mod args;

use std::{process::ExitCode, sync::Arc, time::Duration};

use args::{Args, LogFormat};
use clap::Parser;
use kube::{Client, Config};
use slipway_operator::{Error, Health, Lease, Metrics, OciRegistry, Options, lead, run, serve};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// How long a deletion waits for the artifact registry.
const FAREWELL: Duration = Duration::from_mins(5);
/// A lease that cannot be renewed in time is lost, so its requests must not hang.
const LEASE_TIMEOUT: Duration = Duration::from_secs(3);

fn main() -> ExitCode {
    let args = Args::parse();
    log(args.log_format);
    // It fails only when a provider is installed already, which is as good.
    let _installed = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let done = match runtime {
        Ok(runtime) => runtime.block_on(operate(args)),
        Err(error) => {
            tracing::error!(%error, "no runtime");
            return ExitCode::FAILURE;
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "the operator ends");
            ExitCode::FAILURE
        }
    }
}

fn log(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,kube=warn"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().flatten_event(true).init(),
    }
}

async fn operate(args: Args) -> Result<(), Box<dyn std::error::Error>> {
    let mut config = Config::infer().await?;
    // An object's own backoff waits better than a request that is repeated while the world moves on.
    config.default_retry = false;
    let client = Client::try_from(config.clone())?;
    let shutdown = CancellationToken::new();
    tokio::spawn(stop_at_signal(signal(SignalKind::terminate())?, shutdown.clone()));

    let (metrics, health) = (Metrics::default(), Health::default());
    let served = tokio::spawn(serve(args.listen, metrics.clone(), health.clone(), shutdown.clone()));
    // At a shutdown the port closes at once, while the work takes its time to release the lease.
    let broken = async {
        match served.await {
            Ok(Ok(())) => std::future::pending().await,
            Ok(Err(error)) => Box::<dyn std::error::Error>::from(error),
            Err(error) => error.into(),
        }
    };
    let worked = work(args, config, client, metrics, health, shutdown.clone());
    let result = tokio::select! {
        worked = worked => worked.map_err(Into::into),
        broken = broken => Err(broken),
    };
    shutdown.cancel();
    result
}

async fn work(
    args: Args,
    mut config: Config,
    client: Client,
    metrics: Metrics,
    health: Health,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let identity = args.identity.clone();
    let options = Options {
        settings: args.settings(),
        namespace: args.namespace.clone(),
        concurrency: args.concurrency,
        registry: Arc::new(OciRegistry::new(&args.registry, args.registry_plain_http)),
        farewell: FAREWELL,
        instance: identity.clone(),
    };
    if !args.leader_elect {
        return run(client, options, metrics, health, shutdown).await;
    }
    config.connect_timeout = Some(LEASE_TIMEOUT);
    config.read_timeout = Some(LEASE_TIMEOUT);
    config.write_timeout = Some(LEASE_TIMEOUT);
    config.reset_reader_on_write = true;
    let lease_client = Client::try_from(config).map_err(|source| Error::Api {
        verb: "make a client for",
        object: format!("Lease {}", args.lease),
        source: Box::new(source),
    })?;
    let identity = identity.unwrap_or_else(|| format!("slipway-operator-{}", std::process::id()));
    let lease = Lease { namespace: args.lease_namespace, name: args.lease, identity };
    let start = |token| run(client.clone(), options.clone(), metrics.clone(), health.clone(), token);
    lead(lease_client, &lease, &metrics, &shutdown, || health.standing_by(), start).await
}

async fn stop_at_signal(mut terminate: tokio::signal::unix::Signal, shutdown: CancellationToken) {
    tokio::select! {
        _ = terminate.recv() => tracing::info!("asked to terminate"),
        _ = tokio::signal::ctrl_c() => tracing::info!("interrupted"),
    }
    shutdown.cancel();
}
