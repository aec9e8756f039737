//! Which operators of a model suffer from quantization, and the fewest that have to stay float.
//!
//! Each operator is quantized alone and the model run on data, which ranks them. Then sets of the most harmful are kept
//! float until the whole model, measured and not summed up, stays within a budget. Everything is measured with the
//! engine that serves.

mod answers;
mod deviation;
mod error;
mod measure;
mod options;
mod reference;
mod report;
mod search;
mod spool;
mod study;

pub use deviation::Deviation;
pub use error::SensitivityError;
pub use measure::Measure;
pub use options::SensitivityOptions;
pub use report::{Harm, Kept, Sensitivity};
pub use study::sensitivity;
