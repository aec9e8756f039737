//! Running a float model on samples, to see what its activations are.
//!
//! [`Capture`] shows any float values of a model's main graph, a bounded amount of them at a time. What is done with
//! them (ranges, means, second moments) is the caller's, who must not keep them. [`Calibrator`] makes ranges of them, a
//! [`Calibration`], from which static quantization is bit-exact. [`Data`] is what other stages look at by themselves.

mod calibration;
mod calibrator;
mod capture;
mod data;
mod error;
mod feeds;
mod range;
mod seen;
mod shown;

pub use calibration::{Calibration, Span};
pub use calibrator::{CalibrateOptions, Calibrator};
pub use capture::{Capture, CaptureOptions, Shown};
pub use data::{Data, inputs};
pub use error::{CalibrateError, CaptureError, Refusal};
pub use feeds::Feeds;
pub(crate) use feeds::Spread;
pub use range::{Percent, Range};
