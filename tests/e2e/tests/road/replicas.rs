//! Two operators on a real node: one leads, and the other takes over from one that hangs and dies.

use std::time::{Duration, Instant};

use e2e::{Cluster, Deployment, Watched, cluster::SYSTEM, wait};
use serde_json::{Value, json};

use crate::{MINUTE, digits};

/// What the design allows for a hand-over.
const HAND_OVER: Duration = Duration::from_secs(15);

/// The name of the operator's pod that holds the lease.
fn holder(cluster: &Cluster) -> String {
    cluster.kubectl(&[
        "get",
        "lease",
        "slipway-operator",
        "-n",
        SYSTEM,
        "-o",
        "jsonpath={.spec.holderIdentity}",
    ])
}

/// The names of the operator's pods that say that they lead.
fn leaders(cluster: &Cluster) -> Vec<String> {
    let pods = cluster.list(SYSTEM, "pods");
    let names = pods.iter().filter_map(|pod| pod["metadata"]["name"].as_str());
    let leads = |name: &&str| {
        let path = format!("/api/v1/namespaces/{SYSTEM}/pods/{name}:8080/proxy/metrics");
        cluster.kubectl(&["get", "--raw", &path]).contains("slipway_operator_leader 1")
    };
    names.filter(|name| name.starts_with("slipway-operator-")).filter(leads).map(str::to_owned).collect()
}

/// Halts the operator of a pod, as a machine that hangs would: it neither renews its lease nor gives it back.
fn freeze(cluster: &Cluster, pod: &str) {
    let command = format!(
        "pid=$(grep -lzx POD_NAME={pod} /proc/[0-9]*/environ 2>/dev/null | cut -d/ -f3); kill -STOP $pid"
    );
    cluster.inside(&["sh", "-c", &command]).expect("the operator is halted");
}

#[test]
fn of_two_operators_one_leads_and_the_other_takes_over_and_goes_on_with_the_work() {
    let cluster = &Watched::begin();
    let served = digits(cluster, "replicas");
    served.until_ready();
    let pods = served.pod_uids();
    cluster.install(&["--set=operator.replicas=2"]);
    let first = holder(cluster);
    assert_eq!(leaders(cluster), [first.as_str()], "one of two leads, the holder of the lease");

    freeze(cluster, &first);
    let frozen = Instant::now();
    // The pod is killed without having run again, so nothing is given back.
    cluster.kubectl(&["delete", "pod", &first, "-n", SYSTEM, "--grace-period=0", "--force", "--wait=false"]);
    let second = wait::until("another holds the lease", MINUTE, || {
        let now = holder(cluster);
        if now.is_empty() || now == first { Err(now) } else { Ok(now) }
    });
    let took = frozen.elapsed();
    assert!(took <= HAND_OVER, "{took:?} from {first} to {second}");
    println!("{second} took over after {took:.1?}");

    let object: Value = json!({
        "apiVersion": "slipway.dev/v1alpha1", "kind": "ModelDeployment", "metadata": { "name": "late" },
        "spec": { "model": { "source": { "uri": "configmap://digits-model", "file": "model.onnx" } } },
    });
    cluster.apply("replicas", &object.to_string());
    Deployment::new(cluster, "replicas", "late").until_ready();
    assert!(served.pod_uids().is_superset(&pods), "a hand-over moves no pod");
    cluster.scale_operator(2);
    assert_eq!(leaders(cluster), [second], "the one that was made anew stands by");
    cluster.install(&[]);
}
