//! `slipway inspect`: what a model file is.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use slipway_model::{
    onnx::{Dim, OnnxFacts, OnnxModel, ValueFacts},
    sniff::FileFormat,
};

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
    /// Whether the built-in engine has every operator.
    runs: bool,
    unsupported_operators: Vec<String>,
}

impl Inspect {
    pub(crate) fn run(self, json: bool) -> Result<(), Error> {
        let model = OnnxModel::open(&self.model).map_err(|error| Error::file(&self.model, &error))?;
        let unsupported_operators = slipway_server::unsupported_operators(&self.model)
            .map_err(|error| Error::file(&self.model, &error))?;
        let inspected = Inspected {
            format: FileFormat::Onnx,
            facts: model.facts(),
            runs: unsupported_operators.is_empty(),
            unsupported_operators: unsupported_operators.into_iter().map(as_in_facts).collect(),
        };
        if json { output::json(&inspected) } else { output::print(&text(&inspected)) }
    }
}

/// An operator as the facts name it: without the domain where that is ONNX's own.
fn as_in_facts(operator: String) -> String {
    match operator.strip_prefix("ai.onnx.") {
        Some(name) if !name.contains('.') => name.to_owned(),
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
    let engine = match inspected.unsupported_operators.as_slice() {
        [] => "runs".to_owned(),
        unknown => format!("cannot run {}", unknown.join(", ")),
    };
    let facts = [
        ("format", format!("ONNX, file version {ir_version}, opset {}", opsets.join(", "))),
        ("made by", producer.clone()),
        ("size", format!("{}, {parameters} parameters", bytes(*total_bytes))),
        ("engine", format!("rten {engine}")),
    ];
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
