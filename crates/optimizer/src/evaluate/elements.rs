//! Elements of an array as JSON text.

use std::fmt::Display;

use half::f16;
use serde_json::value::RawValue;
use slipway_model::npz::Dtype;

/// Some elements as a flat JSON array, each with as many digits as it needs to be read back the same.
///
/// The bytes are little endian; a rest that is no whole element is left out.
pub(super) fn to_json(dtype: Dtype, bytes: &[u8]) -> Result<Box<RawValue>, serde_json::Error> {
    let text = match dtype {
        Dtype::Bool => joined(bytes, |[byte]| byte != 0),
        Dtype::I8 => joined(bytes, i8::from_le_bytes),
        Dtype::I16 => joined(bytes, i16::from_le_bytes),
        Dtype::I32 => joined(bytes, i32::from_le_bytes),
        Dtype::I64 => joined(bytes, i64::from_le_bytes),
        Dtype::U8 => joined(bytes, u8::from_le_bytes),
        Dtype::U16 => joined(bytes, u16::from_le_bytes),
        Dtype::U32 => joined(bytes, u32::from_le_bytes),
        Dtype::U64 => joined(bytes, u64::from_le_bytes),
        Dtype::F16 => joined(bytes, |word| number(f16::from_le_bytes(word).to_f32())),
        Dtype::F32 => joined(bytes, |word| number(f32::from_le_bytes(word))),
        Dtype::F64 => joined(bytes, |word| number(f64::from_le_bytes(word))),
    };
    RawValue::from_string(text)
}

fn joined<const N: usize, T: Display>(bytes: &[u8], decode: impl Fn([u8; N]) -> T) -> String {
    let elements: Vec<_> = bytes.as_chunks().0.iter().map(|word| decode(*word).to_string()).collect();
    format!("[{}]", elements.join(","))
}

/// Rust's shortest text of a float is JSON too, but for what is no number.
fn number(value: impl Into<f64> + Display + Copy) -> String {
    if value.into().is_finite() { value.to_string() } else { "null".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_is_written_so_that_it_reads_back_the_same() {
        let json = |dtype, bytes: &[u8]| to_json(dtype, bytes).unwrap().get().to_owned();
        assert_eq!(json(Dtype::Bool, &[0, 1, 7]), "[false,true,true]");
        assert_eq!(json(Dtype::I8, &[0x80, 0x7f]), "[-128,127]");
        assert_eq!(json(Dtype::I64, &i64::MIN.to_le_bytes()), "[-9223372036854775808]");
        assert_eq!(json(Dtype::U64, &u64::MAX.to_le_bytes()), "[18446744073709551615]");
        assert_eq!(json(Dtype::F16, &f16::from_f32(0.1).to_le_bytes()), "[0.099975586]");
        assert_eq!(json(Dtype::F32, &[0.1_f32, f32::NAN].map(f32::to_le_bytes).concat()), "[0.1,null]");
        assert_eq!(json(Dtype::F64, &[]), "[]");
        for value in [f32::MAX, f32::MIN_POSITIVE, 1.0e-42, -0.0, 16_777_217.0] {
            let text = json(Dtype::F32, &value.to_le_bytes());
            let read: Vec<f32> = serde_json::from_str(&text).unwrap();
            assert_eq!(read[0].to_bits(), value.to_bits(), "{text}");
        }
    }
}
