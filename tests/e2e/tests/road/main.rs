//! The whole road on a real node: what a user applies and what a user sees.

mod replicas;
mod sklearn;
mod sources;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use e2e::{
    Cluster, Deployment, Watched,
    command::{root, run},
    inference::{client, predict},
    load::Load,
    object::number,
    wait,
};
use serde_json::{Value, json};

const MINUTE: Duration = Duration::from_mins(1);

/// Applies `examples/digits` to a namespace of its own.
fn digits<'a>(cluster: &'a Cluster, namespace: &str) -> Deployment<'a> {
    cluster.namespace(namespace);
    let folder = root().join("examples/digits");
    cluster.kubectl(&["apply", "-n", namespace, "-f", folder.to_str().expect("a path in UTF-8")]);
    Deployment::new(cluster, namespace, "digits")
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(work)
}

/// What the quantized model answers when it is made and served by the command line on this machine.
fn local_answers(seeds: &[u32]) -> Vec<Vec<f64>> {
    let folder = tempfile::tempdir().expect("a folder");
    let small = folder.path().join("small.onnx");
    let mut quantize = Command::new(e2e::command::program("slipway"));
    run(quantize.arg("quantize").arg(example_model()).arg(&small), None).expect("it quantizes");
    served_here(&small, seeds)
}

fn example_model() -> PathBuf {
    root().join("examples/digits/model.onnx")
}

/// What a model answers when the command line serves it on this machine.
fn served_here(model: &Path, seeds: &[u32]) -> Vec<Vec<f64>> {
    let mut serve = Command::new(e2e::command::program("slipway"));
    serve.args(["--json", "serve", "--name", "digits", "--port", "0", "--metrics-port", "0"]).arg(model);
    let mut server = serve.stdout(std::process::Stdio::piped()).spawn().expect("it serves");
    let stdout = server.stdout.take().expect("it is piped");
    let ready = serde_json::Deserializer::from_reader(stdout)
        .into_iter::<Value>()
        .next()
        .expect("it says where")
        .expect("JSON");
    let url = ready["url"].as_str().expect("a URL");
    let address = url.trim_start_matches("http://").split('/').next().expect("a host").to_owned();
    let answers = block_on(answers(&address, "digits", seeds));
    server.kill().expect("it runs");
    server.wait().expect("it ends");
    answers
}

async fn answers(address: &str, model: &str, seeds: &[u32]) -> Vec<Vec<f64>> {
    let client = client();
    let mut answers = Vec::new();
    for seed in seeds {
        answers.push(predict(&client, address, model, *seed).await.expect("it answers"));
    }
    answers
}

#[test]
fn applied_digits_become_ready_judged_and_watched() {
    let cluster = &Watched::begin();
    let deployment = digits(cluster, "road");
    let object = deployment.until_ready();

    let accuracy = Deployment::check(&object, "acc.minimum");
    assert!(number(&accuracy["low"]) >= 0.93, "{accuracy}");
    let drop = Deployment::check(&object, "acc.maxDrop");
    assert!(number(&drop["high"]) <= 0.02, "{drop}");
    let expected =
        std::fs::read_to_string(root().join("examples/digits/int8.digest")).expect("it is committed");
    let stages = object["status"]["stages"].as_array().expect("stages");
    let int8 = stages.iter().find(|stage| stage["name"] == "int8").expect("the stage of the example");
    assert_eq!(int8["outputDigest"], expected.trim(), "the same digest as `slipway run` makes on a laptop");
    let size = Deployment::check(&object, "small");
    assert!(number(&size["measured"]) <= 0.35, "{size}");
    let latency = Deployment::check(&object, "fast");
    assert_eq!((&latency["verdict"], &latency["samples"]), (&json!("Pass"), &json!(1000)), "{latency}");

    let seeds: Vec<u32> = (1..=40).collect();
    let forward = deployment.forward();
    assert_eq!(
        block_on(answers(&forward.address, "digits", &seeds)),
        local_answers(&seeds),
        "the cluster answers as this machine"
    );

    let columns = cluster.kubectl(&["get", e2e::object::RESOURCE, "-n", "road"]);
    assert!(
        columns.contains("READY") && columns.contains("True") && columns.contains("ACCURACY"),
        "{columns}"
    );
    is_watched(cluster, &deployment);
}

