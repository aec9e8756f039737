//! The key with which the Jobs of a namespace sign what they record.

use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ListParams},
};
use serde_json::{Value, json};
use slipway_testkit::Verb;

use crate::{bench::Bench, converge::whole};

/// The key of a bench's namespace, which has no other Secret.
async fn key(bench: &Bench) -> Vec<u8> {
    let secrets: Api<Secret> = bench.api();
    let all = secrets.list(&ListParams::default()).await.unwrap().items;
    assert_eq!(all.iter().map(ResourceExt::name_any).collect::<Vec<_>>(), ["slipway-signing"]);
    let [secret] = <[Secret; 1]>::try_from(all).unwrap();
    assert_eq!((secret.immutable, secret.owner_references().len()), (Some(true), 0));
    assert_eq!(secret.labels()["app.kubernetes.io/managed-by"], "slipway");
    secret.data.unwrap().remove("key").unwrap().0
}

/// Has steps done that were not done before.
async fn do_other_work(bench: &Bench, quantize: Value) {
    let stages = json!([{ "name": "small", "quantize": quantize }]);
    bench.patch("net", &json!({ "spec": { "stages": stages } })).await;
    bench.settle("net").await;
}

#[tokio::test]
async fn a_namespace_has_one_key_for_all_jobs_and_another_when_that_is_deleted() {
    let Some(bench) = Bench::begin("signed", |_| {}).await else { return };
    bench.create(&whole("net")).await;
    bench.create(&whole("other")).await;
    bench.settle("net").await;
    bench.settle("other").await;
    let first = key(&bench).await;
    assert_eq!(first.len(), 32);
    do_other_work(&bench, json!({ "dynamic": { "granularity": "perTensor" } })).await;
    assert_eq!(key(&bench).await, first, "it stays");

    bench.api::<Secret>().delete("slipway-signing", &DeleteParams::default()).await.unwrap();
    do_other_work(&bench, json!({ "weightOnly": {} })).await;
    assert_ne!(key(&bench).await, first);
    bench.operator.stop().await;
}

#[tokio::test]
async fn every_namespace_has_a_key_of_its_own() {
    let Some(one) = Bench::begin("signed-here", |_| {}).await else { return };
    let Some(two) = Bench::begin("signed-there", |_| {}).await else { return };
    for bench in [&one, &two] {
        bench.create(&whole("net")).await;
        bench.settle("net").await;
    }
    assert_ne!(key(&one).await, key(&two).await);
    one.operator.stop().await;
    two.operator.stop().await;
}

#[tokio::test]
async fn where_no_job_runs_there_is_no_key() {
    let Some(bench) = Bench::begin("unsigned", |_| {}).await else { return };
    bench.create(&slipway_testkit::deployment("plain")).await;
    bench.settle("plain").await;
    assert_eq!(bench.names::<Secret>().await, Vec::<String>::new());
    assert_eq!(bench.faults.count(Verb::Get, "secrets"), 0);
    bench.operator.stop().await;
}
