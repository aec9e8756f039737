//! Placeholders: digests that only a run can tell, and every key, name and hash that is made of one.

use serde_json::Value;
use slipway_api::names;
use slipway_plan::Desired;

use crate::local::step;

/// The digest of what a step makes. Example: `sha256:<output of int8>`.
pub(super) fn digest(what: &str, step: &str) -> String {
    format!("sha256:<{what} of {step}>")
}

/// Replaces every hash that depends on a placeholder by a placeholder of its own.
pub(super) fn mark(objects: Vec<Desired>) -> Vec<Desired> {
    let unknown: Vec<_> = objects.iter().flat_map(unknown).collect();
    objects.into_iter().map(|object| replaced(object, &unknown)).collect()
}

/// The hashes that an object is born with and that will be others, each with its placeholder; longer ones first.
fn unknown(object: &Desired) -> Vec<(String, String)> {
    match object.kind.as_str() {
        "Job" => unknown_key(object).unwrap_or_default(),
        "ControllerRevision" => unknown_hash(object).into_iter().collect(),
        _ => Vec::new(),
    }
}

fn unknown_key(job: &Desired) -> Option<Vec<(String, String)>> {
    let spec = step(job).ok()?;
    let work = serde_json::to_string(&spec.work).ok()?;
    let key = spec.key;
    work.contains("sha256:<").then(|| {
        let mark = job.name.rsplit('-').next().unwrap_or_default().to_owned();
        vec![(key, format!("<key of {}>", spec.step)), (mark, "<key>".into())]
    })
}

fn unknown_hash(revision: &Desired) -> Option<(String, String)> {
    let digest = revision.body["data"]["artifact"]["digest"].as_str()?;
    let hash = revision.body["metadata"]["labels"][names::REVISION_LABEL].as_str()?;
    digest.contains('<').then(|| (hash.to_owned(), "<hash>".into()))
}

fn replaced(object: Desired, unknown: &[(String, String)]) -> Desired {
    let put = |text: &str| {
        unknown.iter().fold(text.to_owned(), |text, (hash, placeholder)| text.replace(hash, placeholder))
    };
    let Desired { api_version, kind, name, create_only, mut body } = object;
    each_text(&mut body, &put);
    Desired { api_version, kind, name: put(&name), create_only, body }
}

fn each_text(value: &mut Value, put: &dyn Fn(&str) -> String) {
    match value {
        Value::String(text) => *text = put(text),
        Value::Array(items) => items.iter_mut().for_each(|item| each_text(item, put)),
        Value::Object(map) => map.values_mut().for_each(|item| each_text(item, put)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
