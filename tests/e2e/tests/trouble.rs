//! Bad input on a real node: each a clear condition, and nothing that served is lost.

use std::{process::Command, time::Duration};

use e2e::{
    Cluster, Deployment, Watched,
    command::{cache, run},
    wait,
};
use serde_json::{Value, json};

const MINUTE: Duration = Duration::from_mins(1);

/// A model deployment with the digits' source; `spec` is merged over it.
fn digits(name: &str, spec: &Value) -> String {
    let mut object = json!({
        "apiVersion": "slipway.dev/v1alpha1", "kind": "ModelDeployment", "metadata": { "name": name },
        "spec": { "model": { "source": { "uri": "configmap://digits-model", "file": "model.onnx" } } },
    });
    let whole = object["spec"].as_object_mut().expect("an object");
    whole.extend(spec.as_object().expect("an object").clone());
    object.to_string()
}

fn namespace(cluster: &Cluster, name: &str) {
    cluster.namespace(name);
    for file in ["configmap-model.yaml", "configmap-holdout.yaml"] {
        let path = e2e::command::root().join("examples/digits").join(file);
        cluster.kubectl(&["apply", "-n", name, "-f", path.to_str().expect("a path in UTF-8")]);
    }
}

#[test]
fn every_bad_source_is_named_and_good_objects_beside_it_go_on() {
    let cluster = &Watched::begin();
    namespace(cluster, "bad");
    let source = |uri: &str, more: Value| {
        let mut source = json!({ "uri": uri, "file": "model.onnx" });
        source.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        json!({ "model": { "source": source } })
    };
    let text = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "words" }, "data": { "model.onnx": "these are words, not a model" },
    });
    cluster.apply("bad", &text.to_string());
    let wrong = format!("sha256:{}", "0".repeat(64));
    let cases = [
        ("missing-map", source("configmap://nowhere", json!({})), "FetchFailed", "nowhere"),
        (
            "missing-key",
            source("configmap://digits-model", json!({ "file": "other.onnx" })),
            "FetchFailed",
            "other.onnx",
        ),
        (
            "wrong-digest",
            source("configmap://digits-model", json!({ "digest": wrong })),
            "DigestMismatch",
            "sha256:",
        ),
        ("no-model", source("configmap://words", json!({})), "InvalidModel", "not an ONNX model"),
        (
            "missing-secret",
            source(
                "oci://localhost:1/net",
                json!({ "file": "m", "credentialsSecretRef": { "name": "none" } }),
            ),
            "FetchFailed",
            "credentialsSecretRef",
        ),
        (&"n".repeat(40), source("configmap://nowhere", json!({})), "FetchFailed", "nowhere"),
    ];
    for (name, spec, _, _) in &cases {
        cluster.apply("bad", &digits(name, spec));
    }
    cluster.apply("bad", &digits("good", &json!({})));
    for (name, _, reason, words) in &cases {
        let deployment = Deployment::new(cluster, "bad", name);
        let message = deployment.until_reason("Optimized", reason, 2 * MINUTE);
        assert!(message.contains(words), "{name}: {message}");
        deployment.until("Stalled", "True", MINUTE);
    }
    Deployment::new(cluster, "bad", "good").until_ready();
}

/// Files that are broken in ways that only their bytes show, in a `ConfigMap` named `broken`.
fn broken_files(cluster: &Cluster, namespace: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let whole = std::fs::read(e2e::command::root().join("examples/digits/model.onnx")).expect("the example");
    std::fs::write(folder.path().join("short.onnx"), &whole[..whole.len() / 2]).expect("it is written");
    let mut python = Command::new(cache().join("venv-oracle/bin/python"));
    let script = e2e::command::root().join("tests/e2e/broken.py");
    run(python.arg(script).arg(folder.path()), None).expect("the files are made");
    let from = format!("--from-file={}", folder.path().display());
    cluster.kubectl(&["create", "configmap", "broken", "-n", namespace, &from]);
}

