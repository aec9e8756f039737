//! The protocol's messages, server and client, as generated from `proto/inference.proto`.
#![allow(
    missing_docs,
    clippy::all,
    clippy::pedantic,
    clippy::allow_attributes_without_reason,
    reason = "generated from the public protocol definition, which documents each field"
)]

tonic::include_proto!("inference");
