//! `slipway-server`: serves a model, or fetches one for a server that starts after it.

mod args;

use std::process::ExitCode;

use clap::Parser;
use slipway_server::pull;
use slipway_server::{Config, serve};
use tokio_util::sync::CancellationToken;

use args::{Args, Command, LogFormat};

fn main() -> ExitCode {
    let args = Args::parse();
    start_log(args.log_format, &args.log);
    match args.command {
        Command::Serve(serve) => run_server(serve.io_threads, serve.into_config()),
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

fn run_server(io_threads: usize, config: Config) -> ExitCode {
    let outcome = runtime(io_threads).and_then(|runtime| runtime.block_on(serve_until_signal(config)));
    report(outcome)
}

async fn serve_until_signal(config: Config) -> Result<(), Box<dyn std::error::Error>> {
    let shutdown = CancellationToken::new();
    let stop = terminated()?;
    let running = serve(config, shutdown.clone()).await?;
    stop.await;
    shutdown.cancel();
    running.ended().await;
    Ok(())
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
        let options = args.into_options();
        runtime.block_on(pull::pull(&options)).map(drop).map_err(|error| {
            error.write_to(&log);
            Box::<dyn std::error::Error>::from(error)
        })
    });
    report(outcome)
}

fn runtime(threads: usize) -> Result<tokio::runtime::Runtime, Box<dyn std::error::Error>> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    Ok(builder.worker_threads(threads.max(1)).thread_name("io").enable_all().build()?)
}

fn report(outcome: Result<(), Box<dyn std::error::Error>>) -> ExitCode {
    let Err(error) = outcome else { return ExitCode::SUCCESS };
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        message = format!("{message}: {cause}");
        source = cause.source();
    }
    tracing::error!("{message}");
    ExitCode::FAILURE
}
