//! What the API server itself accepts and refuses: every example, and bad specs with the words that users see.

use std::path::{Path, PathBuf};

use kube::{
    Api,
    api::{ApiResource, DynamicObject, Patch, PatchParams, PostParams},
    core::GroupVersionKind,
};
use serde_json::{Value, json};
use slipway_api::ModelDeployment;
use slipway_testkit::{Fixture, deployment};

use crate::{bench::server, converge::whole};

fn examples() -> Vec<PathBuf> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "yaml") {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples"), &mut found);
    found.sort();
    found
}

#[tokio::test]
async fn every_example_is_accepted_to_the_last_field() {
    let Some(server) = server().await else { return };
    let namespace = server.namespace("examples").await;
    let client = server.client().await;
    let files = examples();
    assert!(files.len() >= 3, "{files:?}");
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        for document in slipway_api::yaml::documents(&text).unwrap() {
            let api_version = document["apiVersion"].as_str().unwrap_or_default().to_owned();
            let (group, version) = api_version.rsplit_once('/').unwrap_or(("", &api_version));
            let kind = document["kind"].as_str().expect("a kind");
            let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
            let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), &namespace, &resource);
            let name = document["metadata"]["name"].as_str().expect("a name");
            let params = PatchParams::apply("examples").validation_strict();
            let applied = api.patch(name, &params, &Patch::Apply(&document)).await;
            applied.unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        }
    }
}

/// Bad objects, each with words that its refusal must contain.
fn bad() -> Vec<(Fixture, &'static str)> {
    let quantize = |method: Value| whole("net").set("/spec/stages/0/quantize", method);
    let uri = |uri: &str| deployment("net").set("/spec/model/source/uri", json!(uri));
    vec![
        (deployment("1net"), "DNS-1035"),
        (deployment(&"n".repeat(41)), "at most 40 characters"),
        (uri("ftp://models.test/net"), "uri must start with oci://"),
        (uri("configmap://net-file"), "a configmap:// source needs file"),
        (deployment("net").set("/spec/model/source/file", json!("../secret")), "without '..'"),
        (deployment("net").set("/spec/model/source/file", json!("/etc/passwd")), "relative path"),
        (deployment("net").set("/spec/model/source/digest", json!("sha256:12")), "should match"),
        (
            uri("pvc://claim/net").set("/spec/model/source/credentialsSecretRef", json!({ "name": "s" })),
            "credentialsSecretRef is for oci:// and https:// alone",
        ),
        (whole("net").set("/spec/gate/data", json!("other")), "gate.data must be the name of a data set"),
        (whole("net").set("/spec/gate/baseline", json!({ "stage": "nowhere" })), "name of a stage"),
        (whole("net").without("/spec/data/0/labels"), "needs labels"),
        (whole("net").set("/spec/stages/0/name", json!("source")), "stage"),
        (whole("net").set("/spec/gate/checks/0/accuracy/minimum", json!("1.5")), "minimum"),
        (whole("net").without("/spec/stages/0/quantize"), "exactly one kind: quantize, simplify or smooth"),
        (
            whole("net").set("/spec/stages/0/simplify", json!({})),
            "exactly one kind: quantize, simplify or smooth",
        ),
        (
            whole("net")
                .set("/spec/stages/0", json!({ "name": "clean", "simplify": { "dims": { "batch": 0 } } })),
            "a size in dims has to be at least 1",
        ),
        (
            quantize(json!({ "static": { "data": "nowhere" } })),
            "quantize.static.data must be the name of a data set",
        ),
        (
            quantize(json!({ "static": { "data": "unseen", "percentile": "99.9" } })),
            "percentile is for range: Percentile",
        ),
        (
            quantize(json!({ "weightOnly": { "weights": "float16", "zeroPoints": true } })),
            "zeroPoints is for weights: int4",
        ),
        (
            quantize(json!({ "weightOnly": { "weights": "float16", "block": 64 } })),
            "block is for weights: int8 and int4",
        ),
        (
            quantize(json!({ "weightOnly": { "block": 64, "granularity": "perTensor" } })),
            "leave granularity or block out",
        ),
        (
            quantize(json!({ "weightOnly": { "weights": "int8", "block": 64, "fit": "HalfQuadratic" } })),
            "fit is for weights: int4, and LeastSquares and Nearest",
        ),
        (
            quantize(
                json!({ "weightOnly": { "weights": "float16" }, "biasCorrection": { "data": "holdout" } }),
            ),
            "biasCorrection is for integers",
        ),
        (
            quantize(json!({
                "weightOnly": { "weights": "int4", "fit": "Gptq", "data": "holdout" },
                "biasCorrection": { "data": "holdout" }
            })),
            "leave biasCorrection out",
        ),
        (quantize(json!({ "weightOnly": { "fit": "Nearest" } })), "weights: int8 with a block"),
        (quantize(json!({ "weightOnly": { "block": 48 } })), "block has to be 16, 32, 64, 128 or 256"),
        (
            quantize(json!({ "weightOnly": { "weights": "int4", "fit": "HalfQuadratic" } })),
            "it needs zeroPoints: true",
        ),
        (deployment("net").replicas(-1), "replicas"),
        (deployment("net").set("/spec/serving/rolicas", json!(1)), "rolicas"),
    ]
}

#[tokio::test]
async fn bad_objects_are_refused_with_words_that_help() {
    let Some(server) = server().await else { return };
    let namespace = server.namespace("bad").await;
    let client = server.client().await;
    let gvk = GroupVersionKind::gvk("slipway.dev", "v1alpha1", "ModelDeployment");
    let api: Api<DynamicObject> = Api::namespaced_with(client, &namespace, &ApiResource::from_gvk(&gvk));
    for (fixture, words) in bad() {
        let object = fixture.json();
        let name = object["metadata"]["name"].as_str().unwrap().to_owned();
        let params = PatchParams::apply("bad").validation_strict();
        let refused = api.patch(&name, &params, &Patch::Apply(&object)).await;
        let kube::Error::Api(status) = refused.expect_err(words) else { panic!("{words}: no answer") };
        assert!(status.message.contains(words), "wanted {words:?} in: {}", status.message);
    }
}

#[tokio::test]
async fn a_fresh_object_is_never_taken_as_done_and_can_be_scaled() {
    let Some(server) = server().await else { return };
    let namespace = server.namespace("fresh").await;
    let api: Api<ModelDeployment> = Api::namespaced(server.client().await, &namespace);
    let made = api.create(&PostParams::default(), &deployment("net").build()).await.unwrap();
    assert_eq!(made.status.unwrap().observed_generation, Some(-1));
    let scale: Value = json!({ "spec": { "replicas": 3 } });
    api.patch_scale("net", &PatchParams::default(), &Patch::Merge(scale)).await.unwrap();
    assert_eq!(api.get("net").await.unwrap().spec.serving.replicas, 3);
}
