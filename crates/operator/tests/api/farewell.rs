//! The end of an object: Jobs first, then tags, then the finalizer.

use std::time::Duration;

use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};
use kube::{
    Api,
    api::{DeleteParams, ListParams},
};
use slipway_api::{ModelDeployment, names};
use slipway_operator::Options;
use slipway_plan::Untag;
use slipway_testkit::{Fault, On, Verb, deployment, until};

use crate::{
    bench::{Bench, LIMIT, Mood, server},
    converge::whole,
};

#[tokio::test]
async fn an_object_takes_its_tags_with_it() {
    let Some(bench) = Bench::begin("tags", |faults| {
        // The first try to let go fails.
        faults.plan(On::any().verb(Verb::Patch).resource("modeldeployments").after(1), Fault::Conflict);
    })
    .await
    else {
        return;
    };
    bench.create(&whole("net")).await;
    bench.settle("net").await;
    let object: ModelDeployment = bench.api().get("net").await.unwrap();
    assert_eq!(object.metadata.finalizers.unwrap(), [names::FINALIZER]);
    bench.api::<ModelDeployment>().delete("net", &DeleteParams::default()).await.unwrap();
    bench.gone("net").await;
    let asked = bench.registry.asked.lock().unwrap().clone();
    assert!(!asked.is_empty());
    assert!(asked.iter().all(|one| *one == ("tags/net".into(), Untag::Everything)), "{asked:?}");
    bench.operator.stop().await;
}

#[tokio::test]
async fn what_needs_no_tags_has_no_finalizer() {
    let Some(bench) = Bench::begin("tagless", |_| {}).await else { return };
    bench.create(&deployment("net")).await;
    bench.settle("net").await;
    assert_eq!(bench.api::<ModelDeployment>().get("net").await.unwrap().metadata.finalizers, None);
    bench.api::<ModelDeployment>().delete("net", &DeleteParams::default()).await.unwrap();
    bench.gone("net").await;
    assert!(bench.registry.asked.lock().unwrap().is_empty());
    bench.operator.stop().await;
}

#[tokio::test]
async fn a_registry_that_is_down_delays_the_end_but_not_for_ever() {
    let Some(bench) = Bench::begin("down", |_| {}).await else { return };
    bench.create(&whole("net")).await;
    bench.settle("net").await;
    bench.registry.is(Mood::Down);
    bench.api::<ModelDeployment>().delete("net", &DeleteParams::default()).await.unwrap();
    let ready = bench.wait_for("net", "Ready", "False", "ApplyFailed").await;
    assert!(ready.message.contains("connection refused"), "{}", ready.message);
    bench.gone("net").await;
    assert!(bench.event("ArtifactsLeftBehind").await.0.contains("artifacts.test/down/net"));
    bench.operator.stop().await;
}

#[tokio::test]
async fn a_registry_that_deletes_nothing_delays_nothing() {
    let Some(server) = server().await else { return };
    let bench = Bench::with(server, "refusing", |_| {}, patient).await;
    bench.create(&whole("net")).await;
    bench.settle("net").await;
    bench.registry.is(Mood::Refusing);
    bench.api::<ModelDeployment>().delete("net", &DeleteParams::default()).await.unwrap();
    bench.gone("net").await;
    assert!(bench.event("ArtifactsLeftBehind").await.0.contains("it does not delete"));
    bench.operator.stop().await;
}

/// More patience than any test has.
fn patient(options: &mut Options) {
    options.farewell = Duration::from_hours(1);
}

#[tokio::test]
async fn tags_are_removed_when_no_job_can_push_another_one() {
    let Some(server) = server().await else { return };
    let bench = Bench::with(server, "running", |_| {}, patient).await;
    bench.simulator.hold("source");
    bench.create(&whole("net")).await;
    let pods: Api<Pod> = bench.api();
    until("its pod runs", LIMIT, || async {
        let pods = pods.list(&ListParams::default()).await.map_err(|error| error.to_string())?.items;
        let runs =
            |pod: &Pod| pod.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Running");
        if pods.iter().any(runs) { Ok(()) } else { Err(format!("{pods:?}")) }
    })
    .await;
    bench.api::<ModelDeployment>().delete("net", &DeleteParams::default()).await.unwrap();
    until("the pod is asked to end", LIMIT, || async {
        let pods = pods.list(&ListParams::default()).await.map_err(|error| error.to_string())?.items;
        let asked = pods.first().is_some_and(|pod| pod.metadata.deletion_timestamp.is_some());
        if asked { Ok(()) } else { Err(format!("{pods:?}")) }
    })
    .await;
    bench.rest().await;
    assert_eq!(*bench.registry.asked.lock().unwrap(), [], "a pod still runs");
    bench.simulator.end().await;
    bench.gone("net").await;
    assert_eq!(*bench.registry.asked.lock().unwrap(), [("running/net".into(), Untag::Everything)]);
    assert_eq!(bench.names::<Job>().await, Vec::<String>::new());
    bench.operator.stop().await;
}
