//! Inference server: Open Inference Protocol v2 (REST and gRPC on one port), batching, metrics.
//!
//! A request goes protocol → binding → bounded queue → batcher → [`Backend`] on the engine's own thread.
//! The same [`Engine`] serves an evaluator in its own process, and [`serve`] runs a whole server inside another
//! program. What is here never decides whether a model is good: it replays what the gate recorded and says when the
//! answers differ.

mod app;
mod backend;
mod batch;
mod binding;
mod config;
mod engine;
mod error;
mod files;
pub mod golden;
mod grpc;
mod health;
mod metrics;
mod net;
pub mod pull;
mod queue;
mod rest;
mod rows;
mod serve;
mod tensor;
mod throttle;
mod warm_up;
mod worker;

pub use backend::{
    Backend, BackendChoice, EngineOptions, LoadError, RunError, TensorSpec, declared_inputs,
    unsupported_operators,
};
pub use config::{Config, Drain, Limits, SelfCheck};
pub use engine::Engine;
pub use files::{FilesError, INDEX, Index, ModelFiles};
pub use grpc::proto;
pub use health::Health;
pub use queue::Batching;
pub use rest::{WrongName, check_name, escaped};
pub use serve::{NotReady, Running, ServeError, serve, serve_engine};
pub use tensor::{DataType, NamedTensor, Tensor, TensorData, element_count};
pub use throttle::cpu_throttled;
pub use warm_up::WarmUpError;
