//! Fields that are desired no more, and objects that an earlier operator applied.

use k8s_openapi::api::{apps::v1::Deployment, core::v1::Service, policy::v1::PodDisruptionBudget};
use kube::{
    Api, Resource,
    api::{ApiResource, DynamicObject, Patch, PatchParams},
    core::GroupVersionKind,
};
use serde_json::json;
use slipway_api::names;
use slipway_testkit::{ApiServer, Verb, deployment, until};

use crate::{
    bench::{Bench, LIMIT, Operator, options, server},
    converge::whole,
};

#[tokio::test]
async fn an_annotation_that_the_spec_names_no_more_goes_and_others_stay() {
    let Some(bench) = Bench::begin("unannotated", |_| {}).await else { return };
    let annotations = json!({ "annotations": { "balancer": "internal", "team": "a" } });
    bench.create(&deployment("net").set("/spec/serving/service", annotations)).await;
    bench.settle("net").await;
    let services: Api<Service> = bench.api();
    let theirs = json!({ "metadata": { "annotations": { "theirs": "stays" } } });
    services.patch("net", &PatchParams::default(), &Patch::Merge(theirs)).await.unwrap();
    let fewer = json!({ "spec": { "serving": { "service": { "annotations": { "balancer": null } } } } });
    bench.patch("net", &fewer).await;
    until("the annotation is gone", LIMIT, || async {
        let service = services.get("net").await.map_err(|error| error.to_string())?;
        let left: Vec<_> = service.metadata.annotations.unwrap_or_default().into_keys().collect();
        if left == ["team", "theirs"] { Ok(()) } else { Err(format!("{left:?}")) }
    })
    .await;
    bench.rest().await;
    bench.operator.stop().await;
}

#[tokio::test]
async fn a_label_that_the_spec_names_no_more_leaves_the_service_monitor() {
    let Some(server) = ApiServer::start().await else { return };
    server.define(&ApiServer::prometheus_crd("servicemonitors")).await;
    let bench = Bench::on(&server, "unlabelled", |_| {}).await;
    let monitor = json!({ "serviceMonitor": { "labels": { "release": "old" } } });
    bench.create(&deployment("net").set("/spec/monitoring", monitor)).await;
    bench.settle("net").await;
    let resource =
        ApiResource::from_gvk(&GroupVersionKind::gvk("monitoring.coreos.com", "v1", "ServiceMonitor"));
    let monitors: Api<DynamicObject> =
        Api::namespaced_with(bench.client.clone(), &bench.namespace, &resource);
    let labelled = |wanted: bool| {
        let monitors = monitors.clone();
        async move {
            until("the monitor's labels", LIMIT, || async {
                let monitor = monitors.get("net").await.map_err(|error| error.to_string())?;
                let labels = monitor.metadata.labels.unwrap_or_default();
                if labels.contains_key("release") == wanted { Ok(()) } else { Err(format!("{labels:?}")) }
            })
            .await;
        }
    };
    labelled(true).await;
    let without = json!({ "spec": { "monitoring": { "serviceMonitor": { "labels": null } } } });
    bench.patch("net", &without).await;
    labelled(false).await;
    bench.rest().await;
    bench.operator.stop().await;
}

/// Takes the mark off an object, as if an operator without marks had applied it.
async fn unmark<K>(bench: &Bench, name: &str)
where
    K: Resource<Scope = k8s_openapi::NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + serde::de::DeserializeOwned,
    K::DynamicType: Default,
{
    let bare = json!({ "metadata": { "labels": { names::APPLIED_LABEL: null } } });
    bench.api::<K>().patch(name, &PatchParams::default(), &Patch::Merge(bare)).await.unwrap();
}

#[tokio::test]
async fn objects_of_an_earlier_operator_are_adopted_with_one_write_that_moves_no_pod() {
    let Some(bench) = Bench::begin("adopted", |_| {}).await else { return };
    bench.create(&whole("net")).await;
    bench.settle("net").await;
    bench.operator.shutdown.cancel();
    let serving = bench.names::<Deployment>().await.remove(0);
    let before = bench.api::<Deployment>().get(&serving).await.unwrap();
    unmark::<Deployment>(&bench, &serving).await;
    unmark::<Service>(&bench, "net").await;
    unmark::<Service>(&bench, &names::metrics_service("net")).await;
    unmark::<PodDisruptionBudget>(&bench, "net").await;

    let (client, faults) = server().await.unwrap().faulty_client().await;
    let next = Operator::start(client, options(Some(&bench.namespace), &bench.registry));
    until("its watches run", LIMIT, || async {
        if faults.count(Verb::Watch, "modeldeployments") > 0 { Ok(()) } else { Err("none".into()) }
    })
    .await;
    slipway_testkit::quiet(&faults, std::time::Duration::from_secs(3), LIMIT).await;
    let writes: Vec<_> = (faults.counts().into_iter())
        .filter(|(ask, _)| ask.verb.is_write())
        .map(|(ask, count)| (ask.resource, count))
        .collect();
    let wrote = |kind: &str, count| (kind.to_owned(), count);
    assert_eq!(writes, [wrote("deployments", 1), wrote("poddisruptionbudgets", 1), wrote("services", 2)]);
    let after = bench.api::<Deployment>().get(&serving).await.unwrap();
    assert_eq!(after.metadata.generation, before.metadata.generation, "it is current all the time");
    assert!(after.metadata.labels.unwrap().contains_key(names::APPLIED_LABEL));
    next.stop().await;
}
