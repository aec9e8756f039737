//! The `CustomResourceDefinition`, generated from the types.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde_json::{Value, json};

use crate::{ModelDeployment, names};

/// The `CustomResourceDefinition` of `ModelDeployment`, as it is committed under `crds/`.
///
/// # Panics
/// Never for the committed types: the drift test runs this on every change.
pub fn crd() -> CustomResourceDefinition {
    let mut crd = serde_json::to_value(ModelDeployment::crd()).expect("a CRD serialises to JSON");
    let schema = &mut crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    without(&mut schema["properties"]["status"], "default");
    schema["properties"]["status"]["default"] = json!({ "observedGeneration": -1 });
    schema["x-kubernetes-validations"] = json!([{
        "rule": format!("self.metadata.name.size() <= {} && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')", names::MAX_NAME),
        "message": format!(
            "metadata.name must be a DNS-1035 label (a letter, then letters, digits and -) of at most {} characters, since names of pods are made from it",
            names::MAX_NAME
        ),
    }]);
    // A null would pass for an absent field: `gate:` with nothing after it must not mean "no gate".
    without(schema, "nullable");
    tidy(schema);
    serde_json::from_value(crd).expect("the corrected CRD is one")
}

/// Removes a keyword from every schema below.
fn without(schema: &mut Value, keyword: &str) {
    match schema {
        Value::Object(map) => {
            if map.get("type").is_some_and(Value::is_string) {
                map.remove(keyword);
            }
            map.values_mut().for_each(|value| without(value, keyword));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| without(item, keyword)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Removes what a structural schema need not carry: non-standard formats and examples that the API server drops.
fn tidy(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            if map.get("type").is_some_and(Value::is_string) {
                map.remove("example");
                if map
                    .get("format")
                    .is_some_and(|format| format != "date-time" && format != "int64" && format != "int32")
                {
                    map.remove("format");
                }
            }
            map.values_mut().for_each(tidy);
        }
        Value::Array(items) => items.iter_mut().for_each(tidy),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
