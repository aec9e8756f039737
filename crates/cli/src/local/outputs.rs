//! A look at what the source gives, before any stage runs.

use slipway_api::{Gate, condition::reason::GATE_ERROR};
use slipway_artifacts::Store;
use slipway_model::onnx::OnnxModel;
use slipway_optimizer::evaluate::check_declared_scores;

use crate::error::Error;

/// Refuses a gate whose output the source does not give, or that cannot be judged: no stage changes what a model gives.
///
/// A model that cannot be read here is left to the gate itself.
pub(crate) async fn check(gate: &Gate, store: &Store, source: &str) -> Result<(), Error> {
    let (Store::Layout(layout), Some(task)) = (store, &gate.task.classification) else { return Ok(()) };
    let manifest = store.manifest(&source.parse()?).await?;
    let entry = manifest.files().iter().find(|file| Some(&file.path) == manifest.entry());
    let model = entry.and_then(|entry| OnnxModel::open(layout.blob_path(&entry.digest)).ok());
    let outputs = model.map(|model| model.facts().outputs).unwrap_or_default();
    if outputs.is_empty() {
        return Ok(());
    }
    check_declared_scores(&outputs, "source", &task.output)
        .map_err(|error| Error::Pipeline { reason: GATE_ERROR.into(), message: error.to_string() })
}
