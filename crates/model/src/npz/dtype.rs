//! Element types of arrays.

use std::fmt;

use super::ArrayProblem;

/// Element type of an array: a plain number of fixed size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dtype {
    /// One byte, zero or one.
    Bool,
    /// Signed, 8 bits.
    I8,
    /// Signed, 16 bits.
    I16,
    /// Signed, 32 bits.
    I32,
    /// Signed, 64 bits.
    I64,
    /// Unsigned, 8 bits.
    U8,
    /// Unsigned, 16 bits.
    U16,
    /// Unsigned, 32 bits.
    U32,
    /// Unsigned, 64 bits.
    U64,
    /// IEEE 754 half precision.
    F16,
    /// IEEE 754 single precision.
    F32,
    /// IEEE 754 double precision.
    F64,
}

impl Dtype {
    /// Bytes of one element.
    pub const fn size(self) -> usize {
        match self {
            Self::Bool | Self::I8 | Self::U8 => 1,
            Self::I16 | Self::U16 | Self::F16 => 2,
            Self::I32 | Self::U32 | Self::F32 => 4,
            Self::I64 | Self::U64 | Self::F64 => 8,
        }
    }

    /// `NumPy`'s name, such as `float32`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::I8 => "int8",
            Self::I16 => "int16",
            Self::I32 => "int32",
            Self::I64 => "int64",
            Self::U8 => "uint8",
            Self::U16 => "uint16",
            Self::U32 => "uint32",
            Self::U64 => "uint64",
            Self::F16 => "float16",
            Self::F32 => "float32",
            Self::F64 => "float64",
        }
    }

    /// Whether elements can be NaN or infinite.
    pub const fn is_float(self) -> bool {
        matches!(self, Self::F16 | Self::F32 | Self::F64)
    }

    /// Reads a type string such as `<f4`; also says whether its bytes are big endian.
    pub(super) fn parse(descr: &str) -> Result<(Self, bool), ArrayProblem> {
        let unsupported = || ArrayProblem::UnsupportedType { descr: descr.chars().take(32).collect() };
        let mut characters = descr.chars();
        let order = characters.next().ok_or_else(unsupported)?;
        let code = characters.as_str();
        if code.starts_with('O') || descr == "O" {
            return Err(ArrayProblem::Pickle);
        }
        let dtype = match code {
            "b1" | "?" => Self::Bool,
            "i1" => Self::I8,
            "i2" => Self::I16,
            "i4" => Self::I32,
            "i8" => Self::I64,
            "u1" => Self::U8,
            "u2" => Self::U16,
            "u4" => Self::U32,
            "u8" => Self::U64,
            "f2" => Self::F16,
            "f4" => Self::F32,
            "f8" => Self::F64,
            _ => return Err(unsupported()),
        };
        match order {
            '<' | '=' => Ok((dtype, false)),
            '|' if dtype.size() == 1 => Ok((dtype, false)),
            '>' => Ok((dtype, true)),
            _ => Err(unsupported()),
        }
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numpys_type_strings_are_read() {
        for (descr, dtype, big) in [
            ("<f4", Dtype::F32, false),
            (">f8", Dtype::F64, true),
            ("|u1", Dtype::U8, false),
            ("|b1", Dtype::Bool, false),
            ("<i8", Dtype::I64, false),
            ("<f2", Dtype::F16, false),
        ] {
            assert_eq!(Dtype::parse(descr), Ok((dtype, big)));
        }
    }

    #[test]
    fn pickles_and_everything_that_is_no_number_are_refused() {
        assert_eq!(Dtype::parse("|O"), Err(ArrayProblem::Pickle));
        assert_eq!(Dtype::parse("O"), Err(ArrayProblem::Pickle));
        for descr in ["", "<U8", "|S3", "<c8", "<M8[ns]", "|V4", "|f4", "f4", "<f16", "é4"] {
            let problem = Dtype::parse(descr).unwrap_err();
            assert!(matches!(problem, ArrayProblem::UnsupportedType { .. }), "{descr}");
            let is_text = ["<U8", "|S3"].contains(&descr);
            let words = "models with text inputs can be served, not judged yet";
            assert_eq!(problem.to_string().ends_with(words), is_text, "{problem}");
        }
    }
}
