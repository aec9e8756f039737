//! Runtimes: how a pod serves an artifact. One file a runtime.

mod slipway;

pub(crate) use slipway::{Judge, Rendered, judge_containers, model_name, template};
