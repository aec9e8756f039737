//! Batching, overload, cancellation and crashes, with an engine that does as it is told.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a function that cannot work fails its test")]

mod common;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use common::{
    Client, FAILS, PANIC, Puppet, REFUSED, Server, Turnstile, doubling, post, row, start, start_engine,
};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use http::StatusCode;
use serde_json::json;
use slipway_server::proto::ModelInferRequest;
use slipway_server::proto::grpc_inference_service_client::GrpcInferenceServiceClient;
use slipway_server::{BackendChoice, Batching, Health};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

for_each_engine!(rows_of_one_run_go_back_to_their_own_requests);

fn batching(config: &mut slipway_server::Config) {
    config.batching = Batching { max_size: 8, max_delay: Duration::from_millis(200), ..Batching::OFF };
}

#[tokio::test]
async fn concurrent_requests_share_a_run_and_each_gets_its_own_answer() {
    let puppet = Puppet::default();
    let runs = Arc::clone(&puppet.runs);
    let server = start_engine(puppet, None, batching).await;
    let begun = runs.lock().unwrap().len();
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
    let rows: usize = runs[begun..].iter().sum();
    assert_eq!(rows, 8, "the first runs are the warm-up: {runs:?}");
    assert!(runs[begun..].iter().max().is_some_and(|rows| *rows >= 4), "{runs:?}");
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
    let begun = runs.lock().unwrap().len();
    let address = server.running.addr;
    let clients = (0..5).map(|_| async move { Client::connect(address).await.infer(row(1.0, 1.0)).await.0 });
    assert!(futures::future::join_all(clients).await.iter().all(StatusCode::is_success));
    assert_eq!(runs.lock().unwrap()[begun..], [1; 5]);
    server.ended().await;
}

/// Waits for what has to come, and fails where it does not.
async fn soon(what: impl Future<Output = ()>) {
    tokio::time::timeout(Duration::from_secs(30), what).await.expect("it never came");
}

/// A server whose runs wait at a turnstile, one of them already.
async fn busy(
    adjust: impl FnOnce(&mut slipway_server::Config),
) -> (Server, Turnstile, JoinHandle<StatusCode>) {
    let puppet = Puppet::default();
    let turnstile = puppet.turnstile.clone();
    let server = start_engine(puppet, None, adjust).await;
    let address = server.running.addr;
    turnstile.close();
    let busy = tokio::spawn(async move { Client::connect(address).await.infer(row(1.0, 1.0)).await.0 });
    turnstile.came(3).await;
    (server, turnstile, busy)
}

#[tokio::test]
async fn full_queue_answers_503_and_says_when_to_retry() {
    let (server, turnstile, busy) = busy(|config| config.limits.queued_requests = 2).await;
    let address = server.running.addr;
    let send = |_| async move {
        let request = post("/v2/models/doubler/infer", &[], row(1.0, 1.0));
        Client::connect(address).await.try_send(request).await.unwrap()
    };
    let mut answers: FuturesUnordered<_> = (0..8).map(send).collect();
    for _ in 0..6 {
        let (status, headers, body) = answers.next().await.unwrap();
        assert_eq!(
            (status, &headers["retry-after"]),
            (StatusCode::SERVICE_UNAVAILABLE, &"1".parse().unwrap())
        );
        assert!(String::from_utf8_lossy(&body).contains("too many requests"));
    }
    turnstile.open();
    assert!(answers.all(|answer| async move { answer.0 == StatusCode::OK }).await, "two had room");
    assert_eq!(busy.await.unwrap(), StatusCode::OK);
    server.ended().await;
}

#[tokio::test]
async fn request_whose_client_has_gone_is_never_run() {
    let (server, turnstile, busy) = busy(|_| {}).await;
    let body = row(2.0, 2.0);
    let head = format!(
        "POST /v2/models/doubler/infer HTTP/1.1\r\nhost: test\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let mut impatient = TcpStream::connect(server.running.addr).await.unwrap();
    impatient.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    let mut metrics = Client::connect(server.running.metrics_addr).await;
    let one = "slipway_queue_length{model=\"doubler\",revision=\"\"} 1";
    soon(async { while !metrics.text("/metrics").await.contains(one) {} }).await;
    impatient.shutdown().await.unwrap();
    assert_eq!(impatient.read(&mut [0; 1]).await.unwrap(), 0, "the server has let it go");
    turnstile.open();
    assert_eq!(busy.await.unwrap(), StatusCode::OK);
    assert_eq!(Client::connect(server.running.addr).await.infer(row(3.0, 3.0)).await.0, StatusCode::OK);
    assert_eq!(turnstile.runs(), 4, "the warm-up of one row and of two, the first request and the last");
    server.ended().await;
}

#[tokio::test]
async fn what_is_still_arriving_is_bounded_too() {
    let server = start_engine(Puppet::default(), None, |config| config.limits.queued_bytes = 100).await;
    let address = server.running.addr;
    let body = row(1.0, 2.0);
    let (early, late) = body.split_at(40);
    let mut slow = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /v2/models/doubler/infer HTTP/1.1\r\nhost: test\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    slow.write_all(format!("{head}{early}").as_bytes()).await.unwrap();
    // The server may not have read it yet: sooner or later there is no room for a second.
    soon(async {
        while Client::connect(address).await.infer(body.clone()).await.0 != StatusCode::SERVICE_UNAVAILABLE {}
    })
    .await;
    let mut grpc = GrpcInferenceServiceClient::connect(format!("http://{address}")).await.unwrap();
    let refused = grpc.model_infer(ModelInferRequest { id: "x".repeat(100), ..Default::default() }).await;
    assert_eq!(refused.unwrap_err().code(), tonic::Code::ResourceExhausted);
    slow.write_all(late.as_bytes()).await.unwrap();
    let mut answer = String::new();
    slow.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(Client::connect(address).await.infer(body).await.0, StatusCode::OK, "its room is free again");
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
    let mut server = start_engine(puppet, None, |_| {}).await;
    let mut client = Client::connect(server.running.addr).await;
    assert_eq!(client.infer(row(1.0, 0.0)).await.0, StatusCode::OK);
    broken.store(true, Ordering::SeqCst);
    assert_eq!(client.infer(row(1.0, 0.0)).await.0, StatusCode::INTERNAL_SERVER_ERROR);
    server.running.wait_for(|health| *health == Health::Broken).await;
    assert_eq!(client.get("/v2/health/live").await.0, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(client.get("/v2/health/ready").await.0, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(client.infer(row(1.0, 0.0)).await.0, StatusCode::SERVICE_UNAVAILABLE);
    server.ended().await;
}
