//! The stages, one file a kind, named as in the custom resource.

mod skipped;

pub mod quantize;
pub mod simplify;
pub mod smooth;

pub use skipped::Skipped;
