//! `slipway-server`: serves a model, or fetches one for a server that starts after it.

mod args;

use std::{path::Path, process::ExitCode};

use clap::Parser;
use slipway_artifacts::chain;
use slipway_server::pull::{self, PullError, PullOptions};
use slipway_server::{Config, NotReady, Running, serve};
use tokio_util::sync::CancellationToken;

use args::{Args, Command, LogFormat};

fn main() -> ExitCode {
    let args = Args::parse();
    start_log(args.log_format, &args.log);
    match args.command {
        Command::Serve(serve) => run_server(serve),
        Command::Pull(pull) => run_pull(pull),
    }
}

fn start_log(format: LogFormat, filter: &str) {
    let filter = tracing_subscriber::EnvFilter::try_new(filter).unwrap_or_default();
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => builder.init(),
        LogFormat::Json => builder.json().init(),
    }
}

/// Serves until a signal; where it cannot, the reason is the container's termination message, since the kubelet tells
/// nobody what a health check answered.
fn run_server(args: args::ServeArgs) -> ExitCode {
    let (threads, log) = (args.io_threads, args.termination_log.clone());
    let outcome =
        runtime(threads).and_then(|runtime| runtime.block_on(serve_until_signal(args.into_config())));
    if let Err(error) = &outcome
        && log.exists()
        && let Err(error) = std::fs::write(&log, chain(error.as_ref()))
    {
        tracing::warn!(%error, "cannot write the termination message");
    }
    report(outcome)
}

async fn serve_until_signal(config: Config) -> Result<(), Box<dyn std::error::Error>> {
    let shutdown = CancellationToken::new();
    let stop = terminated()?;
    let mut running = serve(config, shutdown.clone()).await?;
    tokio::select! {
        () = stop => {}
        // Nobody is served, so nothing is drained.
        unfit = never_ready(&mut running) => return Err(unfit.into()),
    }
    shutdown.cancel();
    running.ended().await;
    Ok(())
}

/// Ends when the server will not become ready without a restart.
async fn never_ready(running: &mut Running) -> NotReady {
    match running.ready().await {
        Ok(()) => std::future::pending().await,
        Err(unfit) => unfit,
    }
}

/// Waits for SIGTERM or Ctrl-C; both are caught from the moment this returns.
fn terminated() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

fn run_pull(args: args::PullArgs) -> ExitCode {
    let log = args.termination_log.clone();
    let outcome = runtime(1).and_then(|runtime| {
        let pulled = runtime.block_on(pull_until_signal(&args.into_options(), &log));
        // The engine may still look at the model; it ends with the process.
        runtime.shutdown_background();
        pulled
    });
    report(outcome)
}

async fn pull_until_signal(options: &PullOptions, log: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let stop = terminated()?;
    let pulled = tokio::select! {
        pulled = pull::pull(options) => pulled.map(drop),
        () = stop => Err(PullError::Interrupted(options.reference.clone())),
    };
    pulled.map_err(|error| {
        error.write_to(log);
        error.into()
    })
}

fn runtime(threads: usize) -> Result<tokio::runtime::Runtime, Box<dyn std::error::Error>> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    Ok(builder.worker_threads(threads.max(1)).thread_name("io").enable_all().build()?)
}

fn report(outcome: Result<(), Box<dyn std::error::Error>>) -> ExitCode {
    let Err(error) = outcome else { return ExitCode::SUCCESS };
    tracing::error!("{}", chain(error.as_ref()));
    ExitCode::FAILURE
}
