//! Of two operators one works; the other takes over.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use kube::Client;
use slipway_operator::{Health, Lease, Metrics, lead, run};
use slipway_testkit::{Faults, Simulator, deployment, until};
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
    let api = kube::Api::namespaced(client, &namespace);
    let (one, faults) = server.faulty_client().await;
    let first = start(one, faults, &namespace, "first");
    first.wait_to_lead().await;
    let (two, faults) = server.faulty_client().await;
    let second = start(two, faults, &namespace, "second");
    until("the second stands by", LIMIT, || async {
        if second.health.is_ready() { Ok(()) } else { Err("not ready".into()) }
    })
    .await;
    api.create(&kube::api::PostParams::default(), &deployment("early").build()).await.unwrap();
    wait_for(&api, "early", "Ready", "True", "UpToDate").await;
    assert_eq!(second.faults.work(), 0, "who does not lead does nothing");

    first.shutdown.cancel();
    first.task.await.unwrap().unwrap();
    let left = Instant::now();
    second.wait_to_lead().await;
    assert!(left.elapsed() < Duration::from_secs(15), "{:?}", left.elapsed());
    api.create(&kube::api::PostParams::default(), &deployment("late").build()).await.unwrap();
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
