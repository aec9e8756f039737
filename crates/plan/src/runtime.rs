//! Runtimes: how a pod serves an artifact. One file a runtime.

mod room;
mod slipway;

pub(crate) use room::Room;
pub(crate) use slipway::{Judge, Rendered, judge_containers, model_name, models_volume, template};