#[test]
fn broken_models_and_data_are_named_before_anything_rolls_out() {
    let cluster = &Watched::begin();
    namespace(cluster, "broken");
    broken_files(cluster, "broken");
    let model = |file: &str| {
        json!({
            "model": { "source": { "uri": "configmap://broken", "file": file } },
            "serving": { "runtime": { "slipway": { "backend": "rten" } } },
        })
    };
    let cases = [
        ("short", model("short.onnx"), "InvalidModel", "cut short"),
        ("outside", model("outside.onnx"), "InvalidModel", "not a plain path inside"),
        ("operator", model("operator.onnx"), "UnsupportedOperator", "NoSuchOperator"),
    ];
    for (name, spec, _, _) in &cases {
        cluster.apply("broken", &digits(name, spec));
    }
    let nan = json!({
        "data": [{ "name": "set", "source": { "uri": "configmap://broken", "file": "nan.npz" }, "labels": "labels" }],
        "gate": {
            "data": "set", "task": { "classification": { "output": "probabilities" } },
            "checks": [{ "name": "acc", "accuracy": { "minimum": "0.9" } }],
        },
    });
    cluster.apply("broken", &digits("nan", &nan));
    for (name, _, reason, words) in &cases {
        let deployment = Deployment::new(cluster, "broken", name);
        let message = deployment.until_reason("Optimized", reason, 2 * MINUTE);
        assert!(message.contains(words), "{name}: {message}");
    }
    let of_any_engine = json!({ "model": model("operator.onnx")["model"] });
    cluster.apply("broken", &digits("no-engine", &of_any_engine));
    let message =
        Deployment::new(cluster, "broken", "no-engine").until_reason("Ready", "PodFailed", 2 * MINUTE);
    assert!(message.contains("NoSuchOperator") && message.contains("ONNX Runtime cannot load"), "{message}");
    let deployment = Deployment::new(cluster, "broken", "nan");
    let message = deployment.until_reason("GatePassed", "InvalidData", 2 * MINUTE);
    assert!(message.contains("pixels") && message.contains("NaN"), "{message}");
    for name in ["short", "outside", "operator", "nan"] {
        assert!(Deployment::new(cluster, "broken", name).pod_uids().is_empty(), "{name} rolls nothing out");
    }
}

#[test]
fn an_image_that_cannot_be_pulled_is_named_and_is_tried_again_once_it_can() {
    let cluster = &Watched::begin();
    namespace(cluster, "image");
    cluster.install(&["--set=images.job=localhost/nowhere:dev"]);
    cluster.apply("image", &digits("digits", &json!({ "jobs": { "deadline": "20s", "retries": 0 } })));
    let deployment = Deployment::new(cluster, "image", "digits");
    let message = deployment.until_reason("Optimized", "ImagePullFailed", 2 * MINUTE);
    assert!(message.contains("localhost/nowhere:dev"), "{message}");
    cluster.install(&[]);
    cluster.kubectl(&["delete", "jobs", "-n", "image", "--all"]);
    deployment.until_ready();
}

/// A data set of 100 MB that fits a `ConfigMap`: zeros, compressed.
fn large_data(cluster: &Cluster, namespace: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("large.npz");
    let code = "import numpy, sys; numpy.savez_compressed(sys.argv[1], pixels=numpy.zeros((400000, 64), 'f4'), labels=numpy.zeros(400000, 'i8'))";
    let mut python = Command::new(cache().join("venv-magika/bin/python"));
    run(python.args(["-c", code]).arg(&file), None).expect("numpy writes it");
    let from = format!("--from-file={}", file.display());
    cluster.kubectl(&["create", "configmap", "large", "-n", namespace, &from]);
}

#[test]
fn a_step_without_memory_or_time_says_which_limit_to_raise() {
    let cluster = &Watched::begin();
    namespace(cluster, "poor");
    large_data(cluster, "poor");
    let hungry = json!({
        "jobs": { "resources": { "limits": { "memory": "32Mi" }, "requests": { "memory": "32Mi" } } },
        "data": [{ "name": "set", "source": { "uri": "configmap://large", "file": "large.npz" }, "labels": "labels" }],
        "gate": {
            "data": "set", "task": { "classification": { "output": "probabilities" } },
            "checks": [{ "name": "acc", "accuracy": { "minimum": "0.9" } }],
        },
    });
    cluster.apply("poor", &digits("memory", &hungry));
    // A pod that no node takes never ends by itself.
    let late = json!({ "jobs": { "deadline": "3s", "pod": { "nodeSelector": { "nowhere": "true" } } } });
    cluster.apply("poor", &digits("time", &late));
    let message =
        Deployment::new(cluster, "poor", "memory").until_reason("GatePassed", "OutOfMemory", 2 * MINUTE);
    assert!(message.contains("jobs.resources.limits.memory"), "{message}");
    let message =
        Deployment::new(cluster, "poor", "time").until_reason("Optimized", "DeadlineExceeded", 2 * MINUTE);
    assert!(message.contains("jobs.deadline"), "{message}");
}

