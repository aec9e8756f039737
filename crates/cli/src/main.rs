//! `slipway`: the command line. Each command is one file in `command/`.

mod admission;
mod command;
mod destination;
mod error;
mod foresight;
mod local;
mod manifests;
mod output;
mod progress;

use std::{io::IsTerminal, process::ExitCode};

use clap::{CommandFactory, Parser, Subcommand};
use error::Error;
use local::signals;
use tracing_subscriber::EnvFilter;

/// From a trained model's file to a watched production service
#[derive(Parser)]
#[command(
    name = "slipway",
    bin_name = "slipway",
    version,
    max_term_width = 100,
    after_help = "\
Examples:
  slipway run -f examples/digits/               fetch, quantize, judge and serve on this machine
  slipway inspect model.onnx                    what a model file is
  slipway simplify model.onnx clean.onnx        compute ahead, remove, merge: the same answers
  slipway quantize model.onnx small.onnx --scheme dynamic
  slipway sensitivity model.onnx samples.npz --budget 0.01      what has to stay float
  slipway evaluate small.onnx --baseline model.onnx --data holdout.npz --output scores
  slipway push model.onnx oci://registry.example/models/net:1
  slipway plan -f modeldeployment.yaml          every object that the operator would make

Exit codes: 0 done, 1 failed, 2 a wrong call or a refused spec, 3 the gate did not pass, or a budget is not met;\n\
130 and 143 asked to end by Ctrl-C and SIGTERM."
)]
struct Arguments {
    /// Print JSON instead of tables, and errors as JSON too.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Run(command::run::Run),
    Plan(command::plan::Plan),
    Inspect(command::inspect::Inspect),
    Calibrate(command::calibrate::Calibrate),
    Quantize(command::quantize::Quantize),
    Sensitivity(command::sensitivity::Sensitivity),
    Simplify(command::simplify::Simplify),
    Smooth(command::smooth::Smooth),
    Evaluate(command::evaluate::Evaluate),
    Serve(command::serve::Serve),
    Push(command::push::Push),
    Completions(command::completions::Completions),
}

#[tokio::main]
async fn main() -> ExitCode {
    let Arguments { json, command } = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(misunderstood) => return explain(&misunderstood),
    };
    log(command.told(json));
    match dispatch(command, json).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error, json),
    }
}

/// Says why a command failed; what was asked to end says that alone.
fn failed(error: &Error, json: bool) -> ExitCode {
    let (message, reason, code) = match signals::asked() {
        Some(code) => ("asked to end: nothing was written".to_owned(), "Ended", code),
        None => (slipway_artifacts::chain(error), error.reason(), error.exit_code()),
    };
    output::error(&message, reason, code, json);
    ExitCode::from(code)
}

/// Logs on standard error from this level up, or as `RUST_LOG` says; in colours where a person looks.
fn log(level: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| level.into());
    let colours = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours).with_writer(std::io::stderr).init();
}

/// Answers a call that is no command: help, the version, or what is wrong with it.
fn explain(answer: &clap::Error) -> ExitCode {
    const WRONG: u8 = 2;
    if answer.use_stderr() && std::env::args_os().any(|argument| argument == "--json") {
        let text = answer.to_string();
        output::error(text.trim_start_matches("error: ").trim_end(), error::WRONG_CALL, WRONG, true);
        return ExitCode::from(WRONG);
    }
    answer.exit()
}

impl Command {
    /// What is logged where nobody says otherwise; what a command says as its error is not logged beside it.
    fn told(&self, json: bool) -> &'static str {
        match self {
            Self::Evaluate(_) if json => "error",
            Self::Run(run) if !run.stays() => "warn,slipway_server::worker=off",
            _ => "warn",
        }
    }

    /// Whether it works on a model with temporary files beside it, and ends between two steps when it is asked to.
    fn leaves_when_asked(&self) -> bool {
        match self {
            Self::Calibrate(_)
            | Self::Quantize(_)
            | Self::Sensitivity(_)
            | Self::Simplify(_)
            | Self::Smooth(_) => true,
            Self::Run(_)
            | Self::Plan(_)
            | Self::Inspect(_)
            | Self::Evaluate(_)
            | Self::Serve(_)
            | Self::Push(_)
            | Self::Completions(_) => false,
        }
    }
}

async fn dispatch(command: Command, json: bool) -> Result<(), Error> {
    if command.leaves_when_asked() {
        signals::note()?;
    }
    match command {
        Command::Run(run) => Box::pin(run.run(json)).await,
        Command::Plan(plan) => plan.run(json),
        Command::Inspect(inspect) => inspect.run(json),
        Command::Calibrate(calibrate) => calibrate.run(json),
        Command::Quantize(quantize) => quantize.run(json),
        Command::Sensitivity(sensitivity) => sensitivity.run(json),
        Command::Simplify(simplify) => simplify.run(json),
        Command::Smooth(smooth) => smooth.run(json),
        Command::Evaluate(evaluate) => evaluate.run(json).await,
        Command::Serve(serve) => serve.run(json).await,
        Command::Push(push) => push.run(json).await,
        Command::Completions(completions) => completions.run(&mut Arguments::command()),
    }
}
