//! The element types of ONNX tensors.

use std::fmt;

use super::proto::tensor_proto::DataType as Code;

/// The element type of a tensor, one of those the ONNX schema names.
///
/// `UNDEFINED` is not among them: a tensor without a type is refused on opening.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DataType(Code);

impl DataType {
    /// 32-bit IEEE float.
    pub const FLOAT: Self = Self(Code::Float);
    /// Unsigned 8-bit integer.
    pub const UINT8: Self = Self(Code::Uint8);
    /// Signed 8-bit integer.
    pub const INT8: Self = Self(Code::Int8);
    /// Signed 32-bit integer.
    pub const INT32: Self = Self(Code::Int32);
    /// Signed 64-bit integer.
    pub const INT64: Self = Self(Code::Int64);
    /// Truth value.
    pub const BOOL: Self = Self(Code::Bool);
    /// Text.
    pub const STRING: Self = Self(Code::String);
    /// 64-bit IEEE float.
    pub const DOUBLE: Self = Self(Code::Double);
    /// 16-bit IEEE float.
    pub const FLOAT16: Self = Self(Code::Float16);
    /// 16-bit brain float: the upper half of a 32-bit IEEE float.
    pub const BFLOAT16: Self = Self(Code::Bfloat16);

    /// Reads the schema's code; `None` when it is unknown or `UNDEFINED`.
    pub fn from_code(code: i32) -> Option<Self> {
        Code::try_from(code).ok().filter(|known| *known != Code::Undefined).map(Self)
    }

    /// The schema's code.
    pub fn code(self) -> i32 {
        self.0 as i32
    }

    /// The lower-case name, as in the ONNX specification (`float`, `int8`, `bfloat16`).
    pub fn name(self) -> String {
        self.0.as_str_name().to_ascii_lowercase()
    }

    /// Bits an element takes in `raw_data`; `None` for strings, which have no fixed size.
    pub fn bits(self) -> Option<u64> {
        Some(match self.0 {
            Code::Undefined | Code::String => return None,
            Code::Uint2 | Code::Int2 => 2,
            Code::Uint4 | Code::Int4 | Code::Float4e2m1 => 4,
            Code::Float6e2m3 | Code::Float6e3m2 => 6,
            Code::Uint8
            | Code::Int8
            | Code::Bool
            | Code::Float8e4m3fn
            | Code::Float8e4m3fnuz
            | Code::Float8e5m2
            | Code::Float8e5m2fnuz
            | Code::Float8e8m0 => 8,
            Code::Uint16 | Code::Int16 | Code::Float16 | Code::Bfloat16 => 16,
            Code::Float | Code::Int32 | Code::Uint32 => 32,
            Code::Double | Code::Int64 | Code::Uint64 | Code::Complex64 => 64,
            Code::Complex128 => 128,
        })
    }

    /// Whether the values are floats of any width.
    pub fn is_float(self) -> bool {
        let name = self.name();
        name.contains("float") || name == "double"
    }

    /// Bytes that `elements` values take in `raw_data`: `None` for strings and on overflow.
    pub fn byte_len(self, elements: u64) -> Option<u64> {
        Some(elements.checked_mul(self.bits()?)?.div_ceil(8))
    }
}

impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn undefined_and_unknown_codes_are_no_types() {
        assert_eq!(DataType::from_code(0), None);
        assert_eq!(DataType::from_code(-1), None);
        assert_eq!(DataType::from_code(999), None);
        assert_eq!(DataType::from_code(1), Some(DataType::FLOAT));
    }

    #[test]
    fn floats_of_any_width_are_floats_and_nothing_else_is() {
        let floats = (0..64).filter_map(DataType::from_code).filter(|known| known.is_float());
        let names: Vec<_> = floats.map(DataType::name).collect();
        assert_eq!(
            names,
            [
                "float",
                "float16",
                "double",
                "bfloat16",
                "float8e4m3fn",
                "float8e4m3fnuz",
                "float8e5m2",
                "float8e5m2fnuz",
                "float4e2m1",
                "float8e8m0",
                "float6e2m3",
                "float6e3m2"
            ]
        );
    }

    #[test]
    fn sub_byte_types_round_up_to_whole_bytes() {
        let int4 = DataType::from_code(Code::Int4 as i32).unwrap();
        assert_eq!(int4.byte_len(3), Some(2));
        assert_eq!(DataType::FLOAT.byte_len(u64::MAX), None);
        assert_eq!(DataType::from_code(Code::String as i32).unwrap().byte_len(1), None);
    }
}
