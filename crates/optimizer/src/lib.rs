//! One stage applied to one artifact: quantize, evaluate; and the job-pod binary.
//!
//! A stage reads an artifact that it never changes and writes a new one. What the
//! arithmetic is lives in `slipway-kernels`, what a file is in `slipway-model`.

pub mod calibrate;
pub mod evaluate;
pub mod file;
mod graph;
pub mod pod;
pub mod progress;
pub mod sensitivity;
pub mod stage;
pub mod work;
