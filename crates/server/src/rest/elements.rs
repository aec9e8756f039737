//! Tensor elements in JSON: which values each type takes.

use bytes::Bytes;
use half::f16;
use serde_json::value::RawValue;

use super::nesting::read;
use crate::error::ApiError;
use crate::tensor::{DataType, TensorData};

/// Reads the elements of one input, flat or nested as its shape says; more than the shape says are an error.
///
/// Numbers must fit their type; `null` stands for NaN in the float types, as it does in answers. A string is text.
pub(crate) fn decode_json(
    name: &str,
    datatype: DataType,
    shape: &[usize],
    data: &RawValue,
) -> Result<TensorData, ApiError> {
    let elements = || -> Result<TensorData, serde_json::Error> {
        Ok(match datatype {
            DataType::Bool => TensorData::Bool(read(data, shape)?),
            DataType::Int8 => TensorData::Int8(read(data, shape)?),
            DataType::UInt8 => TensorData::UInt8(read(data, shape)?),
            DataType::Int32 => TensorData::Int32(read(data, shape)?),
            DataType::Int64 => TensorData::Int64(read(data, shape)?),
            DataType::Fp16 => TensorData::Fp16(read(data, shape)?),
            DataType::Fp32 => TensorData::Fp32(read(data, shape)?),
            DataType::Fp64 => TensorData::Fp64(read(data, shape)?),
            DataType::Bytes => TensorData::Bytes(read(data, shape)?),
        })
    };
    elements().map_err(|error| ApiError::BadRequest(format!("input {name:?} of {datatype}: {error}")))
}

/// One element's type: which JSON values it takes.
pub(super) trait Element: Sized {
    const EXPECTED: &'static str;

    fn from_f64(_: f64) -> Option<Self> {
        None
    }
    fn from_i64(_: i64) -> Option<Self> {
        None
    }
    fn from_u64(_: u64) -> Option<Self> {
        None
    }
    fn from_text(_: &str) -> Option<Self> {
        None
    }
    fn from_bool(_: bool) -> Option<Self> {
        None
    }
    fn from_null() -> Option<Self> {
        None
    }
}

macro_rules! integer_elements {
    ($($type:ty => $expected:literal),+) => {$(
        impl Element for $type {
            const EXPECTED: &'static str = $expected;

            fn from_i64(value: i64) -> Option<Self> {
                value.try_into().ok()
            }
            fn from_u64(value: u64) -> Option<Self> {
                value.try_into().ok()
            }
        }
    )+};
}

integer_elements!(
    i8 => "an integer of 8 bits",
    u8 => "an unsigned integer of 8 bits",
    i32 => "an integer of 32 bits",
    i64 => "an integer of 64 bits"
);

impl Element for Bytes {
    const EXPECTED: &'static str = "a string";

    fn from_text(value: &str) -> Option<Self> {
        Some(Self::copy_from_slice(value.as_bytes()))
    }
}

impl Element for bool {
    const EXPECTED: &'static str = "true, false, 0 or 1";

    fn from_i64(value: i64) -> Option<Self> {
        u64::try_from(value).ok().and_then(Self::from_u64)
    }
    fn from_u64(value: u64) -> Option<Self> {
        (value <= 1).then_some(value == 1)
    }
    fn from_bool(value: bool) -> Option<Self> {
        Some(value)
    }
}

macro_rules! float_elements {
    ($($type:ty, $expected:literal, $convert:expr);+) => {$(
        impl Element for $type {
            const EXPECTED: &'static str = $expected;

            fn from_f64(value: f64) -> Option<Self> {
                let narrow: Self = $convert(value);
                narrow.is_finite().then_some(narrow)
            }
            #[expect(clippy::cast_precision_loss, reason = "the nearest float is what a float tensor can hold")]
            fn from_i64(value: i64) -> Option<Self> {
                <Self as Element>::from_f64(value as f64)
            }
            #[expect(clippy::cast_precision_loss, reason = "the nearest float is what a float tensor can hold")]
            fn from_u64(value: u64) -> Option<Self> {
                <Self as Element>::from_f64(value as f64)
            }
            fn from_null() -> Option<Self> {
                Some(Self::NAN)
            }
        }
    )+};
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the nearest float; one out of range becomes infinite and is refused"
)]
fn to_f32(value: f64) -> f32 {
    value as f32
}

float_elements!(
    f16, "a number of half precision", f16::from_f64;
    f32, "a number of single precision", to_f32;
    f64, "a number of double precision", std::convert::identity
);

#[cfg(test)]
mod tests {
    use super::*;

    fn read(datatype: DataType, shape: &[usize], json: &str) -> Result<TensorData, String> {
        let raw: Box<RawValue> = serde_json::from_str(json).unwrap();
        decode_json("x", datatype, shape, &raw).map_err(|error| error.to_string())
    }

    #[test]
    fn nested_arrays_are_read_in_order() {
        let flat = read(DataType::Fp32, &[2, 2], "[[1, 2.5], [-3, null]]").unwrap();
        let TensorData::Fp32(values) = flat else { panic!("wrong type") };
        assert_eq!(values[..3], [1.0, 2.5, -3.0]);
        assert!(values[3].is_nan());
    }

    #[test]
    fn values_that_do_not_fit_are_refused_by_name() {
        for (datatype, json) in [
            (DataType::UInt8, "[256]"),
            (DataType::UInt8, "[-1]"),
            (DataType::Int32, "[2147483648]"),
            (DataType::Int32, "[1.5]"),
            (DataType::Int32, "[null]"),
            (DataType::Int64, "[9223372036854775808]"),
            (DataType::Fp32, "[1e39]"),
            (DataType::Fp16, "[1e5]"),
            (DataType::Fp32, "[\"1\"]"),
            (DataType::Fp32, "[true]"),
            (DataType::Bool, "[2]"),
            (DataType::Fp32, "{}"),
        ] {
            let error = read(datatype, &[1], json).unwrap_err();
            assert!(error.contains("\"x\"") && error.contains(datatype.name()), "{json}: {error}");
        }
    }

    #[test]
    fn strings_are_read_as_text() {
        let expected = TensorData::Bytes(vec!["\u{e9}\n".into(), Bytes::new()]);
        assert_eq!(read(DataType::Bytes, &[2, 1], r#"[["\u00e9\n"], [""]]"#), Ok(expected));
        for json in ["[1]", "[null]", "[true]"] {
            assert!(read(DataType::Bytes, &[1], json).unwrap_err().contains("expected a string"), "{json}");
        }
    }

    #[test]
    fn booleans_may_be_written_as_numbers() {
        assert_eq!(read(DataType::Bool, &[3], "[true, 0, 1]"), Ok(TensorData::Bool(vec![true, false, true])));
    }
}
