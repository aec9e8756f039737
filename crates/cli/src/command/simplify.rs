//! `slipway simplify`: one model file to the same model with less in it.

use std::{collections::BTreeMap, path::PathBuf};

use clap::Args;
use slipway_api::stage::Simplify as Spec;
use slipway_optimizer::{
    stage::simplify::{SimplifyReport, simplify},
    work,
};

use crate::{
    destination,
    error::Error,
    output::{self, bytes, table},
    progress,
};

/// Compute ahead what a model need not compute, and remove what it does not need
///
/// Outputs stay the same. Writes the new file aside and renames it; the input is never touched. Fails when nothing
/// would change.
#[derive(Args)]
#[command(after_help = "\
Examples:
  slipway simplify model.onnx clean.onnx
  slipway simplify model.onnx fixed.onnx --dim batch=1 --dim sequence=128 --json
  slipway simplify model.onnx clean.onnx --allow-unchanged")]
pub(crate) struct Simplify {
    /// The ONNX model to read.
    input: PathBuf,
    /// The ONNX model to write.
    output: PathBuf,
    /// Give an open dimension of the inputs a size. May be repeated.
    #[arg(long = "dim", value_name = "NAME=SIZE", value_parser = dim)]
    dims: Vec<(String, i32)>,
    /// Write the output even when there is nothing to simplify.
    #[arg(long)]
    allow_unchanged: bool,
}

impl Simplify {
    pub(crate) fn run(self, json: bool) -> Result<(), Error> {
        let options = work::simplify::options(&self.spec()?);
        let model = destination::files(&self.input);
        destination::check(&self.output, model.iter().map(PathBuf::as_path))?;
        let bar = progress::Ending(work::Forward::new(progress::bar(json), "simplifying"));
        let report = simplify(&self.input, &self.output, &options, &bar)
            .map_err(|error| Error::file(&self.input, &error))?;
        // The bar leaves the terminal before anything else is written to it.
        drop(bar);
        if json { output::json(&report) } else { output::print(&text(&report)) }
    }

    /// The stage that a user would write for this.
    fn spec(&self) -> Result<Spec, Error> {
        let mut dims = BTreeMap::new();
        for (name, size) in &self.dims {
            if dims.insert(name.clone(), *size).is_some() {
                return Err(Error::Usage(format!("--dim {name} is there twice")));
            }
        }
        Ok(Spec { dims, allow_unchanged: self.allow_unchanged })
    }
}

/// A name and a size of at least 1.
fn dim(text: &str) -> Result<(String, i32), String> {
    let wrong = || format!("{text:?} is not NAME=SIZE with a size of at least 1");
    let (name, size) = text.rsplit_once('=').ok_or_else(wrong)?;
    let size = size.parse().ok().filter(|size| *size >= 1).ok_or_else(wrong)?;
    if name.is_empty() { Err(wrong()) } else { Ok((name.to_owned(), size)) }
}

fn text(report: &SimplifyReport) -> String {
    let rows: Vec<_> =
        report.changes.iter().map(|(change, times)| vec![change.to_string(), times.to_string()]).collect();
    let mut text = table(&["CHANGE", "TIMES"], &rows);
    for skipped in &report.skipped {
        text = format!("{text}\nleft as it is: {} ({}): {}", skipped.node, skipped.op, skipped.reason);
    }
    let (before, after) = (report.nodes_before, report.nodes_after);
    let (size_before, size_after) = (bytes(report.size_before), bytes(report.size_after));
    format!("{text}\n{before} nodes -> {after}, {size_before} -> {size_after}")
}
