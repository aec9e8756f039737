//! What a model or data file is: ONNX, npz; facts, sniffing, hostile-input limits.
//!
//! Everything here reads bytes that strangers wrote: every size is checked, every
//! failure is a typed error that names the thing, and nothing panics. It holds no
//! async code, opens no sockets and depends on no other crate of this project.

pub mod npz;
pub mod onnx;
pub mod regular;
pub mod sniff;
