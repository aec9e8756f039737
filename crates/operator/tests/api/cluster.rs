//! What concerns a whole cluster, each on a server of its own: kinds that appear later, objects that cannot be read.

use std::time::Duration;

use k8s_openapi::{
    api::core::v1::Namespace, apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, Client,
    api::{ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, PostParams},
    core::GroupVersionKind,
};
use serde_json::{Value, json};
use slipway_api::ModelDeployment;
use slipway_plan::Untag;
use slipway_testkit::{ApiServer, deployment, until};

use crate::{
    bench::{Bench, LIMIT},
    converge::whole,
};

fn dynamic(client: &Client, namespace: &str, api_version: (&str, &str), kind: &str) -> Api<DynamicObject> {
    let (group, version) = api_version;
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
    Api::namespaced_with(client.clone(), namespace, &resource)
}

#[tokio::test]
async fn service_monitors_are_made_once_the_cluster_knows_the_kind() {
    let Some(server) = ApiServer::start().await else { return };
    let bench = Bench::on(&server, "watched", |_| {}).await;
    bench.create(&deployment("net")).await;
    bench.settle("net").await;
    let missing = bench.condition("net", "MonitoringReady").await.unwrap();
    assert_eq!(missing.reason, "NoPrometheusOperator");

    server.define(&ApiServer::prometheus_crd("servicemonitors")).await;
    server.define(&ApiServer::prometheus_crd("prometheuses")).await;
    bench.wait_for("net", "MonitoringReady", "False", "NoPrometheus").await;
    let coreos = ("monitoring.coreos.com", "v1");
    let monitors = dynamic(&bench.client, &bench.namespace, coreos, "ServiceMonitor");
    monitors.get("net").await.expect("it was made");

    let prometheuses = dynamic(&bench.client, "default", coreos, "Prometheus");
    let prometheus = |spec: Value| -> DynamicObject {
        serde_json::from_value(json!({ "apiVersion": "monitoring.coreos.com/v1", "kind": "Prometheus",
                                       "metadata": { "name": "main" }, "spec": spec }))
        .unwrap()
    };
    let selective = prometheus(json!({
        "serviceMonitorSelector": {},
        "serviceMonitorNamespaceSelector": { "matchLabels": { "watched-by": "main" } },
    }));
    prometheuses.create(&PostParams::default(), &selective).await.unwrap();
    let unseen = bench.wait_for("net", "MonitoringReady", "False", "NotSelected").await;
    assert!(unseen.message.contains("kubectl label namespace watched watched-by=main"), "{}", unseen.message);
    let namespaces: Api<Namespace> = Api::all(bench.client.clone());
    let label = json!({ "metadata": { "labels": { "watched-by": "main" } } });
    namespaces.patch("watched", &PatchParams::default(), &Patch::Merge(label)).await.unwrap();
    bench.wait_for("net", "MonitoringReady", "True", "Selected").await;
    bench.rest().await;

    bench
        .patch("net", &json!({ "spec": { "monitoring": { "serviceMonitor": { "enabled": false } } } }))
        .await;
    until("the monitor is gone", LIMIT, || async {
        match monitors.get_opt("net").await {
            Ok(None) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    bench.rest().await;
    bench.operator.stop().await;
}

/// The CRD without any rule on the spec, as one of a later version would be.
pub(crate) fn lax_crd() -> CustomResourceDefinition {
    let mut crd = serde_json::to_value(slipway_api::crd::crd()).unwrap();
    let schema = &mut crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    schema["properties"]["spec"] = json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true });
    schema.as_object_mut().unwrap().remove("x-kubernetes-validations");
    crd["spec"]["versions"][0]["subresources"].as_object_mut().unwrap().remove("scale");
    serde_json::from_value(crd).unwrap()
}

#[tokio::test]
async fn an_object_that_cannot_be_read_says_so_and_holds_up_nobody() {
    let Some(server) = ApiServer::start().await else { return };
    server.define(&lax_crd()).await;
    let bench = Bench::on(&server, "mixed", |_| {}).await;
    let raw = dynamic(&bench.client, &bench.namespace, ("slipway.dev", "v1alpha1"), "ModelDeployment");
    let future = json!({
        "apiVersion": "slipway.dev/v1alpha1", "kind": "ModelDeployment",
        "metadata": { "name": "future" }, "spec": { "ensemble": ["a", "b"] },
    });
    let future: DynamicObject = serde_json::from_value(future).unwrap();
    raw.create(&PostParams::default(), &future).await.unwrap();
    bench.create(&deployment("good")).await;
    bench.settle("good").await;
    let told = until("the object says so", LIMIT, || async {
        let object = raw.get("future").await.map_err(|error| error.to_string())?;
        let conditions = object.data["status"]["conditions"].clone();
        if conditions.is_null() { Err("no conditions".into()) } else { Ok((object, conditions)) }
    })
    .await;
    let (object, conditions) = told;
    let find =
        |name: &str| conditions.as_array().unwrap().iter().find(|one| one["type"] == name).cloned().unwrap();
    assert_eq!(
        (&find("Accepted")["status"], &find("Accepted")["reason"]),
        (&json!("False"), &json!("Unparsable"))
    );
    assert_eq!(find("Ready")["status"], "False");
    assert_eq!(find("Stalled")["status"], "True");
    bench.rest().await;
    assert_eq!(raw.get("future").await.unwrap().metadata.resource_version, object.metadata.resource_version);

    let corrected = json!({ "spec": { "ensemble": null, "model": { "source": {
        "uri": format!("oci://models.test/net@{}", slipway_testkit::digest("net")) } }, "serving": {} } });
    raw.patch("future", &PatchParams::default(), &Patch::Merge(corrected)).await.unwrap();
    let api: Api<ModelDeployment> = bench.api();
    crate::bench::wait_for(&api, "future", "Ready", "True", "UpToDate").await;
    slipway_testkit::quiet(&bench.faults, Duration::from_secs(2), LIMIT).await;
    bench.operator.stop().await;
}

#[tokio::test]
async fn an_object_that_became_unreadable_says_what_still_serves_and_can_be_deleted() {
    let Some(server) = ApiServer::start().await else { return };
    server.define(&lax_crd()).await;
    let bench = Bench::on(&server, "broken", |_| {}).await;
    bench.create(&whole("net")).await;
    bench.settle("net").await;
    let raw = dynamic(&bench.client, &bench.namespace, ("slipway.dev", "v1alpha1"), "ModelDeployment");
    let future = json!({ "spec": { "ensemble": ["a", "b"] } });
    raw.patch("net", &PatchParams::default(), &Patch::Merge(future)).await.unwrap();
    let told = until("the object says so", LIMIT, || async {
        let object = raw.get("net").await.map_err(|error| error.to_string())?;
        let said = |name: &str| -> (Value, Value) {
            let conditions = object.data["status"]["conditions"].as_array().cloned().unwrap_or_default();
            let found = conditions.into_iter().find(|one| one["type"] == name).unwrap_or_default();
            (found["status"].clone(), found["reason"].clone())
        };
        if said("Accepted").1 == "Unparsable" { Ok(said("Available")) } else { Err(format!("{object:?}")) }
    })
    .await;
    assert_eq!(told, (json!("True"), json!("Serving")));

    raw.delete("net", &DeleteParams::default()).await.unwrap();
    bench.gone("net").await;
    assert_eq!(*bench.registry.asked.lock().unwrap(), [("broken/net".into(), Untag::Everything)]);
    bench.operator.stop().await;
}
