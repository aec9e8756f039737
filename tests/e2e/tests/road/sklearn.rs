//! A classifier from scikit-learn, which one engine alone runs: trees, and an output of words beside the scores.

use std::process::Command;

use e2e::{
    Cluster, Deployment, Watched,
    command::{cache, root, run},
    inference::client,
    object::condition,
};
use serde_json::{Value, json};

use crate::{MINUTE, block_on};

/// Labels and probabilities of one flower.
async fn flower(address: &str) -> Result<Value, String> {
    let input = json!({ "name": "input", "datatype": "FP32", "shape": [1, 4], "data": [5.1, 3.5, 1.4, 0.2] });
    let url = format!("http://{address}/v2/models/iris/infer");
    let sent = client().post(url).json(&json!({ "inputs": [input] })).send().await;
    sent.map_err(|error| error.to_string())?.json().await.map_err(|error| error.to_string())
}

/// The forest and fifteen flowers with the classes that scikit-learn gave them, as two `ConfigMap`s.
fn forest(cluster: &Cluster, namespace: &str) {
    let models = root().join("crates/server/tests/models");
    let folder = tempfile::tempdir().expect("a folder");
    let code = "import json, numpy, sys; answers = json.load(open(sys.argv[1])); \
                numpy.savez(sys.argv[2], input=numpy.array(answers['inputs'], 'f4').reshape(answers['shape']), \
                labels=numpy.unique(answers['labels'], return_inverse=True)[1].astype('i8'))";
    let flowers = folder.path().join("flowers.npz");
    let mut python = Command::new(cache().join("venv-magika/bin/python"));
    run(python.args(["-c", code]).arg(models.join("iris.json")).arg(&flowers), None)
        .expect("numpy writes it");
    for (name, key, file) in
        [("forest", "model.onnx", models.join("iris.onnx")), ("flowers", "flowers.npz", flowers)]
    {
        let from = format!("--from-file={key}={}", file.display());
        cluster.kubectl(&["create", "configmap", name, "-n", namespace, &from]);
    }
}

/// A gate on the flowers that takes one output for the scores.
fn gate(output: &str) -> Value {
    json!({ "spec": {
        "data": [{ "name": "flowers", "labels": "labels",
                   "source": { "uri": "configmap://flowers", "file": "flowers.npz" } }],
        "gate": {
            "data": "flowers", "minSamples": 15, "task": { "classification": { "output": output } },
            "checks": [{ "name": "right", "accuracy": { "minimum": "0.75" } }],
        },
    }})
}

#[test]
fn classifier_from_scikit_learn_is_refused_by_name_and_judged_and_served_once_onnx_runtime_may_run_it() {
    let cluster = &Watched::begin();
    cluster.namespace("sklearn");
    forest(cluster, "sklearn");
    let object = json!({
        "apiVersion": "slipway.dev/v1alpha1", "kind": "ModelDeployment", "metadata": { "name": "iris" },
        "spec": {
            "model": { "source": { "uri": "configmap://forest", "file": "model.onnx" } },
            "serving": { "runtime": { "slipway": { "backend": "rten" } } },
        },
    });
    cluster.apply("sklearn", &object.to_string());
    let deployment = Deployment::new(cluster, "sklearn", "iris");
    let message = deployment.until_reason("Optimized", "UnsupportedOperator", 2 * MINUTE);
    assert!(message.contains("ai.onnx.ml.TreeEnsembleClassifier"), "{message}");
    assert!(message.contains("serving.runtime.slipway.backend to auto"), "{message}");

    deployment.patch(&json!({ "spec": { "serving": null } }));
    deployment.patch(&gate("output_label"));
    let message = deployment.until_reason("GatePassed", "GateError", 2 * MINUTE);
    assert!(
        message.contains("\"output_label\"") && message.contains("gives output_probability"),
        "{message}"
    );

    deployment.patch(&gate("output_probability"));
    let object = deployment.until_ready();
    let passed = condition(&object, "GatePassed");
    assert_eq!(passed.map(|(_, reason, _)| reason).as_deref(), Some("Passed"));
    assert_eq!(Deployment::check(&object, "right")["measured"], "1.0000");
    let forward = deployment.forward();
    let answer = block_on(flower(&forward.address)).expect("it answers");
    assert_eq!(answer["outputs"][0]["data"], json!(["setosa"]), "{answer}");
    assert_eq!(answer["outputs"][1]["shape"], json!([1, 3]), "{answer}");
}
