//! What a model says of where it comes from.

use slipway_model::onnx::proto::{ModelProto, StringStringEntryProto};

use crate::work::TOOL;

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
