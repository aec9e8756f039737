//! Affine integer quantization of float slices.
//!
//! A value `x` is kept as the integer `q = saturate(round_half_even(x / scale) + zero_point)` and
//! stands for `(q - zero_point) · scale` (ONNX `QuantizeLinear`, opset 10). The division is a
//! division, never a product with a reciprocal, so that every engine agrees on `q`. Integers are
//! written as bytes; an `int8` is its two's complement.
//!
//! Each operation has a scalar reference beside its fast path, and tests hold the two equal bit
//! for bit. The fast paths are portable code that compilers turn into vector instructions, compiled once for the
//! baseline and once for AVX2; both give the same bits.
#![cfg_attr(
    test,
    allow(
        clippy::float_cmp,
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        reason = "the tests hold results equal bit for bit, and cast small numbers"
    )
)]

mod abs_max;
mod affine;
mod bias;
mod bias_correction;
mod blocks;
mod columns;
mod dequantize;
mod lanes;
mod min_max;
mod params;
mod quality;
mod scheme;
mod smooth;
mod transpose;

#[cfg(test)]
mod testing;

pub use abs_max::{abs_max, abs_max_columns};
pub use affine::quantize;
pub use bias::{BiasOverflow, quantize_bias};
pub use bias_correction::{InputMeans, expected_of_columns, expected_of_row};
pub use blocks::{
    BadSample, BlockFit, BlockShape, Blocked, Factor, Hessian, NarrowBits, SingularHessian, UnfitBlock,
    dequantize_block_rows, gptq, quantize_block_columns, quantize_block_rows,
};
pub use columns::quantize_columns;
pub use dequantize::dequantize;
pub use min_max::min_max;
pub use params::{asymmetric, symmetric_scale};
pub use quality::Quality;
pub use scheme::Scheme;
pub use smooth::{BadRange, scale_rows, smooth_scales};
pub use transpose::transpose;
