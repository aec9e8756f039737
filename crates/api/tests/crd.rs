//! The committed CRD is the one that the types give, and it fits a cluster.

#![cfg(feature = "crd")]

use std::path::Path;

#[test]
fn the_committed_crd_is_the_generated_one() {
    let generated = slipway_api::yaml::to_string(&slipway_api::crd::crd()).unwrap();
    for folder in ["crds", "charts/slipway/files"] {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let path = root.join(folder).join("slipway.dev_modeldeployments.yaml");
        let committed = std::fs::read_to_string(&path).expect("the CRD is committed");
        assert!(committed == generated, "{} is stale: run `make generate`", path.display());
    }
    assert!(generated.len() < 200_000, "{} bytes", generated.len());
}

#[test]
fn the_committed_reference_is_the_generated_one() {
    let committed = include_str!("../../../docs/fields.md");
    assert!(committed == slipway_api::reference::reference(), "docs/fields.md is stale: run `make generate`");
}

#[test]
fn every_list_and_string_of_the_spec_is_bounded() {
    let crd = serde_json::to_value(slipway_api::crd::crd()).unwrap();
    let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
    let mut unbounded = Vec::new();
    collect_unbounded("spec", schema, &mut unbounded);
    assert!(unbounded.is_empty(), "without maxLength, maxItems or maxProperties: {unbounded:?}");
}

#[test]
fn every_field_of_the_spec_has_a_description() {
    let crd = serde_json::to_value(slipway_api::crd::crd()).unwrap();
    let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
    let mut silent = Vec::new();
    collect_silent("spec", schema, &mut silent);
    assert!(silent.is_empty(), "without a description: {silent:?}");
}

#[test]
fn no_field_is_a_word_that_yaml_1_1_reads_as_a_boolean() {
    const WORDS: [&str; 8] = ["y", "yes", "n", "no", "on", "off", "true", "false"];
    let crd = serde_json::to_value(slipway_api::crd::crd()).unwrap();
    let mut names = Vec::new();
    collect_names(&crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"], &mut names);
    let bad: Vec<_> = names.iter().filter(|name| WORDS.contains(&name.to_lowercase().as_str())).collect();
    assert!(bad.is_empty(), "{bad:?}");
}

fn collect_names(schema: &serde_json::Value, out: &mut Vec<String>) {
    for (name, child) in schema["properties"].as_object().into_iter().flatten() {
        out.push(name.clone());
        collect_names(child, out);
    }
    if schema["items"].is_object() {
        collect_names(&schema["items"], out);
    }
}

fn collect_unbounded(path: &str, schema: &serde_json::Value, out: &mut Vec<String>) {
    let bound = match schema["type"].as_str() {
        Some("string") if schema.get("enum").is_none() => Some("maxLength"),
        Some("array") => Some("maxItems"),
        Some("object") if schema.get("additionalProperties").is_some() => Some("maxProperties"),
        _ => None,
    };
    if bound.is_some_and(|bound| schema.get(bound).is_none()) {
        out.push(path.to_owned());
    }
    for (name, child) in schema["properties"].as_object().into_iter().flatten() {
        collect_unbounded(&format!("{path}.{name}"), child, out);
    }
    for key in ["items", "additionalProperties"] {
        if schema[key].is_object() {
            collect_unbounded(&format!("{path}[]"), &schema[key], out);
        }
    }
}

fn collect_silent(path: &str, schema: &serde_json::Value, out: &mut Vec<String>) {
    for (name, child) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        if child["description"].as_str().is_none_or(str::is_empty) {
            out.push(path.clone());
        }
        collect_silent(&path, child, out);
    }
    if schema["items"].is_object() {
        collect_silent(&format!("{path}[]"), &schema["items"], out);
    }
}
