//! What quantized bytes stand for.

use super::Scheme;

/// Writes `(q - zero_point) · scale` for each byte.
///
/// A scheme whose range reaches below zero holds `int8`, any other `uint8`.
///
/// # Panics
/// When the slices differ in length.
pub fn dequantize(bytes: &[u8], scale: f32, scheme: Scheme, out: &mut [f32]) {
    assert_eq!(bytes.len(), out.len(), "one value a byte");
    let signed = scheme.lowest < 0;
    for (byte, out) in bytes.iter().zip(out) {
        let integer = if signed { i16::from(byte.cast_signed()) } else { i16::from(*byte) };
        *out = f32::from(integer - zero_point(scheme)) * scale;
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a zero point is within ±255")]
fn zero_point(scheme: Scheme) -> i16 {
    scheme.zero_point as i16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_zero_point_is_zero_exactly() {
        let mut out = [1.0; 3];
        dequantize(&[0, 1, 0xff], 0.5, Scheme::INT8, &mut out);
        assert_eq!(out, [0.0, 0.5, -0.5]);
        dequantize(&[128, 129, 255], 0.5, Scheme::UINT8, &mut out);
        assert_eq!(out, [0.0, 0.5, 63.5]);
    }
}
