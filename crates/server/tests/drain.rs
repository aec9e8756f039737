//! The end of a server under load.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a function that cannot work fails its test")]

mod common;

use std::time::{Duration, Instant};

use common::{Client, Puppet, doubling, post, row, start, start_engine};
use http::StatusCode;
use slipway_server::BackendChoice;
use tokio::net::TcpStream;

for_each_engine!(drain_under_keep_alive_load_loses_nothing);

/// What one keep-alive client saw until the server told it to go.
struct Seen {
    answered: usize,
    failed: Vec<String>,
}

async fn hammer(address: std::net::SocketAddr) -> Seen {
    let mut client = Client::connect(address).await;
    let mut seen = Seen { answered: 0, failed: Vec::new() };
    loop {
        let request = post("/v2/models/doubler/infer", &[], row(1.0, 2.0));
        match client.try_send(request).await {
            Ok((StatusCode::OK, headers, _)) => {
                seen.answered += 1;
                if headers.get("connection").is_some_and(|value| value == "close") {
                    return seen;
                }
            }
            Ok((status, _, body)) => seen.failed.push(format!("{status} {}", String::from_utf8_lossy(&body))),
            Err(error) => {
                seen.failed.push(error.to_string());
                return seen;
            }
        }
    }
}

async fn drain_under_keep_alive_load_loses_nothing(backend: BackendChoice) {
    let server = start(backend, &doubling(), |_| {}).await;
    let address = server.running.addr;
    let clients: Vec<_> = (0..8).map(|_| tokio::spawn(hammer(address))).collect();
    tokio::time::sleep(Duration::from_millis(300)).await;
    server.ended().await;
    for client in clients {
        let seen = client.await.unwrap();
        assert!(seen.answered > 0);
        assert_eq!(seen.failed, Vec::<String>::new());
    }
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn draining_server_is_not_ready_but_still_answers_new_clients() {
    let puppet = Puppet { delay: Duration::from_millis(500), ..Puppet::default() };
    let mut server = start_engine(puppet, None, |config| config.drain.linger = Duration::from_secs(1)).await;
    server.running.ready().await.unwrap();
    let address = server.running.addr;
    let running = tokio::spawn(async move { Client::connect(address).await.infer(row(1.0, 2.0)).await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    server.stop.cancel();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let mut late = Client::connect(address).await;
    let (status, body) = late.get("/v2/health/ready").await;
    assert_eq!(
        (status, &body["error"]),
        (StatusCode::SERVICE_UNAVAILABLE, &serde_json::json!("shutting down"))
    );
    let mut later = Client::connect(address).await;
    assert_eq!(later.infer(row(3.0, 4.0)).await.0, StatusCode::OK);
    assert_eq!(running.await.unwrap().0, StatusCode::OK);
    server.ended().await;
}

#[tokio::test]
async fn drain_ends_in_time_whatever_still_runs() {
    let puppet = Puppet { delay: Duration::from_secs(2), ..Puppet::default() };
    let server = start_engine(puppet, None, |config| {
        config.drain.linger = Duration::from_millis(50);
        config.drain.timeout = Duration::from_millis(400);
    })
    .await;
    let address = server.running.addr;
    // One client that never sends a request, one whose request runs for longer than the drain may.
    let _silent = TcpStream::connect(address).await.unwrap();
    let slow = tokio::spawn(async move {
        let request = post("/v2/models/doubler/infer", &[], row(1.0, 2.0));
        Client::connect(address).await.try_send(request).await.is_err()
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    let begin = Instant::now();
    server.ended().await;
    assert!(begin.elapsed() < Duration::from_millis(1500));
    assert!(slow.await.unwrap(), "its connection was cut");
}
