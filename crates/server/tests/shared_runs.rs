//! Requests that share a run never change each other's answers.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper that cannot work fails its test")]

mod common;

use std::time::Duration;

use common::{config, doubling, engine, write};
use slipway_model::onnx::build::{ModelBuilder, int, ints};
use slipway_model::onnx::proto::{TensorProto, type_proto};
use slipway_server::{BackendChoice, Batching, Config, EngineOptions, Health, serve};
use tokio_util::sync::CancellationToken;

for_each_engine!(
    model_whose_rows_mix_is_never_ready_with_batching,
    every_kind_of_mixing_is_seen,
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

const FLOAT: i32 = 1;
const UINT8: i32 = 2;
const INT64: i32 = 7;

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

/// Models whose rows mix, each in another way.
fn mixtures() -> [(&'static str, ModelBuilder); 5] {
    let of = |kind: i32| {
        let mut model = ModelBuilder::new().input("x", &[-1, -1]).output("y", &[-1, -1]);
        let declared = model.graph().input[0].r#type.as_mut().and_then(|kind| kind.value.as_mut());
        if let Some(type_proto::Value::TensorType(tensor)) = declared {
            tensor.elem_type = Some(kind);
        }
        model
    };
    let quantized = |model: ModelBuilder, name: &str| {
        model.node("DynamicQuantizeLinear", &[name], &["q", "scale", "zero"]).node(
            "DequantizeLinear",
            &["q", "scale", "zero"],
            &["y"],
        )
    };
    let cast = |model: ModelBuilder| model.node_with("Cast", &["x"], &["f"], vec![int("to", 1)]);
    let normalized = of(FLOAT)
        .node_with("ReduceL2", &["x"], &["length"], vec![ints("axes", &[1]), int("keepdims", 1)])
        .node("Div", &["x", "length"], &["f"]);
    let axis =
        TensorProto { name: Some("axis".to_owned()), data_type: Some(INT64), ..TensorProto::default() };
    let axis = TensorProto { int64_data: vec![0], ..axis };
    [
        ("quantized activations", quantized(of(FLOAT), "x")),
        ("of whole numbers", quantized(cast(of(INT64)), "f")),
        ("of bytes", quantized(cast(of(UINT8)), "f")),
        ("of what was normalized", quantized(normalized, "f")),
        ("a sum down the rows", of(FLOAT).initializer(axis).node("CumSum", &["x", "axis"], &["y"])),
    ]
}

async fn every_kind_of_mixing_is_seen(backend: BackendChoice) {
    for (kind, model) in mixtures() {
        let health = health(backend, &model, SHARED).await;
        assert!(matches!(health, Health::WarmUpFailed(_)), "{kind}: {health:?}");
    }
}
