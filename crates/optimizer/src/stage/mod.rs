//! The stages, one file a kind, named as in the custom resource.

pub mod quantize;