#[test]
fn a_registry_that_is_down_is_named_and_what_serves_goes_on() {
    let cluster = &Watched::begin();
    namespace(cluster, "offline");
    cluster.apply("offline", &digits("served", &json!({})));
    let served = Deployment::new(cluster, "offline", "served");
    served.until_ready();
    let pods = served.pod_uids();
    cluster.scale_system("slipway-registry", 0);
    cluster.apply("offline", &digits("new", &json!({ "jobs": { "retries": 0 } })));
    let new = Deployment::new(cluster, "offline", "new");
    let message = new.until_reason("Optimized", "RegistryUnreachable", 3 * MINUTE);
    assert!(message.contains("tried again"), "{message}");
    assert_eq!(served.pod_uids(), pods);
    cluster.scale_system("slipway-registry", 1);
    // Trying again is deleting the failed Job; otherwise it happens by itself two minutes later.
    cluster.kubectl(&["delete", "jobs", "-n", "offline", "--all"]);
    new.until_ready();
}

#[test]
fn gate_data_of_wrong_shape_and_too_few_samples_are_named() {
    let cluster = &Watched::begin();
    namespace(cluster, "data");
    let gate = |min_samples: u32, inputs: Value| {
        json!({
            "data": [{ "name": "set", "source": { "uri": "configmap://digits-holdout", "file": "holdout.npz" }, "inputs": inputs, "labels": "labels" }],
            "gate": {
                "data": "set", "minSamples": min_samples, "task": { "classification": { "output": "probabilities" } },
                "checks": [{ "name": "acc", "accuracy": { "minimum": "0.9" } }],
            },
        })
    };
    cluster.apply("data", &digits("shape", &gate(100, json!({ "pixels": "labels" }))));
    cluster.apply("data", &digits("few", &gate(5000, json!({ "pixels": "pixels" }))));
    let message =
        Deployment::new(cluster, "data", "shape").until_reason("GatePassed", "InvalidData", 2 * MINUTE);
    assert!(message.contains("labels"), "{message}");
    let few = Deployment::new(cluster, "data", "few");
    let message = few.until_reason("GatePassed", "Inconclusive", 2 * MINUTE);
    assert!(message.contains("5000"), "{message}");
    assert!(few.pod_uids().is_empty(), "nothing is rolled out");
}

#[test]
fn an_unparsable_object_is_told_so_and_holds_nobody_up() {
    let cluster = &Watched::begin();
    namespace(cluster, "odd");
    // A bound of the CRD is lifted, as if an older CRD had let this object in.
    let crd = "modeldeployments.slipway.dev";
    let path = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/rollout/properties/progressDeadline/pattern";
    let change = |operations: &Value| {
        cluster.try_kubectl(&["patch", "crd", crd, "--type=json", "-p", &operations.to_string()], None)
    };
    let whole: Value =
        serde_json::from_str(&cluster.kubectl(&["get", "crd", crd, "-o", "json"])).expect("JSON");
    let bound = whole.pointer(path).expect("the CRD has the bound");
    let restore = json!([{ "op": "add", "path": path, "value": bound }]);
    let _restored = Restored(|| drop(change(&restore)));
    change(&json!([{ "op": "remove", "path": path }])).expect("the CRD can be changed");
    let odd = digits("odd", &json!({ "rollout": { "progressDeadline": "soon" } }));
    wait::until("the lifted bound is served", MINUTE, || {
        cluster.try_kubectl(&["apply", "-n", "odd", "-f", "-"], Some(&odd))
    });
    cluster.apply("odd", &digits("good", &json!({})));
    let message = Deployment::new(cluster, "odd", "odd").until_reason("Accepted", "Unparsable", MINUTE);
    assert!(message.contains("soon"), "{message}");
    Deployment::new(cluster, "odd", "good").until_ready();
    cluster.kubectl(&["delete", crd, "odd", "-n", "odd"]);
}

/// Puts something back when a test ends, however it ends.
struct Restored<F: Fn()>(F);

impl<F: Fn()> Drop for Restored<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}
