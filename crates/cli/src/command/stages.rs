//! The stages of a file, as the CRD takes them.

use std::{collections::BTreeSet, io, path::Path};

use serde_json::{Value, json};
use slipway_api::{GROUP, KIND, Stage, VERSION, stage::Quantize, yaml};
use slipway_model::regular;

use crate::{admission, error::Error, manifests::MAX_BYTES};

/// The only quantization among the stages of a file.
///
/// # Errors
/// A file that cannot be read or is no YAML; stages that a cluster would refuse; none that quantizes, or several.
pub(crate) fn only_quantization(file: &Path) -> Result<Quantize, Error> {
    let read = |source| Error::Read { path: file.into(), source };
    let bytes = regular::read(file, MAX_BYTES).map_err(read)?;
    let text = String::from_utf8(bytes).map_err(|error| read(io::Error::other(error)))?;
    let documents = yaml::documents(&text).map_err(|source| Error::Yaml { path: file.into(), source })?;
    let wrong = |problem: String| Error::Usage(format!("{}: {problem}", file.display()));
    let stages = |document: &Value| document.pointer("/stages").or(document.pointer("/spec/stages")).cloned();
    let stages = documents.iter().find_map(stages).ok_or_else(|| wrong("it has no stages".into()))?;
    let stages = admitted(&stages).map_err(|refused| wrong(refused.to_string()))?;
    if let Some(other) = stages.iter().find(|stage| stage.quantize.is_none()) {
        let name = &other.name;
        return Err(wrong(format!(
            "stage {name:?} is of another kind: run its command first, and leave it out of the file"
        )));
    }
    let mut found = stages.into_iter().filter_map(|stage| stage.quantize);
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one),
        (None, _) => Err(wrong("none of its stages quantizes".into())),
        (Some(_), Some(_)) => Err(wrong("several of its stages quantize: leave one".into())),
    }
}

/// Stages as a cluster would store them, in a deployment that has every data set that they name.
fn admitted(stages: &Value) -> Result<Vec<Stage>, admission::Refused> {
    let mut names = BTreeSet::new();
    collect_data(stages, &mut names);
    let source = json!({ "uri": "file:///model.onnx" });
    let data: Vec<_> = names.iter().map(|name| json!({ "name": name, "source": source })).collect();
    let object = json!({
        "apiVersion": format!("{GROUP}/{VERSION}"),
        "kind": KIND,
        "metadata": { "name": "stages" },
        "spec": { "model": { "source": source }, "data": data, "stages": stages },
    });
    admission::admit(&object).map(|deployment| deployment.spec.stages)
}

/// The names of data sets: what is said under `data`, at any depth.
fn collect_data<'a>(value: &'a Value, names: &mut BTreeSet<&'a str>) {
    match value {
        Value::Object(map) => {
            names.extend(map.get("data").and_then(Value::as_str));
            map.values().for_each(|value| collect_data(value, names));
        }
        Value::Array(items) => items.iter().for_each(|item| collect_data(item, names)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
