//! The rights that the chart gives the operator are enough for the whole road, and for nothing else.

use std::{process::Command, sync::Arc};

use kube::{
    Api,
    api::{ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams},
    core::GroupVersionKind,
};
use serde_json::json;
use slipway_api::ModelDeployment;
use slipway_operator::{Health, Lease, Metrics, lead, run};
use slipway_testkit::{ApiServer, Simulator, cluster_binary, until};
use tokio_util::sync::CancellationToken;

use crate::{
    bench::{LIMIT, Registry, options, wait_for},
    converge::whole,
};

const SYSTEM: &str = "slipway-system";
const RIGHTS: [&str; 5] = ["ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"];

/// Gives the operator's account what the rendered chart gives it; `false` where Helm is not built.
async fn give_rights(server: &ApiServer) -> bool {
    let helm = cluster_binary().map(|program| program.with_file_name("helm")).filter(|helm| helm.is_file());
    let Some(helm) = helm else {
        assert!(std::env::var_os("CI").is_none(), "helm is not built; run `make setup`");
        eprintln!("skipped: helm is not built; run `make setup`");
        return false;
    };
    let chart = concat!(env!("CARGO_MANIFEST_DIR"), "/../../charts/slipway");
    let rendered = Command::new(helm).args(["template", "slipway", chart, "-n", SYSTEM]).output().unwrap();
    let text = String::from_utf8(rendered.stdout).unwrap();
    let client = server.client().await;
    for object in slipway_api::yaml::documents(&text).unwrap() {
        let kind = object["kind"].as_str().unwrap();
        if !RIGHTS.contains(&kind) {
            continue;
        }
        let api_version = object["apiVersion"].as_str().unwrap();
        let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        let api: Api<DynamicObject> = match object["metadata"]["namespace"].as_str() {
            Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
            None => Api::all_with(client.clone(), &resource),
        };
        let object: DynamicObject = serde_json::from_value(object).unwrap();
        api.create(&PostParams::default(), &object).await.unwrap();
    }
    true
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_charts_rights_suffice_for_the_whole_road() {
    let Some(server) = ApiServer::start().await else { return };
    server.define(&ApiServer::prometheus_crd("servicemonitors")).await;
    server.define(&ApiServer::prometheus_crd("prometheuses")).await;
    server.namespace(SYSTEM).await;
    let namespace = server.namespace("rights").await;
    if !give_rights(&server).await {
        return;
    }
    let (client, faults) =
        server.faulty_client_as("system:serviceaccount:slipway-system:slipway-operator").await;
    let admin = server.client().await;
    let _simulator = Simulator::start(admin.clone(), &namespace);
    let registry = Arc::new(Registry::default());
    let (shutdown, metrics, health) = (CancellationToken::new(), Metrics::default(), Health::default());
    let lease =
        Lease { namespace: SYSTEM.into(), name: "slipway-operator".into(), identity: "operator-1".into() };
    let (options, counted, token) = (options(None, &registry), metrics.clone(), shutdown.clone());
    let restricted = client.clone();
    let task = tokio::spawn(async move {
        let work = |token| run(client.clone(), options.clone(), counted.clone(), health.clone(), token);
        lead(client.clone(), &lease, &counted, &token, || (), work).await
    });

    let api: Api<ModelDeployment> = Api::namespaced(admin, &namespace);
    api.create(&PostParams::default(), &whole("net").build()).await.unwrap();
    wait_for(&api, "net", "Ready", "True", "UpToDate").await;
    wait_for(&api, "net", "MonitoringReady", "False", "NoPrometheus").await;
    let one = json!({ "spec": { "serving": { "replicas": 1 } } });
    api.patch("net", &PatchParams::default(), &Patch::Merge(one)).await.unwrap();
    wait_for(&api, "net", "Ready", "True", "UpToDate").await;
    api.delete("net", &DeleteParams::default()).await.unwrap();
    until("the object is gone", LIMIT, || async {
        if api.get_opt("net").await.map_err(|error| error.to_string())?.is_none() {
            Ok(())
        } else {
            Err("still there".into())
        }
    })
    .await;
    let text = metrics.render();
    assert!(!text.contains(r#"category="Forbidden""#), "{text}\n{:?}", faults.counts());

    let secrets: Api<k8s_openapi::api::core::v1::Secret> = Api::all(restricted);
    assert!(secrets.list(&ListParams::default()).await.is_err(), "no Secret is ever read");
    shutdown.cancel();
    task.await.unwrap().unwrap();
}
