//! Quantization and calibration arithmetic and the gate's statistics: slices in, slices out.
//!
//! No files, no graphs, no threads of its own. One operation a file: the contract,
//! a scalar reference, the fast path, and tests that hold the two bit-equal.

pub mod calibrate;
pub mod cast;
pub mod quantize;
pub mod stats;

mod wide;
