//! `slipway inspect`: what a model file is.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use slipway_artifacts::chain;
use slipway_model::{
    onnx::{Dim, OnnxFacts, OnnxModel, ValueFacts},
    sniff::FileFormat,
};
use slipway_server::{BackendChoice, Engine, EngineOptions};

use crate::{
    error::Error,
    output::{self, bytes, table},
};

/// Say what a model file is and whether the engine runs it
///
/// Inputs, outputs, operators, parameters, size.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  slipway inspect model.onnx\n  slipway inspect model.onnx --json | jq .facts.operators"
)]
pub(crate) struct Inspect {
    /// The model file.
    model: PathBuf,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Inspected {
    format: FileFormat,
    facts: OnnxFacts,
    /// Whether `slipway serve` would become ready.
    runs: bool,
    /// What each engine makes of the model; the first that loads it serves it.
    engines: Vec<Tried>,
    /// What the built-in engine does not run.
    unsupported_operators: Vec<String>,
}

/// An engine that was given the model.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Tried {
    name: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    runs: bool,
    #[serde(skip)]
    loads: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl Tried {
    /// Loads a model and computes what a server warms up with.
    fn by(name: &'static str, backend: BackendChoice, model: &Path) -> Self {
        let tried = |version, loads, reason: Option<String>| Self {
            name,
            version,
            loads,
            runs: reason.is_none(),
            reason,
        };
        match Engine::load(model, &EngineOptions { backend, ..EngineOptions::default() }) {
            Ok(engine) => {
                let unfit = engine.warm_up().err().map(|error| error.to_string());
                tried(Some(engine.version().to_owned()), true, unfit)
            }
            Err(error) => tried(None, false, Some(chain(&error))),
        }
    }

    fn words(&self) -> String {
        let name = [self.name, self.version.as_deref().unwrap_or_default()].join(" ");
        match &self.reason {
            None => format!("{} runs it", name.trim_end()),
            Some(reason) if reason.starts_with(self.name) => reason.clone(),
            Some(reason) => format!("{}: {reason}", name.trim_end()),
        }
    }
}

impl Inspect {
    pub(crate) fn run(self, json: bool) -> Result<(), Error> {
        let model = OnnxModel::open(&self.model).map_err(|error| Error::file(&self.model, &error))?;
        let unsupported_operators = slipway_server::unsupported_operators(&self.model)
            .map_err(|error| Error::file(&self.model, &error))?;
        let tried = |name, backend| Tried::by(name, backend, &self.model);
        let engines = [tried("ONNX Runtime", BackendChoice::OnnxRuntime), tried("rten", BackendChoice::Rten)];
        // What `serve` does: a library that does not work, but was named, leaves no model to the other engine.
        let runs = if engines[0].loads { engines[0].runs } else { tried("", BackendChoice::Auto).runs };
        let inspected = Inspected {
            format: FileFormat::Onnx,
            facts: model.facts(),
            runs,
            engines: engines.into(),
            unsupported_operators: unsupported_operators.into_iter().map(as_in_facts).collect(),
        };
        if json { output::json(&inspected) } else { output::print(&text(&inspected)) }
    }
}

/// An operator as the facts name it: without the domain where that is ONNX's own.
fn as_in_facts(operator: String) -> String {
    let (name, rest) =
        operator.split_once(' ').map_or((operator.as_str(), None), |(name, rest)| (name, Some(rest)));
    match name.strip_prefix("ai.onnx.") {
        Some(short) if !short.contains('.') => {
            [Some(short), rest].into_iter().flatten().collect::<Vec<_>>().join(" ")
        }
        _ => operator,
    }
}

fn text(inspected: &Inspected) -> String {
    let OnnxFacts {
        ir_version,
        producer,
        opsets,
        inputs,
        outputs,
        operators,
        parameters,
        total_bytes,
        initializers: _,
    } = &inspected.facts;
    let opsets: Vec<_> = opsets.iter().map(|(domain, version)| format!("{domain} {version}")).collect();
    let facts = [
        ("format", format!("ONNX, file version {ir_version}, opset {}", opsets.join(", "))),
        ("made by", producer.clone()),
        ("size", format!("{}, {parameters} parameters", bytes(*total_bytes))),
    ];
    let engines = inspected.engines.iter().map(|engine| ("engine", engine.words()));
    let facts: Vec<_> = facts.into_iter().chain(engines).collect();
    let facts: Vec<_> = facts.iter().map(|(key, value)| format!("{key:8}  {value}")).collect();
    let value = |direction: &str, value: &ValueFacts| {
        vec![direction.to_owned(), value.name.clone(), value.data_type.clone(), dims(value)]
    };
    let values: Vec<_> = (inputs.iter().map(|one| value("input", one)))
        .chain(outputs.iter().map(|one| value("output", one)))
        .collect();
    let operators: Vec<_> =
        operators.iter().map(|(name, count)| vec![name.clone(), count.to_string()]).collect();
    let tables = [table(&["", "NAME", "TYPE", "SHAPE"], &values), table(&["OPERATOR", "NODES"], &operators)];
    [facts.join("\n"), tables.join("\n\n")].join("\n\n")
}

fn dims(value: &ValueFacts) -> String {
    let Some(dims) = &value.dims else { return "any".into() };
    let dims: Vec<_> = (dims.iter())
        .map(|dim| match dim {
            Dim::Fixed(size) => size.to_string(),
            Dim::Symbol(name) => name.clone(),
            Dim::Unknown => "?".into(),
        })
        .collect();
    format!("[{}]", dims.join(", "))
}
