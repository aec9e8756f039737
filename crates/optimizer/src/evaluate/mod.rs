//! Judging an artifact: a data set replayed through two models, counted, and held against the gate's thresholds.
//!
//! [`replay`] drives two running servers through the inference protocol, so what is judged is what will serve, and [`race`]
//! times them. All decisions are values: [`Samples`] binds data to inputs, [`Tally`] counts, [`judge`] turns counts into verdicts
//! with words, and none of them touches a network or a clock.

mod dataset;
mod error;
mod golden;
mod latency;
mod lengths;
#[cfg(test)]
#[path = "../../tests/common/npz.rs"]
mod npz;
mod order;
mod predictor;
mod protocol;
mod race;
mod replay;
mod scores;
mod tally;
mod verdict;
mod wire;
mod words;

pub use dataset::Samples;
pub use error::{DataError, EvaluateError, PredictError};
pub use golden::Recorded;
pub use latency::{LatencySummary, Timings};
pub use order::spread;
pub use predictor::{HttpPredictor, Predictor};
pub use protocol::TensorSpec;
pub use race::{Race, race};
pub use replay::{Evaluation, ReplayOptions, replay};
pub use scores::check_declared_scores;
pub use tally::{Tally, Top1, top1};
pub use verdict::{Measured, Sizes, judge, overall};
pub use wire::Request;
