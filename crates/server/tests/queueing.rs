//! Batching, overload, cancellation and crashes, with an engine that does as it is told.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a function that cannot work fails its test")]

mod common;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use common::{Client, FAILS, PANIC, Puppet, REFUSED, doubling, post, row, start, start_engine};
use http::StatusCode;
use serde_json::json;
use slipway_server::{BackendChoice, Batching, Health};

for_each_engine!(rows_of_one_run_go_back_to_their_own_requests);

fn batching(config: &mut slipway_server::Config) {
    config.batching = Batching { max_size: 8, max_delay: Duration::from_millis(200) };
}

#[tokio::test]
async fn concurrent_requests_share_a_run_and_each_gets_its_own_answer() {
    let puppet = Puppet::default();
    let runs = Arc::clone(&puppet.runs);
    let server = start_engine(puppet, None, batching).await;
    let address = server.running.addr;
    let clients = (0..8_u8).map(|index| async move {
        let mut client = Client::connect(address).await;
        (index, client.infer(row(f32::from(index), 0.5)).await)
    });
    for (index, (status, body)) in futures::future::join_all(clients).await {
        assert_eq!(status, StatusCode::OK);
        assert_eq!(body["outputs"][0]["data"], json!([f32::from(index) * 2.0, 1.0]));
    }
    let runs = runs.lock().unwrap().clone();
    let rows: usize = runs[1..].iter().sum();
    assert_eq!(rows, 8, "the first run is the warm-up: {runs:?}");
    assert!(runs[1..].iter().max().is_some_and(|rows| *rows >= 4), "{runs:?}");
    server.ended().await;
}

async fn rows_of_one_run_go_back_to_their_own_requests(backend: BackendChoice) {
    let server = start(backend, &doubling(), batching).await;
    let address = server.running.addr;
    let clients = (0..8_u8).map(|index| async move {
        (index, Client::connect(address).await.infer(row(f32::from(index), 0.5)).await)
    });
    for (index, (status, body)) in futures::future::join_all(clients).await {
        assert_eq!(status, StatusCode::OK);
        assert_eq!(body["outputs"][0]["data"], json!([f32::from(index) * 2.0, 1.0]));
    }
    let metrics = Client::connect(server.running.metrics_addr).await.text("/metrics").await;
    let runs = "slipway_batch_size_count{model=\"doubler\",revision=\"\"} ";
    let runs: usize = metrics.lines().find_map(|line| line.strip_prefix(runs)?.parse().ok()).unwrap();
    assert!(runs < 8, "8 requests took {runs} runs");
    server.ended().await;
}

#[tokio::test]
async fn bad_neighbour_in_a_batch_fails_alone() {
    let server = start_engine(Puppet::default(), None, batching).await;
    let address = server.running.addr;
    let one = |value: f32| async move { Client::connect(address).await.infer(row(value, 0.0)).await };
    let (good, bad, crashing) = futures::join!(one(1.0), one(REFUSED), one(PANIC));
    assert_eq!((good.0, &good.1["outputs"][0]["data"][0]), (StatusCode::OK, &json!(2.0)));
    assert_eq!((bad.0, bad.1), (StatusCode::BAD_REQUEST, json!({ "error": "unlucky" })));
    assert_eq!(crashing.0, StatusCode::INTERNAL_SERVER_ERROR);
    server.ended().await;
}

#[tokio::test]
async fn without_batching_every_request_runs_alone() {
    let puppet = Puppet::default();
    let runs = Arc::clone(&puppet.runs);
    let server = start_engine(puppet, None, |_| {}).await;
    let address = server.running.addr;
    let clients = (0..5).map(|_| async move { Client::connect(address).await.infer(row(1.0, 1.0)).await.0 });
    assert!(futures::future::join_all(clients).await.iter().all(StatusCode::is_success));
    assert_eq!(*runs.lock().unwrap(), [1; 6]);
    server.ended().await;
}

#[tokio::test]
async fn full_queue_answers_503_and_says_when_to_retry() {
    let puppet = Puppet { delay: Duration::from_millis(300), ..Puppet::default() };
    let mut server = start_engine(puppet, None, |config| config.limits.queued_requests = 2).await;
    server.running.ready().await.unwrap();
    let address = server.running.addr;
    let clients = (0..8).map(|_| async move {
        let mut client = Client::connect(address).await;
        let request = post("/v2/models/doubler/infer", &[], row(1.0, 1.0));
        client.try_send(request).await.unwrap()
    });
    let answers = futures::future::join_all(clients).await;
    let refused: Vec<_> =
        answers.iter().filter(|answer| answer.0 == StatusCode::SERVICE_UNAVAILABLE).collect();
    let answered = answers.iter().filter(|answer| answer.0 == StatusCode::OK).count();
    assert!((2..=4).contains(&answered) && answered + refused.len() == 8, "{answered} answered");
    assert_eq!(refused[0].1["retry-after"], "1");
    assert!(String::from_utf8_lossy(&refused[0].2).contains("too many requests"));
    server.ended().await;
}

#[tokio::test]
async fn request_whose_client_has_gone_is_never_run() {
    let puppet = Puppet { delay: Duration::from_millis(300), ..Puppet::default() };
    let runs = Arc::clone(&puppet.runs);
    let mut server = start_engine(puppet, None, |_| {}).await;
    server.running.ready().await.unwrap();
    let address = server.running.addr;
    let busy = tokio::spawn(async move { Client::connect(address).await.infer(row(1.0, 1.0)).await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    let mut impatient = Client::connect(address).await;
    let request = post("/v2/models/doubler/infer", &[], row(2.0, 2.0));
    let gave_up = tokio::time::timeout(Duration::from_millis(50), impatient.try_send(request)).await;
    assert!(gave_up.is_err());
    drop(impatient);
    assert_eq!(busy.await.unwrap().0, StatusCode::OK);
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(runs.lock().unwrap().len(), 2, "the warm-up and the first request");
    server.ended().await;
}

#[tokio::test]
async fn crash_is_answered_and_survived() {
    let server = start_engine(Puppet::default(), None, |_| {}).await;
    let mut client = Client::connect(server.running.addr).await;
    let (status, body) = client.infer(row(PANIC, 0.0)).await;
    assert_eq!(
        (status, body),
        (StatusCode::INTERNAL_SERVER_ERROR, json!({ "error": "the model could not answer this request" }),)
    );
    assert_eq!(client.infer(row(1.0, 0.0)).await.0, StatusCode::OK);
    assert_eq!(client.get("/v2/health/ready").await.0, StatusCode::OK);
    let (status, body) = client.infer(row(FAILS, 0.0)).await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(!body.to_string().contains("secret"), "{body}");
    server.ended().await;
}

#[tokio::test]
async fn engine_that_stays_broken_is_neither_ready_nor_alive() {
    let puppet = Puppet::default();
    let broken = Arc::clone(&puppet.broken);
    let server = start_engine(puppet, None, |_| {}).await;
    let mut client = Client::connect(server.running.addr).await;
    assert_eq!(client.infer(row(1.0, 0.0)).await.0, StatusCode::OK);
    broken.store(true, Ordering::SeqCst);
    assert_eq!(client.infer(row(1.0, 0.0)).await.0, StatusCode::INTERNAL_SERVER_ERROR);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(server.running.health(), Health::Broken);
    assert_eq!(client.get("/v2/health/live").await.0, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(client.get("/v2/health/ready").await.0, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(client.infer(row(1.0, 0.0)).await.0, StatusCode::SERVICE_UNAVAILABLE);
    server.ended().await;
}
