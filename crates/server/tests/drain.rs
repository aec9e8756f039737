//! The end of a server under load.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a function that cannot work fails its test")]

mod common;

use std::time::{Duration, Instant};

use common::{Client, Puppet, doubling, post, row, start, start_engine};
use http::StatusCode;
use slipway_server::{BackendChoice, Health};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

for_each_engine!(drain_under_keep_alive_load_loses_nothing);

/// What one keep-alive client saw until the server told it to go.
struct Seen {
    answered: usize,
    failed: Vec<String>,
}

async fn hammer(address: std::net::SocketAddr, answered: mpsc::Sender<()>) -> Seen {
    let mut client = Client::connect(address).await;
    let mut seen = Seen { answered: 0, failed: Vec::new() };
    loop {
        let request = post("/v2/models/doubler/infer", &[], row(1.0, 2.0));
        match client.try_send(request).await {
            Ok((StatusCode::OK, headers, _)) => {
                seen.answered += 1;
                // Nobody listens after the first few.
                let _ = answered.try_send(());
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
    let (answered, mut answers) = mpsc::channel(1024);
    let clients: Vec<_> = (0..8).map(|_| tokio::spawn(hammer(address, answered.clone()))).collect();
    for _ in 0..200 {
        answers.recv().await.unwrap();
    }
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
    let puppet = Puppet::default();
    let turnstile = puppet.turnstile.clone();
    let mut server = start_engine(puppet, None, |config| config.drain.linger = Duration::from_secs(5)).await;
    let address = server.running.addr;
    turnstile.close();
    let running = tokio::spawn(async move { Client::connect(address).await.infer(row(1.0, 2.0)).await });
    turnstile.came(3).await;
    server.stop.cancel();
    server.running.wait_for(|health| *health == Health::Draining).await;
    let mut late = Client::connect(address).await;
    let (status, body) = late.get("/v2/health/ready").await;
    assert_eq!(
        (status, &body["error"]),
        (StatusCode::SERVICE_UNAVAILABLE, &serde_json::json!("shutting down"))
    );
    let mut later = Client::connect(address).await;
    turnstile.open();
    assert_eq!(later.infer(row(3.0, 4.0)).await.0, StatusCode::OK);
    assert_eq!(running.await.unwrap().0, StatusCode::OK);
    server.ended().await;
}

#[tokio::test]
async fn drain_ends_in_time_whatever_still_runs() {
    let puppet = Puppet::default();
    let turnstile = puppet.turnstile.clone();
    let server = start_engine(puppet, None, |config| {
        config.drain.linger = Duration::from_millis(50);
        config.drain.timeout = Duration::from_millis(400);
    })
    .await;
    let address = server.running.addr;
    turnstile.close();
    // One client that never sends a request, one whose request runs for longer than the drain may.
    let _silent = TcpStream::connect(address).await.unwrap();
    let slow = tokio::spawn(async move {
        let request = post("/v2/models/doubler/infer", &[], row(1.0, 2.0));
        Client::connect(address).await.try_send(request).await.is_err()
    });
    turnstile.came(3).await;
    let begin = Instant::now();
    server.ended().await;
    assert!(begin.elapsed() < Duration::from_secs(5), "it did not wait for the engine");
    turnstile.open();
    assert!(slow.await.unwrap(), "its connection was cut");
}
