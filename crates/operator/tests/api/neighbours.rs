//! Objects of one namespace whose names, with what the operator adds to them, read alike.

use k8s_openapi::api::{
    apps::v1::{ControllerRevision, Deployment},
    core::v1::Service,
};
use kube::{Resource, ResourceExt, api::ListParams};
use slipway_api::names;
use slipway_testkit::{Fixture, deployment};

use crate::bench::Bench;

/// The namespace with every pair that could meet: a child of one that is named as another, and two steps that differ
/// only in where the deployment's name ends.
fn alike() -> Vec<Fixture> {
    let longest = "n".repeat(names::MAX_NAME);
    let almost = &longest[..names::MAX_NAME - "-metrics".len()];
    vec![
        deployment("x"),
        deployment("x-metrics"),
        deployment("x-live"),
        deployment("x-live-metrics"),
        deployment(almost),
        deployment(&format!("{almost}-metrics")),
        deployment(&longest).stage("small"),
        deployment("y").stage("a-small"),
        deployment("y-a").stage("small"),
    ]
}

#[tokio::test]
async fn names_that_read_alike_keep_out_of_each_others_way() {
    let Some(bench) = Bench::begin("neighbours", |_| {}).await else { return };
    let objects = alike();
    for object in &objects {
        bench.create(object).await;
    }
    for object in &objects {
        let name = object.build().name_any();
        bench.wait_for(&name, "Ready", "True", "UpToDate").await;
    }
    bench.rest().await;
    assert_eq!(owned::<Service>(&bench).await, 2 * objects.len(), "one of each for traffic and for metrics");
    assert_eq!(owned::<Deployment>(&bench).await, objects.len());
    assert_eq!(owned::<ControllerRevision>(&bench).await, objects.len());
    bench.operator.stop().await;
}

/// How many objects of a kind there are, each with one owner, the one that its label names.
async fn owned<K>(bench: &Bench) -> usize
where
    K: Resource<Scope = k8s_openapi::NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + serde::de::DeserializeOwned,
    K::DynamicType: Default,
{
    let all = bench.api::<K>().list(&ListParams::default()).await.unwrap().items;
    for one in &all {
        let owners: Vec<_> = one.owner_references().iter().map(|owner| &owner.name).collect();
        assert_eq!(owners, [&one.labels()[names::DEPLOYMENT_LABEL]], "{}", one.name_any());
    }
    all.len()
}
