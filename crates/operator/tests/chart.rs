//! The chart, rendered by the real Helm: what it installs, and that it says what the operator understands.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};
use slipway_testkit::cluster_binary;

const FULL: [&str; 14] = [
    "--set=operator.replicas=2",
    "--set=operator.namespace=vision",
    "--set=operator.logFormat=text",
    "--set=operator.serviceMonitor.enabled=true",
    "--set=operator.serviceMonitor.labels.release=main",
    "--set=operator.nodeSelector.disk=ssd",
    "--set=serviceMonitors.labels.release=main",
    "--set=images.pullSecrets={one,two}",
    "--set=registry.storage.persistent=false",
    "--set=registry.storage.className=fast",
    "--set=registry.networkPolicy.from[0].ipBlock.cidr=10.0.0.0/8",
    "--set=images.pullPolicy=Always",
    "--set=crds.install=false",
    "--set=registry.resources.limits.memory=1Gi",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Helm beside the cluster's program; `None`, with a reason, where it is not built and this is not CI.
fn helm() -> Option<PathBuf> {
    let found = cluster_binary().map(|program| program.with_file_name("helm")).filter(|helm| helm.is_file());
    if found.is_none() {
        assert!(std::env::var_os("CI").is_none(), "helm is not built; run `make setup`");
        eprintln!("skipped: helm is not built; run `make setup`");
    }
    found
}

fn run(helm: &Path, verb: &str, more: &[&str]) -> Result<String, String> {
    let chart = root().join("charts/slipway");
    let mut command = Command::new(helm);
    match verb {
        "template" => command.args(["template", "slipway"]),
        verb => command.arg(verb),
    };
    let output = command.arg(chart).args(["--namespace", "slipway-system"]).args(more).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

fn render(helm: &Path, more: &[&str]) -> Vec<Value> {
    slipway_api::yaml::documents(&run(helm, "template", more).unwrap()).unwrap()
}

fn of_kind<'a>(objects: &'a [Value], kind: &str) -> Vec<&'a Value> {
    objects.iter().filter(|object| object["kind"] == kind).collect()
}

fn operator_args(objects: &[Value]) -> Vec<String> {
    let deployments = of_kind(objects, "Deployment");
    let operator = deployments.iter().find(|one| one["metadata"]["name"] == "slipway-operator").unwrap();
    let args = &operator["spec"]["template"]["spec"]["containers"][0]["args"];
    serde_json::from_value(args.clone()).unwrap()
}

#[test]
fn the_charts_definition_is_the_generated_one() {
    let name = "slipway.dev_modeldeployments.yaml";
    let generated = std::fs::read(root().join("crds").join(name)).unwrap();
    let packed = std::fs::read(root().join("charts/slipway/files").join(name)).unwrap();
    assert!(generated == packed, "run `make generate`");
}

#[test]
fn it_passes_lint_and_refuses_values_that_it_does_not_know() {
    let Some(helm) = helm() else { return };
    run(&helm, "lint", &[]).unwrap();
    run(&helm, "lint", &FULL).unwrap();
    assert!(run(&helm, "template", &["--set=operator.replica=2"]).unwrap_err().contains("replica"));
    let nowhere = run(&helm, "template", &["--set=registry.enabled=false"]).unwrap_err();
    assert!(nowhere.contains("name your own registry"), "{nowhere}");
}

