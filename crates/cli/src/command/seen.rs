//! Whether a model was made with the data that it is judged on.

use std::path::Path;

use slipway_artifacts::digest_file;
use slipway_model::onnx::OnnxModel;

use crate::error::Error;

/// What to say where the model's own metadata names the file among what it was made with: what is measured on such data looks
/// better than it is.
pub(crate) fn warning(model: &Path, data: &Path) -> Result<Option<String>, Error> {
    let (digest, _) = digest_file(data)?;
    let digest = digest.to_string();
    let opened = OnnxModel::open(model).map_err(|error| Error::file(model, &error))?;
    let mut entries = opened.proto().metadata_props.iter();
    let entry = entries.find(|entry| entry.key().starts_with("slipway.") && entry.value().contains(&digest));
    Ok(entry.map(|entry| {
        let stage = entry.key().trim_start_matches("slipway.");
        format!(
            "{} was made with {} ({stage}), so what is measured on it looks better than it is: give data that no stage has seen",
            model.display(),
            data.display()
        )
    }))
}
