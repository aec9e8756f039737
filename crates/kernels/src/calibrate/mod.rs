//! Ranges of activations from what they were on calibration data.
//!
//! A [`Histogram`] takes values in as they come, in 32 KiB whatever their number, and tells a [`Span`] in one of four
//! ways. Its state depends on the values alone, not on how they were cut into slices or on the order in which
//! histograms were merged, so calibration may run in any number of workers and give the same ranges. A span always
//! holds 0, which every integer type must represent exactly.
//!
//! It must not know tensors or models: whoever calibrates keeps one histogram for each.
#![cfg_attr(
    test,
    allow(
        clippy::float_cmp,
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "the tests hold results equal, and cast small numbers"
    )
)]

mod entropy;
mod histogram;
mod mse;
mod percentile;
mod span;

pub use histogram::{Histogram, NotFinite};
pub use span::Span;
