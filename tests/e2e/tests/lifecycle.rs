//! The chart's life on a real node: an upgrade to a next version, and an uninstall.

use std::{collections::BTreeSet, process::Command, time::Duration};

use e2e::{
    Cluster, Deployment, Watched,
    cluster::SYSTEM,
    command::{cache, root, run},
    object::RESOURCE,
    wait,
};
use serde_json::{Value, json};

const MINUTE: Duration = Duration::from_mins(1);

#[test]
fn an_upgrade_moves_no_pod_and_an_uninstall_leaves_what_the_chart_says() {
    let cluster = &Watched::begin();
    cluster.namespace("life");
    let folder = root().join("examples/digits");
    cluster.kubectl(&["apply", "-n", "life", "-f", folder.to_str().expect("a path in UTF-8")]);
    let deployment = Deployment::new(cluster, "life", "digits");
    // The parent of the next version's field, so that its default takes effect.
    deployment.patch(&json!({ "spec": { "rollout": { "revisionHistoryLimit": 5 } } }));
    let before = deployment.until_ready();
    let pods = deployment.pod_uids();

    upgrade(cluster);
    assert_eq!(deployment.get()["spec"]["rollout"]["next"], 7, "the next version's default is there");
    // A scale shows that the next operator looked at the object.
    cluster.kubectl(&["scale", RESOURCE, "digits", "-n", "life", "--replicas=3"]);
    let after = deployment.until_ready();
    assert!(deployment.pod_uids().is_superset(&pods), "the pods from before the upgrade still serve");
    assert_eq!(after["status"]["stages"], before["status"]["stages"]);
    assert_eq!(after["status"]["stableRevision"], before["status"]["stableRevision"]);
    assert_eq!(deployment.jobs(), BTreeSet::new(), "no Job was started");

    cluster.kubectl(&["delete", RESOURCE, "digits", "-n", "life", "--wait"]);
    cluster.helm(&["uninstall", "slipway", "--namespace", SYSTEM, "--wait"]);
    leaves_only_what_the_chart_says(cluster);
}

/// Upgrades to an operator and a CRD that were built with one more defaulted field.
fn upgrade(cluster: &Cluster) {
    let copy = tempfile::tempdir().expect("a folder");
    let chart = copy.path().join("slipway");
    run(Command::new("cp").arg("-r").arg(root().join("charts/slipway")).arg(&chart), None)
        .expect("it is copied");
    let crd = chart.join("files/slipway.dev_modeldeployments.yaml");
    std::fs::copy(cache().join("next/crd.yaml"), crd).expect("`scripts/images.sh --next` makes it");
    cluster.install_from(&chart, &["--set=images.operator=localhost/slipway-operator-next:dev"]);
}

fn leaves_only_what_the_chart_says(cluster: &Cluster) {
    wait::until("the chart's objects are gone", MINUTE, || {
        let kinds =
            "deployments,services,configmaps,serviceaccounts,roles,rolebindings,networkpolicies,leases,pods";
        let left = names(cluster, SYSTEM, kinds);
        let ours: Vec<_> = left.iter().filter(|name| name.contains("slipway")).collect();
        if ours.is_empty() { Ok(()) } else { Err(format!("{ours:?}")) }
    });
    for kind in ["clusterroles", "clusterrolebindings"] {
        assert!(!names(cluster, SYSTEM, kind).iter().any(|name| name.contains("slipway")), "{kind}");
    }
    assert_eq!(
        names(cluster, SYSTEM, "persistentvolumeclaims"),
        BTreeSet::from(["slipway-registry".to_owned()])
    );
    assert!(names(cluster, SYSTEM, "customresourcedefinitions").contains(RESOURCE));
}

fn names(cluster: &Cluster, namespace: &str, kinds: &str) -> BTreeSet<String> {
    let items = cluster.list(namespace, kinds);
    items.iter().filter_map(|item: &Value| item["metadata"]["name"].as_str().map(str::to_owned)).collect()
}
