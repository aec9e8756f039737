//! A real model that nobody here made, from a registry, held against itself on files of this machine.

use std::{path::Path, process::Command, time::Duration};

use e2e::{
    Cluster, Deployment, Watched,
    cluster::SYSTEM,
    command::{cache, program, root, run},
    inference::client,
    object::number,
    wait,
};
use serde_json::{Value, json};

/// The registry's name inside the cluster.
fn registry() -> String {
    format!("slipway-registry.{SYSTEM}.svc:5000")
}

/// Pushes a file or folder through a way into the cluster; the reference by digest, under the registry's own name.
fn push(cluster: &Cluster, path: &Path, kind: &str, repository: &str) -> String {
    let forward = cluster.forward(&format!("slipway-registry.{SYSTEM}.svc.cluster.local:5000"));
    let reference = format!("oci://{}/{repository}", forward.address);
    let mut command = Command::new(program("slipway"));
    command.arg("push").arg(path).arg(&reference).args(["--kind", kind]);
    let printed = run(&mut command, None).expect("it is pushed");
    let digest = printed.trim().rsplit_once('@').expect("a digest is printed").1.to_owned();
    format!("oci://{}/{repository}@{digest}", registry())
}

/// What the served model says of a script: its bytes, then padding.
fn scores(address: &str) -> Vec<f64> {
    let script = b"#!/bin/sh\necho hello\n";
    let tokens: Vec<u32> =
        (0..2048).map(|place| script.get(place).map_or(256, |byte| u32::from(*byte))).collect();
    let input = json!({ "name": "bytes", "datatype": "INT32", "shape": [1, 2048], "data": tokens });
    let url = format!("http://{address}/v2/models/magika/infer");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let answer: Value = runtime.block_on(async {
        let sent = client().post(url).json(&json!({ "inputs": [input] })).send().await.expect("it answers");
        sent.json().await.expect("JSON")
    });
    serde_json::from_value(answer["outputs"][0]["data"].clone()).expect("scores")
}

#[test]
fn magika_from_the_registry_is_quantized_judged_by_agreement_and_served() {
    let cluster = &Watched::begin();
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("out");
    let mut prepare = Command::new(cache().join("venv-magika/bin/python"));
    run(prepare.arg(root().join("examples/magika/prepare.py")).arg(&out), None)
        .expect("`make setup` installs magika");
    let model = push(cluster, &out.join("model"), "model", "models/magika");
    let data = push(cluster, &out.join("files.npz"), "dataset", "data/files");
    let example =
        std::fs::read_to_string(root().join("examples/magika/modeldeployment.yaml")).expect("the example");
    let object = example
        .replace("oci://registry.example.com/models/magika:1.0.3", &model)
        .replace("oci://registry.example.com/data/files:1", &data);
    cluster.apply(&cluster.namespace("magika"), &object);
    let deployment = Deployment::new(cluster, "magika", "magika");
    let object = wait::until("magika is ready", Duration::from_mins(7), || {
        let object = deployment.get();
        let ready = e2e::object::condition(&object, "Ready").is_some_and(|(status, _, _)| status == "True");
        if ready { Ok(object) } else { Err(format!("{:#}", object["status"]["conditions"])) }
    });
    let same = Deployment::check(&object, "same");
    assert!(number(&same["low"]) >= 0.97, "{same}");
    assert!(same["samples"].as_i64().is_some_and(|samples| samples >= 2000), "{same}");
    let latency = Deployment::check(&object, "fast");
    assert_eq!(latency["verdict"], "Pass", "{latency}");
    let scores = scores(&deployment.forward().address);
    assert!(scores.len() == 214 && (scores.iter().sum::<f64>() - 1.0).abs() < 1e-3, "{scores:?}");
    println!("agreement {} of {} files, low {}", same["measured"], same["samples"], same["low"]);
}
