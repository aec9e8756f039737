//! Sources that a cluster brings: a file in a volume claim, and a web server of one's own network.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command},
};

use e2e::{
    Cluster, Deployment, Watched,
    command::{cache, root, run},
    inference::{client, predict},
    wait,
};
use serde_json::{Value, json};

use crate::{MINUTE, answers, block_on, example_model, served_here};

/// A model deployment that does nothing but serve a source.
fn plain(name: &str, source: &Value) -> String {
    let object = json!({
        "apiVersion": "slipway.dev/v1alpha1", "kind": "ModelDeployment", "metadata": { "name": name },
        "spec": { "model": { "source": source } , "jobs": { "retries": 0 } },
    });
    object.to_string()
}

/// Waits until these are ready, and holds their answers against those of the same file on this machine.
fn answer_as_here(cluster: &Cluster, namespace: &str, names: &[&str]) {
    let seeds = [1, 2, 3];
    let here = served_here(&example_model(), &seeds);
    for name in names {
        let deployment = Deployment::new(cluster, namespace, name);
        deployment.until_ready();
        let forward = deployment.forward();
        // kube-proxy learns of an endpoint up to a second after its pod is ready.
        wait::until("the Service answers", MINUTE, || {
            block_on(predict(&client(), &forward.address, name, seeds[0]))
        });
        assert_eq!(block_on(answers(&forward.address, name, &seeds)), here, "{name}");
    }
}

/// Waits until each says what is wrong with its source.
fn are_refused(cluster: &Cluster, namespace: &str, cases: &[(&str, &str, &[&str])]) {
    for (name, reason, words) in cases {
        let deployment = Deployment::new(cluster, namespace, name);
        let message = deployment.until_reason("Optimized", reason, 2 * MINUTE);
        assert!(words.iter().all(|word| message.contains(word)), "{name}: {message}");
    }
}

/// A claim of the default storage class, with the example's model at `nets/model.onnx`.
fn claim(cluster: &Cluster, namespace: &str, name: &str) {
    let claim = json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": { "name": name },
        "spec": { "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "1Mi" } } },
    });
    let writer = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "writer" },
        "spec": {
            "restartPolicy": "Never",
            "containers": [{
                "name": "writer", "image": "localhost/busybox:dev", "imagePullPolicy": "IfNotPresent",
                "command": ["sh", "-ec", "mkdir /claim/nets; cp /map/model.onnx /claim/nets/"],
                "volumeMounts": [
                    { "name": "map", "mountPath": "/map" }, { "name": "claim", "mountPath": "/claim" },
                ],
            }],
            "volumes": [
                { "name": "map", "configMap": { "name": "digits-model" } },
                { "name": "claim", "persistentVolumeClaim": { "claimName": name } },
            ],
        },
    });
    let model = root().join("examples/digits/configmap-model.yaml");
    cluster.kubectl(&["apply", "-n", namespace, "-f", model.to_str().expect("a path in UTF-8")]);
    cluster.apply(namespace, &claim.to_string());
    cluster.apply(namespace, &writer.to_string());
    let succeeded = "--for=jsonpath={.status.phase}=Succeeded";
    cluster.kubectl(&["wait", "pod/writer", "-n", namespace, succeeded, "--timeout=60s"]);
}

#[test]
fn a_file_in_a_claim_is_served_and_what_is_missing_is_named() {
    let cluster = &Watched::begin();
    cluster.namespace("claim");
    claim(cluster, "claim", "models");
    for (name, source) in [
        ("file", json!({ "uri": "pvc://models/nets/model.onnx" })),
        ("folder", json!({ "uri": "pvc://models/nets", "file": "model.onnx" })),
        ("absent", json!({ "uri": "pvc://models/nets/other.onnx" })),
        ("unnamed", json!({ "uri": "pvc://models" })),
        (
            "wrong",
            json!({ "uri": "pvc://models/nets/model.onnx", "digest": format!("sha256:{}", "0".repeat(64)) }),
        ),
        ("claimless", json!({ "uri": "pvc://later/nets/model.onnx" })),
    ] {
        cluster.apply("claim", &plain(name, &source));
    }
    are_refused(
        cluster,
        "claim",
        &[
            ("absent", "FetchFailed", &["nets/other.onnx", "\"models\""]),
            ("wrong", "DigestMismatch", &["sha256:0000"]),
            ("claimless", "StageFailed", &["persistentvolumeclaim \"later\" not found"]),
        ],
    );
    answer_as_here(cluster, "claim", &["file", "folder", "unnamed"]);
}

