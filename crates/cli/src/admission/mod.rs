//! What an API server does to an object before it is stored: the embedded CRD's types, defaults and CEL rules.
//!
//! So a file that runs here is accepted by a cluster, and one that a cluster refuses is refused here in the same words.

mod near;
mod schema;

use kube::core::cel::Validator;
use serde_json::{Value, json};
use slipway_api::ModelDeployment;

/// Why an object would not be stored; every problem, each with its field.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub(crate) struct Refused(pub(crate) Vec<String>);

/// A `ModelDeployment` with its defaults, as an API server would store it.
///
/// # Errors
/// [`Refused`] with every unknown field, wrong type, broken bound and broken rule.
pub(crate) fn admit(object: &Value) -> Result<ModelDeployment, Refused> {
    let schema = schema();
    let mut object = object.clone();
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.entry("namespace").or_insert_with(|| json!("default"));
    }
    if let Some(map) = object.as_object_mut() {
        map.remove("status");
    }
    schema::set_defaults(&schema, &mut object);
    let problems = schema::problems(&schema, &object);
    if !problems.is_empty() {
        return Err(Refused(problems));
    }
    if let Err(errors) = Validator::new().validate(&schema, &object, None) {
        let say = |error: &kube::core::cel::ValidationError| {
            let path = if error.field_path.is_empty() { "the object" } else { &error.field_path };
            format!("{path}: {}", error.message)
        };
        return Err(Refused(errors.as_slice().iter().map(say).collect()));
    }
    serde_json::from_value(object).map_err(|error| Refused(vec![error.to_string()]))
}

