//! Weights of 4 or 8 bits with a scale for each block of `K`.
//!
//! A weight `[K, N]` is cut along `K` into blocks of one column. Integers are unsigned and packed column after
//! column, low nibble first: `[N, blocks, size · bits / 8]`, with scales `[N, blocks]` and, where the form has them,
//! zero points `[N, ceil(blocks · bits / 8)]`, as `com.microsoft.MatMulNBits` reads them.
//!
//! Round-to-nearest gives the bits of ONNX Runtime's quantizer (`MlasQuantizeBlockwise`), which differs from ONNX
//! `QuantizeLinear` in two ways: it multiplies by the reciprocal of the scale, and it adds the zero point before it
//! rounds half away from zero. Where the reciprocal is infinite (a largest magnitude below 2⁻¹²⁵) its integers keep
//! no more than the sign; so do these. Bytes beyond `K` are 0, as in the buffers of its tools.

mod batch;
mod columns;
mod dequantize;
mod eights;
mod fit;
mod gptq;
mod grid;
mod group;
mod half_quadratic;
mod hessian;
mod lanes;
mod least_squares;
mod pack;
mod range;
mod rows;
mod score;
mod shape;
mod strips;
mod walk;

#[cfg(test)]
mod tests;

pub use columns::quantize_block_columns;
pub use dequantize::dequantize_block_rows;
pub use fit::BlockFit;
pub use gptq::gptq;
pub use hessian::{BadSample, Factor, Hessian, SingularHessian};
pub use rows::quantize_block_rows;
pub use shape::{BlockShape, Blocked, NarrowBits, UnfitBlock};
