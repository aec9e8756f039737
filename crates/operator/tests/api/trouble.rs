//! What others do to our objects, and what the object says of it.

use k8s_openapi::api::{apps::v1::Deployment, batch::v1::Job, core::v1::Service};
use kube::{
    Api, Resource,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use serde_json::json;
use slipway_api::{
    ModelDeployment,
    job::{Failure, FailureCategory},
    names,
};
use slipway_testkit::{deployment, until};

use crate::{
    bench::{Bench, LIMIT},
    converge::whole,
};

#[tokio::test]
async fn drift_in_our_fields_is_repaired_and_others_fields_stay() {
    let Some(bench) = Bench::begin("drift", |_| {}).await else { return };
    bench.create(&deployment("net")).await;
    bench.settle("net").await;
    let services: Api<Service> = bench.api();
    let wanted = services.get("net").await.unwrap().spec.unwrap().selector;
    let drift = json!({
        "metadata": { "labels": { "team": "theirs" } },
        "spec": { "selector": { names::REVISION_LABEL: "elsewhere" } },
    });
    services.patch("net", &PatchParams::default(), &Patch::Merge(drift)).await.unwrap();
    let repaired = until("the selector is repaired", LIMIT, || async {
        let service = services.get("net").await.map_err(|error| error.to_string())?;
        let selector = service.spec.clone().and_then(|spec| spec.selector);
        if selector == wanted { Ok(service) } else { Err(format!("{selector:?}")) }
    })
    .await;
    assert_eq!(repaired.metadata.labels.unwrap()["team"], "theirs");
    bench.rest().await;

    let unlabelled = json!({ "metadata": { "labels": { names::MANAGED_BY_LABEL: null } } });
    services.patch("net", &PatchParams::default(), &Patch::Merge(unlabelled)).await.unwrap();
    until("the label is back", LIMIT, || async {
        let labels = services.get("net").await.map_err(|error| error.to_string())?.metadata.labels;
        let back = labels.as_ref().is_some_and(|labels| labels.contains_key(names::MANAGED_BY_LABEL));
        if back { Ok(()) } else { Err(format!("{labels:?}")) }
    })
    .await;
    bench.rest().await;
    bench.operator.stop().await;
}

#[tokio::test]
async fn a_deleted_child_comes_back() {
    let Some(bench) = Bench::begin("comeback", |_| {}).await else { return };
    bench.create(&deployment("net")).await;
    bench.settle("net").await;
    for service in ["net", &names::metrics_service("net")] {
        bench.api::<Service>().delete(service, &DeleteParams::default()).await.unwrap();
    }
    let name = bench.names::<Deployment>().await.remove(0);
    bench.api::<Deployment>().delete(&name, &DeleteParams::default()).await.unwrap();
    until("both are back", LIMIT, || async {
        let found = (bench.names::<Service>().await.len(), bench.names::<Deployment>().await.len());
        if found == (2, 1) { Ok(()) } else { Err(format!("{found:?}")) }
    })
    .await;
    bench.settle("net").await;
    bench.operator.stop().await;
}

#[tokio::test]
async fn somebody_elses_service_is_never_taken_over() {
    let Some(bench) = Bench::begin("foreign", |_| {}).await else { return };
    let services: Api<Service> = bench.api();
    let theirs: Service = serde_json::from_value(json!({
        "metadata": { "name": "net" },
        "spec": { "selector": { "app": "theirs" }, "ports": [{ "port": 9000 }] },
    }))
    .unwrap();
    let made = services.create(&PostParams::default(), &theirs).await.unwrap();
    bench.create(&deployment("net")).await;
    let ready = bench.wait_for("net", "Ready", "False", "ApplyFailed").await;
    let words = "Service net: it exists and belongs to somebody else; rename or delete it";
    assert_eq!(ready.message, words);
    assert_eq!(services.get("net").await.unwrap().spec, made.spec);
    services.delete("net", &DeleteParams::default()).await.unwrap();
    bench.settle("net").await;
    bench.operator.stop().await;
}

#[tokio::test]
async fn a_failed_step_is_told_with_its_words_and_waits_for_a_change() {
    let Some(bench) = Bench::begin("failed", |_| {}).await else { return };
    let message = "operator Scan is not known to the engine";
    let failure =
        Failure { category: FailureCategory::UnsupportedOperator, retryable: false, message: message.into() };
    bench.simulator.fail("source", failure);
    bench.create(&whole("net")).await;
    let optimized = bench.wait_for("net", "Optimized", "False", "UnsupportedOperator").await;
    assert!(optimized.message.contains(message), "{}", optimized.message);
    assert_eq!(bench.condition("net", "Stalled").await.unwrap().status, "True");
    bench.rest().await;
    let jobs = bench.names::<Job>().await;
    let left = |step: &str| jobs.iter().filter(|name| name.starts_with(&format!("net-{step}-"))).count();
    assert_eq!(left("source"), 1, "the failed job stays to be looked at: {jobs:?}");
    assert_eq!(left("data"), 1, "and what is done is the record until a revision has it: {jobs:?}");
    bench.operator.stop().await;
}

#[tokio::test]
async fn a_refused_write_reaches_the_status_and_other_objects_do_not_wait() {
    let Some(bench) = Bench::begin("refused", |faults| {
        let on = slipway_testkit::On::any().verb(slipway_testkit::Verb::Patch).resource("services").times(6);
        faults.plan(on, slipway_testkit::Fault::Internal);
    })
    .await
    else {
        return;
    };
    bench.create(&deployment("first")).await;
    let ready = bench.wait_for("first", "Ready", "False", "ApplyFailed").await;
    assert_eq!(ready.message, "Service first: refused by a test");
    bench.create(&deployment("second")).await;
    bench.settle("first").await;
    bench.settle("second").await;
    bench.operator.stop().await;
}

/// A Job of a name, made by hand for other work of an owner.
fn job(name: &str, owner: &ModelDeployment) -> Job {
    serde_json::from_value(json!({
        "metadata": {
            "name": name,
            "ownerReferences": [owner.controller_owner_ref(&())],
            "annotations": { names::KEY_ANNOTATION: "0000" },
        },
        "spec": { "template": { "spec": {
            "restartPolicy": "Never", "containers": [{ "name": "theirs", "image": "theirs" }],
        } } },
    }))
    .unwrap()
}

#[tokio::test]
async fn a_job_of_the_wanted_name_is_ours_only_with_our_owner_and_the_same_key() {
    // Where the name of the first Job is learnt: it follows from the spec alone.
    let Some(other) = Bench::begin("foretold", |_| {}).await else { return };
    other.create(&whole("net")).await;
    other.settle("net").await;
    let name = other.simulator.jobs().remove(0);
    other.operator.stop().await;

    let Some(bench) = Bench::begin("taken", |_| {}).await else { return };
    let jobs: Api<Job> = bench.api();
    let stranger = bench.create(&deployment("stranger")).await;
    jobs.create(&PostParams::default(), &job(&name, &stranger)).await.unwrap();
    let net = bench.create(&whole("net")).await;
    let ready = bench.wait_for("net", "Ready", "False", "ApplyFailed").await;
    let words = format!("Job {name}: it exists and belongs to ModelDeployment stranger; rename or delete it");
    assert_eq!(ready.message, words);

    let ours = json!({ "metadata": { "ownerReferences": [net.controller_owner_ref(&())] } });
    jobs.patch(&name, &PatchParams::default(), &Patch::Merge(ours)).await.unwrap();
    until("the message names the other work", LIMIT, || async {
        let ready = bench.condition("net", "Ready").await.unwrap();
        let words = format!("Job {name}: it was made for other work; delete it to make it anew");
        if ready.message == words { Ok(()) } else { Err(ready.message) }
    })
    .await;

    jobs.delete(&name, &DeleteParams::background()).await.unwrap();
    bench.settle("net").await;
    bench.operator.stop().await;
}
