//! Which integers a quantized tensor may hold.

/// The integers that values are mapped to: a range, and the one that stands for zero.
///
/// `lowest ≤ zero_point ≤ highest`, and all three fit the element type, so zero is exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scheme {
    /// The integer that stands for 0.0.
    pub zero_point: i32,
    /// The smallest integer used.
    pub lowest: i32,
    /// The largest integer used.
    pub highest: i32,
}

impl Scheme {
    /// Symmetric `int8` in 8 bits: −127 … 127.
    pub const INT8: Self = Self { zero_point: 0, lowest: -127, highest: 127 };
    /// Symmetric `int8` in 7 bits: −64 … 64, as ONNX Runtime's `reduce_range`.
    ///
    /// `vpmaddubsw` adds two products of a `u8` and an `i8` in 16 bits: 2·255·64 = 32,640 still
    /// fits, 2·255·127 does not, so weights of this scheme give the same sums on every CPU.
    pub const INT8_REDUCED: Self = Self { zero_point: 0, lowest: -64, highest: 64 };
    /// Symmetric `uint8` around 128 in 8 bits: 1 … 255.
    pub const UINT8: Self = Self { zero_point: 128, lowest: 1, highest: 255 };
    /// Symmetric `uint8` around 64 in 7 bits: 0 … 128.
    ///
    /// Engines that multiply them as the `u8` of `vpmaddubsw` with activations moved to `i8` stay within 16 bits too:
    /// 2·128·127 and 2·128·−128 fit.
    pub const UINT8_REDUCED: Self = Self { zero_point: 64, lowest: 0, highest: 128 };

    /// The range relative to the zero point, in steps.
    #[expect(clippy::cast_precision_loss, reason = "both are within ±255")]
    pub(super) fn steps(self) -> (f32, f32) {
        ((self.lowest - self.zero_point) as f32, (self.highest - self.zero_point) as f32)
    }

    /// The low byte of the zero point.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "two's complement is meant")]
    pub(super) fn zero_byte(self) -> u8 {
        self.zero_point as u8
    }
}
