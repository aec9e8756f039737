//! Running a float model on samples, to see what its activations are.
//!
//! [`Capture`] shows any float values of a model's main graph, a bounded amount of them at a time. What is done with
//! them (ranges, means, second moments) is the caller's, who must not keep them.

mod capture;
mod error;
mod feeds;
mod shown;

pub use capture::{Capture, CaptureOptions, Shown};
pub use error::{CaptureError, Refusal};
pub use feeds::Feeds;