#[test]
fn the_operator_understands_every_flag_that_it_is_given() {
    let Some(helm) = helm() else { return };
    for values in [&[][..], &FULL[..], &["--set=registry.external=registry.test"][..]] {
        let args = operator_args(&render(&helm, values));
        let mut command = Command::new(env!("CARGO_BIN_EXE_slipway-operator"));
        let output = command.args(&args).arg("--help").output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn every_pod_is_restricted() {
    let Some(helm) = helm() else { return };
    for values in [&[][..], &FULL[..]] {
        let objects = render(&helm, values);
        let pods: Vec<_> =
            of_kind(&objects, "Deployment").iter().map(|one| &one["spec"]["template"]["spec"]).collect();
        assert_eq!(pods.len(), 2);
        for pod in pods {
            assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
            assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
            for container in pod["containers"].as_array().unwrap() {
                let security = &container["securityContext"];
                assert_eq!(security["readOnlyRootFilesystem"], true);
                assert_eq!(security["allowPrivilegeEscalation"], false);
                assert_eq!(security["capabilities"]["drop"][0], "ALL");
                assert!(container["resources"]["limits"]["memory"].is_string());
            }
        }
    }
}

#[test]
fn config_maps_are_nobodys_business_and_of_secrets_one() {
    let Some(helm) = helm() else { return };
    let looked_at = json!({ "apiGroups": [""], "resources": ["secrets"],
                            "resourceNames": ["slipway-signing"], "verbs": ["get"] });
    let made = json!({ "apiGroups": [""], "resources": ["secrets"], "verbs": ["create"] });
    for values in [&[][..], &["--set=operator.namespace=vision"]] {
        let objects = render(&helm, values);
        let all = of_kind(&objects, "ClusterRole").into_iter().chain(of_kind(&objects, "Role"));
        let rules = all.flat_map(|role| role["rules"].as_array().unwrap());
        let (secrets, others): (Vec<_>, Vec<_>) =
            rules.partition(|rule| rule.to_string().contains("secrets"));
        assert_eq!(secrets, [&looked_at, &made]);
        for text in others.iter().map(ToString::to_string) {
            for forbidden in ["configmaps", "\"*\"", "pods/exec", "escalate"] {
                assert!(!text.contains(forbidden), "{text}");
            }
        }
    }
}

#[test]
fn for_one_namespace_nothing_is_written_by_a_cluster_wide_right() {
    let Some(helm) = helm() else { return };
    let objects = render(&helm, &["--set=operator.namespace=vision"]);
    for role in of_kind(&objects, "ClusterRole") {
        for rule in role["rules"].as_array().unwrap() {
            assert_eq!(rule["verbs"], json!(["list", "watch"]), "{rule}");
        }
    }
    let places = |kind: &str| -> Vec<_> {
        of_kind(&objects, kind).iter().map(|one| one["metadata"]["namespace"].as_str().unwrap()).collect()
    };
    for kind in ["Role", "RoleBinding"] {
        assert_eq!(places(kind), ["vision", "slipway-system"], "{kind}");
    }
}

#[test]
fn only_the_operators_own_lease_can_be_changed() {
    let Some(helm) = helm() else { return };
    let objects = render(&helm, &[]);
    let rules = of_kind(&objects, "Role").into_iter().flat_map(|role| role["rules"].as_array().unwrap());
    for rule in rules.filter(|rule| rule["resources"][0] == "leases") {
        let named = rule["resourceNames"] == json!(["slipway-operator"]);
        assert!(named || rule["verbs"] == json!(["create"]), "{rule}");
    }
}

#[test]
fn the_registry_restarts_for_its_configuration_alone() {
    let Some(helm) = helm() else { return };
    for values in [&[][..], &FULL[..]] {
        let objects = render(&helm, values);
        let config = of_kind(&objects, "ConfigMap")[0]["data"]["config.yml"].as_str().unwrap();
        let deployments = of_kind(&objects, "Deployment");
        let registry = deployments.iter().find(|one| one["metadata"]["name"] == "slipway-registry").unwrap();
        let checksum = &registry["spec"]["template"]["metadata"]["annotations"]["checksum/config"];
        assert_eq!(*checksum, slipway_api::sha256_hex(config.trim_end()));
    }
}

#[test]
fn an_uninstall_keeps_what_the_readme_says() {
    let Some(helm) = helm() else { return };
    let objects = render(&helm, &[]);
    let kept: Vec<_> = (objects.iter())
        .filter(|object| object["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep")
        .map(|object| object["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kept, ["PersistentVolumeClaim", "CustomResourceDefinition"]);
    let full = render(&helm, &FULL);
    assert!(of_kind(&full, "PersistentVolumeClaim").is_empty());
    assert!(of_kind(&full, "CustomResourceDefinition").is_empty());
}
