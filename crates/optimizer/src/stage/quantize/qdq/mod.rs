//! Static quantization: which activations of the main graph become integers, and where.
//!
//! Engines compute an operator in integers when all that goes in is dequantized right before it and what comes out is
//! quantized right after it. Every such pair costs a rounding, so there are as few as possible:
//!
//! - what `Conv`, `MatMul` and `Gemm` take is quantized, and what a `Conv` gives, since it computes in integers only
//!   then; a product may come out as floats;
//! - operators in between (`Add`, `Mul`, `Concat`, pooling, …) compute in integers where all that goes in and what
//!   comes out is quantized anyway;
//! - what moves or picks elements (`Reshape`, `MaxPool`, …) takes the scale of its input;
//! - a `Relu` or `Clip` behind an operator belongs to it: the pair comes after both.

mod flow;
mod graph;
mod plan;
mod role;

use role::Role;

pub(super) use plan::{Plan, Questions, Tensor};
