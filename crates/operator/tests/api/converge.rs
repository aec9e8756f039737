//! The whole way of an object, and that nothing is asked of the API once it has arrived.

use std::time::Duration;

use k8s_openapi::api::{
    apps::v1::{ControllerRevision, Deployment},
    batch::v1::Job,
    core::v1::Service,
    policy::v1::PodDisruptionBudget,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use kube::{
    Api, ResourceExt,
    api::{Patch, PatchParams},
};
use serde_json::json;
use slipway_api::{ModelDeployment, names};
use slipway_testkit::{Fault, Faults, Fixture, On, Verb, deployment, until};

use crate::bench::{Bench, LIMIT};

/// A model with every part of the road.
pub(crate) fn whole(name: &str) -> Fixture {
    deployment(name).stage("small").gate("0.9").replicas(2)
}

#[tokio::test]
async fn an_object_becomes_ready_and_then_nothing_is_read_or_written() {
    let Some(bench) = Bench::begin("arrive", |_| {}).await else { return };
    bench.create(&whole("net")).await;
    bench.settle("net").await;
    assert_eq!(bench.simulator.jobs().len(), 4, "source, data, stage, gate");
    assert_eq!(bench.names::<Job>().await, Vec::<String>::new(), "recorded jobs are removed");
    let revisions = bench.names::<ControllerRevision>().await;
    assert_eq!(bench.names::<Deployment>().await, revisions);
    assert_eq!(bench.names::<Service>().await, ["net".to_owned(), names::metrics_service("net")]);
    assert_eq!(bench.names::<PodDisruptionBudget>().await, ["net"]);
    let served = bench.api::<Deployment>().get(&revisions[0]).await.unwrap();
    assert_eq!(served.spec.as_ref().unwrap().replicas, Some(2));
    let owns = |one: &&ManagedFieldsEntry| {
        one.fields_v1.as_ref().is_some_and(|fields| fields.0.pointer("/f:spec/f:replicas").is_some())
    };
    let owners: Vec<_> =
        served.managed_fields().iter().filter(owns).filter_map(|one| one.manager.clone()).collect();
    // The API server notes no manager for a count that was set through `/scale`.
    assert!(!owners.iter().any(|owner| owner == names::APPLY_MANAGER), "an apply never carries replicas");
    let writes: usize = (bench.faults.counts().iter())
        .filter(|(ask, _)| ask.verb.is_write() && ask.resource != "events")
        .map(|(_, count)| count)
        .sum();
    assert!(writes <= 40, "{:?}", bench.faults.counts());
    bench.operator.stop().await;
}

#[tokio::test]
async fn a_pinned_model_needs_few_writes() {
    let Some(bench) = Bench::begin("pinned", |_| {}).await else { return };
    bench.create(&deployment("plain")).await;
    bench.settle("plain").await;
    let counts = bench.faults.counts();
    let writes: usize = counts.iter().filter(|(ask, _)| ask.verb.is_write()).map(|(_, count)| count).sum();
    assert!(writes <= 12, "{counts:?}");
    bench.operator.stop().await;
}

/// Sets up the faults of one run.
type Plan = Box<dyn Fn(&Faults) + Send>;

/// Faults, each with the requests that it befalls.
fn faults() -> Vec<(&'static str, Plan)> {
    let one = |verb, resource: &'static str, fault| -> Plan {
        Box::new(move |faults| faults.plan(On::any().verb(verb).resource(resource), fault))
    };
    vec![
        ("conflict-status", one(Verb::Replace, "modeldeployments/status", Fault::Conflict)),
        ("conflict-finalizer", one(Verb::Patch, "modeldeployments", Fault::Conflict)),
        ("throttled-job", one(Verb::Create, "jobs", Fault::TooManyRequests(1))),
        ("broken-service", one(Verb::Patch, "services", Fault::Internal)),
        ("lost-job", one(Verb::Create, "jobs", Fault::AnswerLost)),
        ("no-key", one(Verb::Create, "secrets", Fault::Internal)),
        ("lost-key", one(Verb::Create, "secrets", Fault::AnswerLost)),
        ("unseen-key", one(Verb::Get, "secrets", Fault::Disconnect)),
        ("lost-revision", one(Verb::Create, "controllerrevisions", Fault::AnswerLost)),
        ("lost-status", one(Verb::Replace, "modeldeployments/status", Fault::AnswerLost)),
        ("offline-deployment", one(Verb::Patch, "deployments", Fault::Disconnect)),
        ("lost-scale", one(Verb::Patch, "deployments/scale", Fault::AnswerLost)),
        ("broken-delete", one(Verb::Delete, "jobs", Fault::Internal)),
        ("no-event", one(Verb::Create, "events", Fault::Internal)),
        ("slow-list", one(Verb::List, "jobs", Fault::Delay(Duration::from_secs(2)))),
        ("broken-list", one(Verb::List, "pods", Fault::Internal)),
        ("broken-watch", one(Verb::Watch, "jobs", Fault::Internal)),
        (
            "storm",
            Box::new(|faults| {
                for verb in [Verb::Create, Verb::Patch, Verb::Replace, Verb::Delete] {
                    faults.plan(On::any().verb(verb).after(1).times(2), Fault::Internal);
                    faults.plan(On::any().verb(verb).after(4).times(2), Fault::AnswerLost);
                }
            }),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_fault_is_overcome_and_nothing_is_done_twice() {
    if crate::bench::server().await.is_none() {
        return;
    }
    let runs = faults().into_iter().map(|(name, plan)| async move {
        let bench = Bench::begin(name, |faults| plan(faults)).await.unwrap();
        bench.create(&whole("net")).await;
        bench.settle("net").await;
        assert!(bench.faults.befallen() > 0, "{name}: the fault was met");
        assert_eq!(bench.simulator.jobs().len(), 4, "{name}: {:?}", bench.simulator.jobs());
        assert_eq!(bench.simulator.computed().len(), 4, "{name}");
        assert_eq!(bench.names::<ControllerRevision>().await.len(), 1, "{name}");
        bench.operator.stop().await;
    });
    futures::future::join_all(runs).await;
}

#[tokio::test]
async fn watches_that_are_cut_are_begun_again_and_miss_nothing() {
    let Some(bench) = Bench::begin("cut", |_| {}).await else { return };
    bench.create(&whole("net")).await;
    until("the first job", LIMIT, || async {
        if bench.simulator.jobs().is_empty() { Err("none".into()) } else { Ok(()) }
    })
    .await;
    bench.faults.cut_watches();
    bench.settle("net").await;
    bench.faults.cut_watches();
    bench.patch("net", &json!({ "spec": { "serving": { "replicas": 3 } } })).await;
    bench.settle("net").await;
    assert_eq!(bench.simulator.jobs().len(), 4);
    bench.operator.stop().await;
}

#[tokio::test]
async fn an_emptied_status_is_rebuilt_and_no_job_runs() {
    let Some(bench) = Bench::begin("emptied", |_| {}).await else { return };
    bench.create(&whole("net")).await;
    bench.settle("net").await;
    let before: ModelDeployment = bench.api().get("net").await.unwrap();
    let api: Api<ModelDeployment> = bench.api();
    let empty = Patch::Json::<()>(
        serde_json::from_value(json!([{ "op": "replace", "path": "/status", "value": {} }])).unwrap(),
    );
    api.patch_status("net", &PatchParams::default(), &empty).await.unwrap();
    bench.settle("net").await;
    let after: ModelDeployment = bench.api().get("net").await.unwrap();
    let told = |object: &ModelDeployment| {
        let status = object.status.clone().unwrap();
        (status.stages, status.gate, status.artifact, status.stable_revision)
    };
    assert_eq!(told(&after), told(&before));
    assert_eq!(bench.simulator.jobs().len(), 4);
    bench.operator.stop().await;
}

#[tokio::test]
async fn a_restarted_operator_finds_everything_as_it_should_be() {
    let Some(bench) = Bench::begin("restart", |_| {}).await else { return };
    bench.create(&whole("net")).await;
    bench.settle("net").await;
    let objects: Api<ModelDeployment> = bench.api();
    let before = objects.get("net").await.unwrap();
    bench.operator.stop().await;
    let (client, faults) = crate::bench::server().await.unwrap().faulty_client().await;
    let options = crate::bench::options(Some(&bench.namespace), &bench.registry);
    let again = crate::bench::Operator::start(client, options);
    until("its watches run", LIMIT, || async {
        let watches = faults.count(Verb::Watch, "modeldeployments");
        if watches > 0 { Ok(()) } else { Err("none".into()) }
    })
    .await;
    slipway_testkit::quiet(&faults, Duration::from_secs(3), LIMIT).await;
    let writes: Vec<_> = faults.counts().into_iter().filter(|(ask, _)| ask.verb.is_write()).collect();
    assert_eq!(writes, []);
    let after = objects.get("net").await.unwrap();
    assert_eq!(after.metadata.resource_version, before.metadata.resource_version);
    again.stop().await;
}
