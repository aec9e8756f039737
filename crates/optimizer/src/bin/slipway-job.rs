//! The job-pod binary: one step of a pipeline, from its argument to its termination message.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use clap::{Parser, Subcommand};
use slipway_api::job::{
    EXIT_FINAL, Failure, FailureCategory, JobResult, JobSpec, SCRATCH_MOUNT, SIGNING_MOUNT, TERMINATION_PATH,
};
use slipway_optimizer::{
    pod,
    work::{self, Logged},
};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Does one step of a Slipway pipeline inside a job pod.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Does the step that a `JobSpec` (JSON) describes.
    Run {
        /// The step, as the operator writes it.
        #[arg(long)]
        spec: String,
        /// The folder of the Secret that holds the key to sign results with.
        #[arg(long, default_value = SIGNING_MOUNT)]
        signing: PathBuf,
        /// A folder for temporary files.
        #[arg(long, default_value = SCRATCH_MOUNT)]
        scratch: PathBuf,
        /// Where the answer is written.
        #[arg(long, default_value = TERMINATION_PATH)]
        answer: PathBuf,
    },
}

fn main() -> ExitCode {
    tracing_subscriber::fmt().json().with_writer(std::io::stderr).init();
    let Command::Run { spec, signing, scratch, answer } = Arguments::parse().command;
    let result = work(&spec, &signing, scratch);
    let code = exit_code(&result);
    if let Some(failure) = &result.failure {
        tracing::error!(category = ?failure.category, retryable = failure.retryable, "{}", failure.message);
    } else {
        tracing::info!(output = ?result.output, reused = result.reused, "done");
    }
    if let Err(error) = fs::write(&answer, result.to_message()) {
        tracing::error!(path = %answer.display(), %error, "cannot write the answer");
        return ExitCode::FAILURE;
    }
    code
}

/// Does the step until it is done or the pod is asked to end; what computes then is left behind with the process.
fn work(spec: &str, signing: &Path, scratch: PathBuf) -> JobResult {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(true, format!("the job cannot start: {error}")),
    };
    let result = runtime.block_on(async {
        // Process 1 of a container has no default for a signal: without a handler it would be killed much later.
        let asked_to_end = match signal(SignalKind::terminate()) {
            Ok(signal) => signal,
            Err(error) => return failed(true, format!("the job cannot hear signals: {error}")),
        };
        tokio::select! {
            result = run(spec, signing, scratch) => result,
            () = ended(asked_to_end) => failed(true, "the pod was asked to end before the work was done".into()),
        }
    });
    runtime.shutdown_background();
    result
}

async fn ended(mut signal: Signal) {
    signal.recv().await;
}

fn failed(retryable: bool, message: String) -> JobResult {
    let failure = Failure { category: FailureCategory::Internal, retryable, message };
    JobResult { failure: Some(failure), ..JobResult::default() }
}

async fn run(spec: &str, signing: &Path, scratch: PathBuf) -> JobResult {
    let spec: JobSpec = match serde_json::from_str(spec) {
        Ok(spec) => spec,
        Err(error) => {
            let message = format!("the step cannot be read, operator and job image differ: {error}");
            return failed(false, message);
        }
    };
    tracing::info!(step = spec.step, key = spec.key, "begins");
    match pod::context(&spec, signing, scratch, Arc::new(Logged::default())) {
        Ok(context) => work::run(&spec, &context).await,
        Err(failure) => JobResult { failure: Some(failure), ..JobResult::default() },
    }
}

fn exit_code(result: &JobResult) -> ExitCode {
    match &result.failure {
        None => ExitCode::SUCCESS,
        Some(failure) if failure.retryable => ExitCode::FAILURE,
        Some(_) => ExitCode::from(EXIT_FINAL),
    }
}
