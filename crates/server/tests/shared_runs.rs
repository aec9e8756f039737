//! Requests that share a run never change each other's answers.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper that cannot work fails its test")]

mod common;

use std::time::Duration;

use common::{config, doubling, engine, write};
use slipway_model::onnx::build::{ModelBuilder, int, ints};
use slipway_server::{BackendChoice, Batching, Config, EngineOptions, Health, serve};
use tokio_util::sync::CancellationToken;

for_each_engine!(
    model_whose_rows_mix_is_never_ready_with_batching,
    model_of_rows_alone_is_ready_with_batching
);

/// A model whose rows are divided by the sum of them all.
fn mixing() -> ModelBuilder {
    ModelBuilder::new()
        .input("x", &[-1, 2])
        .output("y", &[-1, 2])
        .node_with("ReduceL1", &["x"], &["sum"], vec![ints("axes", &[0]), int("keepdims", 1)])
        .node("Div", &["x", "sum"], &["y"])
}

/// What becomes of a server of a model with batching.
async fn health(backend: BackendChoice, model: &ModelBuilder, batching: Batching) -> Health {
    let (_files, path) = write(model, "model.onnx");
    let EngineOptions { backend, library, .. } = engine(backend);
    let config = Config { backend, onnxruntime_library: library, batching, ..config(path) };
    let stop = CancellationToken::new();
    let mut running = serve(config, stop.clone()).await.unwrap();
    // The error is the state that is looked at.
    drop(running.ready().await);
    let health = running.health();
    stop.cancel();
    running.ended().await;
    health
}

const SHARED: Batching =
    Batching { max_size: 8, max_delay: Duration::from_millis(1), allow_cross_request_effects: false };

async fn model_whose_rows_mix_is_never_ready_with_batching(backend: BackendChoice) {
    let Health::WarmUpFailed(reason) = health(backend, &mixing(), SHARED).await else {
        panic!("it is ready");
    };
    assert!(reason.contains("\"y\"") && reason.contains("allowCrossRequestEffects: true"), "{reason}");
    let allowed = Batching { allow_cross_request_effects: true, ..SHARED };
    assert_eq!(health(backend, &mixing(), allowed).await, Health::Ready);
    assert_eq!(health(backend, &mixing(), Batching::OFF).await, Health::Ready);
}

async fn model_of_rows_alone_is_ready_with_batching(backend: BackendChoice) {
    assert_eq!(health(backend, &doubling(), SHARED).await, Health::Ready);
}
