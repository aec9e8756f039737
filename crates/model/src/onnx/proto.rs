//! The messages of `proto/onnx.proto` (ONNX, Apache-2.0), as prost generates them.
//!
//! Every `bytes` field is a [`bytes::Bytes`], so decoding from a memory map copies
//! no weights. Unknown fields are dropped on decoding.
#![allow(
    missing_docs,
    clippy::all,
    clippy::pedantic,
    reason = "generated from the public schema, which documents each field"
)]

include!(concat!(env!("OUT_DIR"), "/onnx.rs"));