/// The schema of the embedded CRD, with the parts of `metadata` that an API server checks by itself.
fn schema() -> Value {
    let crd = serde_json::to_value(slipway_api::crd::crd()).expect("the embedded CRD is JSON");
    let mut schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone();
    schema["properties"]["apiVersion"] = json!({ "type": "string", "enum": ["slipway.dev/v1alpha1"] });
    schema["properties"]["kind"] = json!({ "type": "string", "enum": ["ModelDeployment"] });
    schema["properties"]["metadata"] = json!({
        "type": "object",
        "required": ["name"],
        "x-kubernetes-preserve-unknown-fields": true,
        "properties": {
            "name": { "type": "string", "minLength": 1, "maxLength": 253 },
            "namespace": { "type": "string", "maxLength": 63, "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$" },
        },
    });
    if let Some(properties) = schema["properties"].as_object_mut() {
        properties.remove("status");
    }
    schema["required"] = json!(["apiVersion", "kind", "metadata", "spec"]);
    schema
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object() -> Value {
        json!({
            "apiVersion": "slipway.dev/v1alpha1", "kind": "ModelDeployment", "metadata": { "name": "net" },
            "spec": {
                "model": { "source": { "uri": "configmap://net", "file": "net.onnx" } },
                "data": [{ "name": "unseen", "source": { "uri": "configmap://d", "file": "d.npz" } }],
                "gate": {
                    "data": "unseen", "task": { "classification": { "output": "p" } },
                    "checks": [{ "name": "same", "parity": { "top1Agreement": "0.9" } }],
                },
            },
        })
    }

    #[test]
    fn defaults_are_those_of_the_cluster() {
        let stored = admit(&object()).unwrap();
        assert_eq!(stored.spec.serving.replicas, 1);
        assert_eq!(stored.spec.gate.unwrap().min_samples, 100);
    }

    #[test]
    fn every_refusal_names_the_field_and_says_what_is_wrong() {
        let cases = [
            ("/spec/modle", json!({}), "spec.modle: unknown field: did you mean model?"),
            (
                "/spec/gate/minSample",
                json!(5),
                "spec.gate.minSample: unknown field: did you mean minSamples?",
            ),
            ("/spec/gate/task/regression", json!({}), "regression: unknown field; known are classification"),
            (
                "/spec/monitoring",
                json!({ "enabled": false }),
                "enabled: unknown field; known are serviceMonitor",
            ),
            (
                "/spec/stages",
                json!([{ "name": "a", "quantize": { "weight-only": {} } }]),
                "unknown field: did you mean weightOnly?",
            ),
            (
                "/spec/stages",
                json!([{ "name": "a", "quantize": { "weightOnly": { "fit": "gptq" } } }]),
                "did you mean Gptq?",
            ),
            (
                "/spec/stages",
                json!([{ "name": "a", "quantize": { "static": { "data": "unseen", "range": "min-max" } } }]),
                "did you mean MinMax?",
            ),
            (
                "/spec/gate/confidence",
                json!(0.9),
                "is a number, and string is wanted: write it in quotes: \"0.9\"",
            ),
            (
                "/spec/gate/checks/0/latency",
                json!({ "p95": "10" }),
                "\"10\" is not a duration: write a number with its unit, such as \"10ms\"",
            ),
            ("/spec/model/source/uri", json!("/models/net.onnx"), "file:///models/model.onnx"),
            ("/spec/serving", json!({ "replicas": -1 }), "spec.serving.replicas: -1 is less than 0"),
            (
                "/spec/serving",
                json!({ "replicas": "2" }),
                "spec.serving.replicas: is a string, and integer is wanted: write it without quotes: 2",
            ),
            ("/spec/gate", Value::Null, "spec.gate: is null"),
            (
                "/spec/gate/confidence",
                json!("95%"),
                "spec.gate.confidence: \"95%\" is not a decimal between 0 and 1",
            ),
            (
                "/spec/gate/confidence",
                json!("1.0"),
                "spec.gate.confidence: confidence has to be at least 0.5 and below 1",
            ),
            ("/spec/gate/confidence", json!("0.3"), "at least 0.5 and below 1"),
            ("/spec/gate/data", json!("other"), "gate.data must be the name of a data set in data"),
            ("/spec/gate/checks/0/size", json!({ "maxRatio": "0.5" }), "a check needs exactly one kind"),
            ("/spec/gate/checks/0/accuracy", json!({}), "a check needs exactly one kind"),
            ("/spec/model/source/uri", json!("ftp://host/net"), "uri must start with"),
            ("/spec/model/source/file", json!("../net.onnx"), "without '..'"),
            (
                "/spec/stages",
                json!([{ "name": "source", "quantize": { "dynamic": {} } }]),
                "cannot be named source",
            ),
            ("/spec/stages", json!([{ "name": "a", "quantize": {} }]), "exactly one method"),
            (
                "/spec/stages",
                json!([{ "name": "a", "simplify": { "dims": { "batch": 0 } } }]),
                "a size in dims has to be at least 1",
            ),
            ("/spec/stages", json!([{ "name": "a" }]), "exactly one kind: quantize, simplify or smooth"),
            (
                "/spec/stages",
                json!([{ "name": "a", "quantize": { "dynamic": { "granularity": "none" } } }]),
                "perChannel",
            ),
            (
                "/spec/data/1",
                json!({ "name": "unseen", "source": { "uri": "configmap://e", "file": "e" } }),
                "unseen is there twice",
            ),
            ("/metadata", json!("net"), "metadata: is a string, and object is wanted"),
            ("/metadata/namespace", json!("../up"), "metadata.namespace: \"../up\" does not match"),
            ("/metadata/name", json!("9net"), "DNS-1035"),
            ("/metadata/name", json!("n".repeat(41)), "at most 40 characters"),
        ];
        for (path, value, words) in cases {
            let mut object = object();
            put(&mut object, path, value);
            let refused = admit(&object).expect_err(path).to_string();
            assert!(refused.contains(words), "{path}: {refused}");
        }
    }

    #[test]
    fn a_gate_on_data_that_is_not_there_is_one_problem() {
        let mut object = object();
        object["spec"]["gate"]["checks"] = json!([{ "name": "acc", "accuracy": { "minimum": "0.9" } }]);
        assert!(admit(&object).unwrap_err().to_string().contains("needs labels"));
        object["spec"]["gate"]["data"] = json!("other");
        let Refused(problems) = admit(&object).unwrap_err();
        assert!(matches!(problems.as_slice(), [one] if one.contains("gate.data must be")), "{problems:?}");
    }

    fn put(object: &mut Value, path: &str, value: Value) {
        let (parent, key) = path.rsplit_once('/').unwrap();
        match object.pointer_mut(parent).unwrap() {
            Value::Array(items) => items.push(value),
            parent => parent[key] = value,
        }
    }
}
