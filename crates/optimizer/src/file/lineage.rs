//! What a model says of where it comes from.

use slipway_artifacts::chain;
use slipway_model::onnx::OnnxModel;
use slipway_model::onnx::proto::{ModelProto, StringStringEntryProto};

use super::FileError;
use crate::calibrate::digest;
use crate::work::TOOL;

/// The digest of an input: that of the artifact, where the caller knows it, or of the files.
pub(crate) fn source_of(model: &OnnxModel, known: Option<&str>) -> Result<String, FileError> {
    let read = |reason: String| FileError::Read {
        tensor: model.path().display().to_string(),
        source: std::io::Error::other(reason),
    };
    let computed = || digest(model).map_err(|error| read(chain(&error)));
    known.map_or_else(computed, |known| Ok(known.to_owned()))
}

/// Says in the model itself which stage was applied to which input, how, and by what.
pub(crate) fn describe(model: &mut ModelProto, stage: &str, spec: String, source: Option<&str>) {
    let entries = [
        (format!("slipway.{stage}"), Some(spec)),
        ("slipway.tool".to_owned(), Some(TOOL.to_owned())),
        ("slipway.source".to_owned(), source.map(str::to_owned)),
    ];
    for (key, value) in entries {
        model.metadata_props.retain(|entry| entry.key() != key);
        model
            .metadata_props
            .extend(value.map(|value| StringStringEntryProto { key: Some(key), value: Some(value) }));
    }
}