/// The real Prometheus returns the model's accuracy and the requests of these pods.
fn is_watched(cluster: &Cluster, deployment: &Deployment<'_>) {
    deployment.until("MonitoringReady", "True", MINUTE);
    let prometheus = cluster.forward("prometheus-operated.monitoring.svc.cluster.local:9090");
    let query = |query: &str| -> Result<Vec<Value>, String> {
        let url = format!("http://{}/api/v1/query", prometheus.address);
        let url =
            reqwest::Url::parse_with_params(&url, [("query", query)]).map_err(|error| error.to_string())?;
        let answer = block_on(async {
            let sent = client().get(url).send().await.map_err(|error| error.to_string())?;
            sent.json::<Value>().await.map_err(|error| error.to_string())
        })?;
        let found = answer["data"]["result"].as_array().cloned().unwrap_or_default();
        if found.is_empty() { Err(format!("{query}: {answer}")) } else { Ok(found) }
    };
    let accuracy = wait::until("Prometheus has the accuracy", 4 * MINUTE, || {
        query(r#"model_accuracy{namespace="road"}"#)
    });
    let stated = number(&deployment.get()["status"]["gate"]["accuracy"]);
    let measured = number(&accuracy[0]["value"][1]);
    assert!((measured - stated).abs() < 1e-4, "{measured} in Prometheus, {stated} in status");
    let sum = r#"sum(slipway_requests_total{namespace="road",code="200"}) > 0"#;
    let requests = wait::until("Prometheus has the requests", 2 * MINUTE, || query(sum));
    assert!(number(&requests[0]["value"][1]) >= 40.0, "{requests:?}");
}

#[test]
fn a_failed_gate_touches_no_pod_and_fixing_it_recovers() {
    let cluster = &Watched::begin();
    let deployment = digits(cluster, "gated");
    deployment.until_ready();
    let pods = deployment.pod_uids();
    let check = |minimum: &str| {
        json!({ "spec": {
            "stages": [{ "name": "int8", "quantize": { "dynamic": { "granularity": "perTensor" } } }],
            "gate": { "checks": [{ "name": "acc", "accuracy": { "minimum": minimum } }] },
        }})
    };
    deployment.patch(&check("0.999"));
    let message = deployment.until_reason("GatePassed", "CheckFailed", 2 * MINUTE);
    assert!(message.contains("0.999"), "it says what is wanted: {message}");
    assert_eq!(deployment.pod_uids(), pods);
    let object = deployment.get();
    assert_eq!(
        e2e::object::condition(&object, "Available").map(|(status, _, _)| status).as_deref(),
        Some("True")
    );
    let checked = Deployment::check(&object, "acc");
    assert!(number(&checked["measured"]) > 0.9 && number(&checked["high"]) < 0.999, "{checked}");

    deployment.patch(&check("0.93"));
    deployment.until_ready();
    assert_ne!(deployment.pod_uids(), pods, "the change rolls out once it passes");
}

#[test]
fn no_request_fails_in_a_rollout_its_rollback_and_an_operator_crash() {
    let cluster = &Watched::begin();
    let deployment = digits(cluster, "busy");
    deployment.until_ready();
    let forward = deployment.forward();
    let load = Load::start(&forward.address, "digits", 200);
    let with = |granularity: &str| {
        json!({ "spec": { "stages": [
            { "name": "int8", "quantize": { "dynamic": { "granularity": granularity } } },
        ]}})
    };
    let first = deployment.get()["status"]["stableRevision"].clone();
    deployment.patch(&with("perTensor"));
    let second = deployment.until_ready()["status"]["stableRevision"].clone();
    assert_ne!(first, second);
    deployment.patch(&with("perChannel"));
    cluster.kill_operator();
    let third = deployment.until_ready()["status"]["stableRevision"].clone();
    assert_eq!(first, third, "a rollback is the same revision");
    let before = load.answered();
    wait::until("the load goes on after the rollback", MINUTE, || {
        if load.answered() > before + 400 { Ok(()) } else { Err(format!("{} answered", load.answered())) }
    });
    let seen = load.stop();
    assert!(seen.answered > 1000, "{} requests are too few to show anything", seen.answered);
    assert!(seen.rate() > 195.0, "200 requests a second were to be sent, {:.0} were", seen.rate());
    assert!(
        seen.failed.is_empty(),
        "{} of {} failed: {:?}",
        seen.failed.len(),
        seen.answered,
        &seen.failed[..seen.failed.len().min(5)]
    );
}

#[test]
fn a_crash_a_lost_pod_and_an_emptied_status_recompute_and_restart_nothing() {
    let cluster = &Watched::begin();
    let deployment = digits(cluster, "memory");
    wait::until("a stage's Job runs", MINUTE, || {
        let jobs = deployment.jobs();
        jobs.iter().find(|job| job.starts_with("digits-int8-")).cloned().ok_or(format!("{jobs:?}"))
    });
    cluster.scale_operator(0);
    wait::until("the Job ends without an operator", MINUTE, || {
        let jobs = cluster.list("memory", "jobs");
        let ended = |job: &Value| job["status"]["succeeded"] == 1;
        let stage = jobs.iter().find(|job| {
            job["metadata"]["name"].as_str().is_some_and(|name| name.starts_with("digits-int8-"))
        });
        if stage.is_some_and(ended) { Ok(()) } else { Err("it runs".into()) }
    });
    cluster.kubectl(&["delete", "pods", "-n", "memory", "-l", "slipway.dev/stage=int8"]);
    deployment.empty_status();
    cluster.scale_operator(1);
    let object = deployment.until_ready();
    let stages = object["status"]["stages"].as_array().expect("stages");
    let stage = stages.iter().find(|stage| stage["name"] == "int8").expect("the stage");
    assert!(
        stage["message"].as_str().is_some_and(|message| message.contains("nothing was computed")),
        "{stage}"
    );

    let (pods, digest) = (deployment.pod_uids(), object["status"]["artifact"]["digest"].clone());
    deployment.empty_status();
    let rebuilt = deployment.until_ready();
    assert_eq!(rebuilt["status"]["artifact"]["digest"], digest);
    assert_eq!(rebuilt["status"]["gate"], object["status"]["gate"]);
    assert_eq!(deployment.pod_uids(), pods);
    assert_eq!(deployment.jobs(), BTreeSet::new(), "no Job was started");
}

#[test]
fn scaling_by_hand_and_by_an_autoscaler_neither_fights_nor_fetches() {
    let cluster = &Watched::begin();
    let deployment = digits(cluster, "scaled");
    let before = deployment.until_ready();
    let scale = |replicas: u32| {
        let args =
            ["scale", e2e::object::RESOURCE, "digits", "-n", "scaled", &format!("--replicas={replicas}")];
        cluster.kubectl(&args);
    };
    scale(3);
    let object = deployment.until_ready();
    assert_eq!(object["status"]["readyReplicas"], 3);
    assert_eq!(object["status"]["stages"], before["status"]["stages"], "nothing was fetched or computed");
    assert_eq!(object["status"]["stableRevision"], before["status"]["stableRevision"]);

    // An autoscaler raises to its least number even without metrics, through the same subresource.
    let autoscaler = json!({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": { "name": "digits" },
        "spec": {
            "scaleTargetRef": { "apiVersion": "slipway.dev/v1alpha1", "kind": "ModelDeployment", "name": "digits" },
            "minReplicas": 4, "maxReplicas": 4,
            "metrics": [{ "type": "Resource", "resource": { "name": "cpu", "target": { "type": "Utilization", "averageUtilization": 50 } } }],
        },
    });
    cluster.apply("scaled", &autoscaler.to_string());
    wait::until("the autoscaler's number is reached", 2 * MINUTE, || {
        let object = deployment.get();
        if object["status"]["readyReplicas"] == 4 { Ok(()) } else { Err(format!("{:#}", object["status"])) }
    });
    let object = deployment.until_ready();
    assert_eq!(object["spec"]["serving"]["replicas"], 4, "nobody sets it back");
    assert_eq!(object["status"]["stages"], before["status"]["stages"]);
}

#[test]
fn kstatus_has_every_word_for_a_life_and_deletion_leaves_nothing() {
    let cluster = &Watched::begin();
    let deployment = digits(cluster, "brief");
    deployment.until_ready();
    deployment.patch(
        &json!({ "spec": { "gate": { "checks": [{ "name": "acc", "accuracy": { "minimum": "0.999" } }] } } }),
    );
    deployment.until_reason("GatePassed", "CheckFailed", 2 * MINUTE);
    cluster.kubectl(&["delete", e2e::object::RESOURCE, "digits", "-n", "brief", "--wait"]);
    wait::until("its children are gone", MINUTE, || {
        let kinds = [
            "jobs",
            "pods",
            "deployments",
            "services",
            "controllerrevisions",
            "poddisruptionbudgets",
            "servicemonitors",
        ];
        let left: Vec<_> = kinds.iter().filter(|kind| !cluster.list("brief", kind).is_empty()).collect();
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
    });
    let registry =
        cluster.forward(&format!("slipway-registry.{}.svc.cluster.local:5000", e2e::cluster::SYSTEM));
    let tags = block_on(async {
        let url = format!("http://{}/v2/brief/digits/tags/list", registry.address);
        client().get(url).send().await.expect("the registry answers").text().await.expect("a body")
    });
    assert!(!tags.contains("work-"), "{tags}");

    let judged = cluster.judged();
    let words: BTreeSet<_> = judged.iter().map(|(_, word)| word.as_str()).collect();
    assert_eq!(words, BTreeSet::from(["Current", "Failed", "InProgress", "Terminating"]));
}
