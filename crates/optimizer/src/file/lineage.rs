//! What a model says of where it comes from.

use slipway_api::sha256_hex;
use slipway_artifacts::digest_file;
use slipway_model::onnx::OnnxModel;
use slipway_model::onnx::proto::{ModelProto, StringStringEntryProto};

use super::FileError;
use crate::work::TOOL;

/// The digest of an input: that of the artifact, where the caller knows it, or of the files.
pub(crate) fn source_of(model: &OnnxModel, known: Option<&str>) -> Result<String, FileError> {
    known.map_or_else(|| digest(model).map_err(FileError::Digest), |known| Ok(known.to_owned()))
}

/// The digest of a model: of its file, or of the digests of all its files where it has several.
pub(crate) fn digest(model: &OnnxModel) -> Result<String, slipway_artifacts::Error> {
    let mut digests = Vec::new();
    for file in model.files() {
        digests.push(digest_file(&file)?.0.to_string());
    }
    match digests.as_slice() {
        [one] => Ok(one.clone()),
        all => Ok(format!("sha256:{}", sha256_hex(all.join("\n")))),
    }
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