/// A folder served with TLS on the node's address, to whoever has a token; it ends with this value.
struct Files {
    process: Child,
    /// Where it is. Example: `https://10.0.0.1:34567`.
    url: String,
    folder: tempfile::TempDir,
}

impl Drop for Files {
    fn drop(&mut self) {
        let _gone = self.process.kill();
        let _reaped = self.process.wait();
    }
}

impl Files {
    const TOKEN: &str = "t0ken";

    fn serve(cluster: &Cluster) -> Self {
        let (folder, address) = (tempfile::tempdir().expect("a folder"), cluster.address());
        certificate(folder.path(), &address);
        fs::copy(example_model(), folder.path().join("model.onnx")).expect("it is copied");
        let mut python = Command::new(cache().join("venv-magika/bin/python"));
        python.arg(root().join("tests/e2e/files.py")).arg(folder.path()).args([&address, Self::TOKEN]);
        let mut process = cluster.beside(&python);
        let mut port = String::new();
        let stdout = process.stdout.take().expect("it is piped");
        BufReader::new(stdout).read_line(&mut port).expect("it says its port");
        Self { process, url: format!("https://{address}:{}", port.trim()), folder }
    }

    fn authority(&self) -> String {
        format!("--from-file=ca.crt={}", self.folder.path().join("tls.crt").display())
    }
}

/// Makes a certificate that vouches for itself.
fn certificate(folder: &Path, address: &str) {
    let names = format!("subjectAltName=IP:{address}");
    let mut openssl = Command::new("openssl");
    openssl.current_dir(folder).args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]);
    openssl.args(["-subj", "/CN=files", "-addext", &names, "-addext", "basicConstraints=critical,CA:FALSE"]);
    run(openssl.args(["-out", "tls.crt", "-keyout", "tls.key"]), None).expect("openssl makes a certificate");
}

#[test]
fn a_web_server_of_ones_own_is_a_source_once_its_authority_and_a_token_are_named() {
    let cluster = &Watched::begin();
    cluster.namespace("web");
    let files = Files::serve(cluster);
    let token = format!("--from-literal=token={}", Files::TOKEN);
    cluster.kubectl(&["create", "secret", "generic", "both", "-n", "web", &files.authority(), &token]);
    cluster.kubectl(&["create", "secret", "generic", "authority", "-n", "web", &files.authority()]);
    cluster.kubectl(&["create", "secret", "generic", "token", "-n", "web", &token]);
    let source = |file: &str, secret: &str| json!({ "uri": format!("{}/{file}", files.url), "credentialsSecretRef": { "name": secret } });
    let mut wrong = source("model.onnx", "both");
    wrong["digest"] = json!(format!("sha256:{}", "0".repeat(64)));
    for (name, source) in [
        ("fetched", source("model.onnx", "both")),
        ("wrong", wrong),
        ("absent", source("other.onnx", "both")),
        ("stranger", source("model.onnx", "authority")),
        ("doubted", source("model.onnx", "token")),
    ] {
        cluster.apply("web", &plain(name, &source));
    }
    are_refused(
        cluster,
        "web",
        &[
            ("wrong", "DigestMismatch", &["sha256:0000"]),
            ("absent", "FetchFailed", &["other.onnx"]),
            ("stranger", "FetchFailed", &["401", "credentials"]),
            ("doubted", "FetchFailed", &["certificate", "ca.crt of credentialsSecretRef"]),
        ],
    );
    answer_as_here(cluster, "web", &["fetched"]);
}
