//! Of two operators one works; the other takes over.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use k8s_openapi::api::coordination::v1 as coordination;
use kube::{Api, Client, api::PostParams};
use serde_json::json;
use slipway_operator::{Health, Lease, Metrics, lead, run};
use slipway_testkit::{Fault, Faults, On, Simulator, Verb, deployment, until};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::bench::{LIMIT, Registry, options, server, wait_for};

struct Replica {
    shutdown: CancellationToken,
    task: JoinHandle<Result<(), slipway_operator::Error>>,
    health: Health,
    metrics: Metrics,
    faults: Faults,
}

fn start(client: Client, faults: Faults, namespace: &str, identity: &str) -> Replica {
    let (shutdown, health, metrics) = (CancellationToken::new(), Health::default(), Metrics::default());
    let lease =
        Lease { namespace: namespace.into(), name: "slipway-operator".into(), identity: identity.into() };
    let options = options(Some(namespace), &Arc::new(Registry::default()));
    let (token, ready, counted) = (shutdown.clone(), health.clone(), metrics.clone());
    let task = tokio::spawn(async move {
        let work = |token| run(client.clone(), options.clone(), counted.clone(), ready.clone(), token);
        lead(client.clone(), &lease, &counted, &token, || ready.standing_by(), work).await
    });
    Replica { shutdown, task, health, metrics, faults }
}

/// Makes the lease, as the chart does.
async fn make_lease(client: &Client, namespace: &str) {
    let api: Api<coordination::Lease> = Api::namespaced(client.clone(), namespace);
    let lease = json!({ "metadata": { "name": "slipway-operator" } });
    api.create(&PostParams::default(), &serde_json::from_value(lease).unwrap()).await.unwrap();
}

impl Replica {
    fn leads(&self) -> bool {
        self.metrics.render().contains("slipway_operator_leader 1")
    }

    async fn wait_to_lead(&self) {
        until("it leads", LIMIT, || async { if self.leads() { Ok(()) } else { Err("not yet".into()) } })
            .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_replica_leads_and_another_takes_over_within_seconds() {
    let Some(server) = server().await else { return };
    let namespace = server.namespace("leader").await;
    let client = server.client().await;
    let _simulator = Simulator::start(client.clone(), &namespace);
    make_lease(&client, &namespace).await;
    let api = Api::namespaced(client, &namespace);
    let (one, faults) = server.faulty_client().await;
    let first = start(one, faults, &namespace, "first");
    first.wait_to_lead().await;
    let (two, faults) = server.faulty_client().await;
    let second = start(two, faults, &namespace, "second");
    until("the second stands by", LIMIT, || async {
        if second.health.is_ready() { Ok(()) } else { Err("not ready".into()) }
    })
    .await;
    api.create(&PostParams::default(), &deployment("early").build()).await.unwrap();
    wait_for(&api, "early", "Ready", "True", "UpToDate").await;
    assert_eq!(second.faults.work(), 0, "who does not lead does nothing");

    first.shutdown.cancel();
    first.task.await.unwrap().unwrap();
    let left = Instant::now();
    second.wait_to_lead().await;
    assert!(left.elapsed() < Duration::from_secs(15), "{:?}", left.elapsed());
    api.create(&PostParams::default(), &deployment("late").build()).await.unwrap();
    wait_for(&api, "late", "Ready", "True", "UpToDate").await;

    // A crash releases nothing; the lease ends by itself.
    second.task.abort();
    let crashed = Instant::now();
    let (three, faults) = server.faulty_client().await;
    let third = start(three, faults, &namespace, "third");
    third.wait_to_lead().await;
    assert!(crashed.elapsed() < Duration::from_secs(15), "{:?}", crashed.elapsed());
    third.shutdown.cancel();
    third.task.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_whose_renewals_hang_stops_before_its_lease_ends_and_may_lead_again() {
    let Some(server) = server().await else { return };
    let namespace = server.namespace("hanging").await;
    make_lease(&server.client().await, &namespace).await;
    let (one, faults) = server.faulty_client().await;
    let first = start(one, faults, &namespace, "first");
    first.wait_to_lead().await;
    // A renewal hangs for longer than the lease holds, and so does the look at the lease that follows.
    let hang = Duration::from_secs(20);
    for verb in [Verb::Patch, Verb::Get] {
        first.faults.plan(On::any().verb(verb).resource("leases"), Fault::Delay(hang));
    }
    let (two, faults) = server.faulty_client().await;
    let second = start(two, faults, &namespace, "second");
    second.wait_to_lead().await;
    assert!(!first.leads(), "two lead at once");
    assert_eq!(first.faults.befallen(), 2);

    second.shutdown.cancel();
    second.task.await.unwrap().unwrap();
    first.wait_to_lead().await;
    until("the first looks after all objects", LIMIT, || async {
        if first.health.is_ready() { Ok(()) } else { Err("not ready".into()) }
    })
    .await;
    first.shutdown.cancel();
    first.task.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_restarts_under_its_name_renews_its_lease_and_goes_on() {
    let Some(server) = server().await else { return };
    let namespace = server.namespace("restarted").await;
    make_lease(&server.client().await, &namespace).await;
    let (one, faults) = server.faulty_client().await;
    let before = start(one, faults, &namespace, "same");
    before.wait_to_lead().await;
    before.task.abort();
    let (two, faults) = server.faulty_client().await;
    let after = start(two, faults, &namespace, "same");
    after.wait_to_lead().await;
    assert_eq!(after.faults.count(Verb::Patch, "leases"), 1, "it renewed what it holds");
    after.shutdown.cancel();
    after.task.await.unwrap().unwrap();
}
