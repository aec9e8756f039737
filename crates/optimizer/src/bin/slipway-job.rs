//! The job-pod binary: one step of a pipeline, from its argument to its termination message.

use std::{fs, path::PathBuf, process::ExitCode, sync::Arc};

use clap::{Parser, Subcommand};
use slipway_api::job::{
    EXIT_FINAL, Failure, FailureCategory, JobResult, JobSpec, SCRATCH_MOUNT, TERMINATION_PATH,
};
use slipway_optimizer::{
    pod,
    work::{self, Logged},
};

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
        /// A folder for temporary files.
        #[arg(long, default_value = SCRATCH_MOUNT)]
        scratch: PathBuf,
        /// Where the answer is written.
        #[arg(long, default_value = TERMINATION_PATH)]
        answer: PathBuf,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt().json().with_writer(std::io::stderr).init();
    let Command::Run { spec, scratch, answer } = Arguments::parse().command;
    let result = run(&spec, scratch).await;
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

async fn run(spec: &str, scratch: PathBuf) -> JobResult {
    let failed = |failure| JobResult { failure: Some(failure), ..JobResult::default() };
    let spec: JobSpec = match serde_json::from_str(spec) {
        Ok(spec) => spec,
        Err(error) => {
            let message = format!("the step cannot be read, operator and job image differ: {error}");
            return failed(Failure { category: FailureCategory::Internal, retryable: false, message });
        }
    };
    tracing::info!(step = spec.step, key = spec.key, "begins");
    match pod::context(&spec, scratch, Arc::new(Logged::default())) {
        Ok(context) => work::run(&spec, &context).await,
        Err(failure) => failed(failure),
    }
}

fn exit_code(result: &JobResult) -> ExitCode {
    match &result.failure {
        None => ExitCode::SUCCESS,
        Some(failure) if failure.retryable => ExitCode::FAILURE,
        Some(_) => ExitCode::from(EXIT_FINAL),
    }
}
