//! Tags of forgotten revisions, and a registry that does not remove them.

use k8s_openapi::api::apps::v1::{ControllerRevision, Deployment};
use serde_json::json;
use slipway_plan::Untag;
use slipway_testkit::{Fixture, until};

use crate::{
    bench::{Bench, LIMIT, Mood},
    converge::whole,
};

/// A model whose earlier revisions are forgotten at once.
fn forgetful() -> Fixture {
    whole("net").set("/spec/rollout", json!({ "revisionHistoryLimit": 0 }))
}

/// Rolls out a revision whose steps have other keys.
async fn roll_out_another(bench: &Bench) {
    let stages = json!([{ "name": "small", "quantize": { "dynamic": { "granularity": "perTensor" } } }]);
    bench.patch("net", &json!({ "spec": { "stages": stages } })).await;
    bench.settle("net").await;
}

#[tokio::test]
async fn a_registry_that_is_down_keeps_the_record_and_nothing_else() {
    let Some(bench) = Bench::begin("tagged", |_| {}).await else { return };
    bench.create(&forgetful()).await;
    bench.settle("net").await;
    bench.registry.is(Mood::Down);
    roll_out_another(&bench).await;
    let (words, times) = bench.event("TagsNotRemoved").await;
    assert!(words.contains("artifacts.test/tagged/net") && words.contains("connection refused"), "{words}");
    assert_eq!(times, 1);
    assert_eq!(bench.names::<Deployment>().await.len(), 1, "the earlier Deployment went");
    assert_eq!(bench.names::<ControllerRevision>().await.len(), 2, "its tags are known by its record");

    bench.registry.is(Mood::Well);
    until("the record is gone", LIMIT, || async {
        let left = bench.names::<ControllerRevision>().await;
        if left.len() == 1 { Ok(()) } else { Err(format!("{left:?}")) }
    })
    .await;
    assert!(matches!(bench.registry.asked.lock().unwrap().last(), Some((_, Untag::Tags(_)))));
    bench.operator.stop().await;
}

#[tokio::test]
async fn a_registry_that_deletes_nothing_is_told_once_and_keeps_nothing() {
    let Some(bench) = Bench::begin("undeleted", |_| {}).await else { return };
    bench.registry.is(Mood::Refusing);
    bench.create(&forgetful()).await;
    bench.settle("net").await;
    roll_out_another(&bench).await;
    let (words, times) = bench.event("ArtifactsLeftBehind").await;
    assert!(words.contains("it does not delete"), "{words}");
    assert_eq!(times, 1);
    assert_eq!(bench.names::<ControllerRevision>().await.len(), 1);
    assert_eq!(bench.registry.asked.lock().unwrap().len(), 1, "it is not asked again");
    bench.operator.stop().await;
}
