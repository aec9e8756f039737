//! Tensors as the protocol and the engines exchange them.

use bytes::Bytes;
use half::f16;
use serde::{Serialize, Serializer};

/// Element type of a tensor, under the name that the Open Inference Protocol gives it.
///
/// The set is what a built-in engine can take; a model that declares another type does not load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DataType {
    /// One byte, zero or one.
    Bool,
    /// Signed, 8 bits.
    Int8,
    /// Unsigned, 8 bits.
    UInt8,
    /// Signed, 32 bits.
    Int32,
    /// Signed, 64 bits.
    Int64,
    /// IEEE 754 half precision.
    Fp16,
    /// IEEE 754 single precision.
    Fp32,
    /// IEEE 754 double precision.
    Fp64,
    /// Strings of any bytes; engines take and give text.
    Bytes,
}

impl DataType {
    const ALL: [Self; 9] = [
        Self::Bool,
        Self::Int8,
        Self::UInt8,
        Self::Int32,
        Self::Int64,
        Self::Fp16,
        Self::Fp32,
        Self::Fp64,
        Self::Bytes,
    ];

    /// The type of one of the protocol's names; nothing for names of types that no engine exchanges.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|datatype| datatype.name() == name)
    }

    /// The protocol's name, such as `FP32`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bool => "BOOL",
            Self::Int8 => "INT8",
            Self::UInt8 => "UINT8",
            Self::Int32 => "INT32",
            Self::Int64 => "INT64",
            Self::Fp16 => "FP16",
            Self::Fp32 => "FP32",
            Self::Fp64 => "FP64",
            Self::Bytes => "BYTES",
        }
    }
}

impl std::fmt::Display for DataType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Elements of one tensor, row-major.
#[derive(Clone, Debug, PartialEq)]
pub enum TensorData {
    /// `BOOL`
    Bool(Vec<bool>),
    /// `INT8`
    Int8(Vec<i8>),
    /// `UINT8`
    UInt8(Vec<u8>),
    /// `INT32`
    Int32(Vec<i32>),
    /// `INT64`
    Int64(Vec<i64>),
    /// `FP16`
    Fp16(Vec<f16>),
    /// `FP32`
    Fp32(Vec<f32>),
    /// `FP64`
    Fp64(Vec<f64>),
    /// `BYTES`
    Bytes(Vec<Bytes>),
}

/// Runs one expression for whichever vector the data holds.
macro_rules! each {
    ($data:expr, $values:ident => $body:expr) => {
        match $data {
            $crate::tensor::TensorData::Bool($values) => $body,
            $crate::tensor::TensorData::Int8($values) => $body,
            $crate::tensor::TensorData::UInt8($values) => $body,
            $crate::tensor::TensorData::Int32($values) => $body,
            $crate::tensor::TensorData::Int64($values) => $body,
            $crate::tensor::TensorData::Fp16($values) => $body,
            $crate::tensor::TensorData::Fp32($values) => $body,
            $crate::tensor::TensorData::Fp64($values) => $body,
            $crate::tensor::TensorData::Bytes($values) => $body,
        }
    };
}

/// Runs one expression over two pieces of data of the same type, or the other one where the types differ.
macro_rules! each_pair {
    ($left:expr, $right:expr, ($a:ident, $b:ident) => $body:expr, $otherwise:expr) => {
        match ($left, $right) {
            (TensorData::Bool($a), TensorData::Bool($b)) => $body,
            (TensorData::Int8($a), TensorData::Int8($b)) => $body,
            (TensorData::UInt8($a), TensorData::UInt8($b)) => $body,
            (TensorData::Int32($a), TensorData::Int32($b)) => $body,
            (TensorData::Int64($a), TensorData::Int64($b)) => $body,
            (TensorData::Fp16($a), TensorData::Fp16($b)) => $body,
            (TensorData::Fp32($a), TensorData::Fp32($b)) => $body,
            (TensorData::Fp64($a), TensorData::Fp64($b)) => $body,
            (TensorData::Bytes($a), TensorData::Bytes($b)) => $body,
            _ => $otherwise,
        }
    };
}

impl TensorData {
    /// `count` ones of a type, or strings `1`.
    pub fn ones(datatype: DataType, count: usize) -> Self {
        match datatype {
            DataType::Bool => Self::Bool(vec![true; count]),
            DataType::Int8 => Self::Int8(vec![1; count]),
            DataType::UInt8 => Self::UInt8(vec![1; count]),
            DataType::Int32 => Self::Int32(vec![1; count]),
            DataType::Int64 => Self::Int64(vec![1; count]),
            DataType::Fp16 => Self::Fp16(vec![f16::ONE; count]),
            DataType::Fp32 => Self::Fp32(vec![1.0; count]),
            DataType::Fp64 => Self::Fp64(vec![1.0; count]),
            DataType::Bytes => Self::Bytes(vec![Bytes::from_static(b"1"); count]),
        }
    }

    /// `count` zeros of a type, or empty strings.
    pub fn zeros(datatype: DataType, count: usize) -> Self {
        match datatype {
            DataType::Bool => Self::Bool(vec![false; count]),
            DataType::Int8 => Self::Int8(vec![0; count]),
            DataType::UInt8 => Self::UInt8(vec![0; count]),
            DataType::Int32 => Self::Int32(vec![0; count]),
            DataType::Int64 => Self::Int64(vec![0; count]),
            DataType::Fp16 => Self::Fp16(vec![f16::ZERO; count]),
            DataType::Fp32 => Self::Fp32(vec![0.0; count]),
            DataType::Fp64 => Self::Fp64(vec![0.0; count]),
            DataType::Bytes => Self::Bytes(vec![Bytes::new(); count]),
        }
    }

    /// The element type.
    pub fn datatype(&self) -> DataType {
        match self {
            Self::Bool(_) => DataType::Bool,
            Self::Int8(_) => DataType::Int8,
            Self::UInt8(_) => DataType::UInt8,
            Self::Int32(_) => DataType::Int32,
            Self::Int64(_) => DataType::Int64,
            Self::Fp16(_) => DataType::Fp16,
            Self::Fp32(_) => DataType::Fp32,
            Self::Fp64(_) => DataType::Fp64,
            Self::Bytes(_) => DataType::Bytes,
        }
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        each!(self, values => values.len())
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The elements as numbers of double precision; `true` is one, a string is no number. Large `INT64` values lose
    /// their last bits.
    #[expect(
        clippy::cast_precision_loss,
        reason = "documented: for comparing and for metrics, not for transport"
    )]
    pub fn to_f64(&self) -> Vec<f64> {
        match self {
            Self::Bool(values) => values.iter().map(|&v| f64::from(u8::from(v))).collect(),
            Self::Int8(values) => values.iter().map(|&v| f64::from(v)).collect(),
            Self::UInt8(values) => values.iter().map(|&v| f64::from(v)).collect(),
            Self::Int32(values) => values.iter().map(|&v| f64::from(v)).collect(),
            Self::Int64(values) => values.iter().map(|&v| v as f64).collect(),
            Self::Fp16(values) => values.iter().map(|v| v.to_f64()).collect(),
            Self::Fp32(values) => values.iter().map(|&v| f64::from(v)).collect(),
            Self::Fp64(values) => values.clone(),
            Self::Bytes(values) => vec![f64::NAN; values.len()],
        }
    }

    /// Appends the elements of another piece of data; `false`, and no change, where the types differ.
    pub(crate) fn append(&mut self, other: &Self) -> bool {
        each_pair!(self, other, (mine, theirs) => { mine.extend_from_slice(theirs); true }, false)
    }

    /// A copy of the elements of one range, or nothing where it exceeds the data.
    pub(crate) fn slice(&self, range: std::ops::Range<usize>) -> Option<Self> {
        Some(match self {
            Self::Bool(values) => Self::Bool(values.get(range)?.to_vec()),
            Self::Int8(values) => Self::Int8(values.get(range)?.to_vec()),
            Self::UInt8(values) => Self::UInt8(values.get(range)?.to_vec()),
            Self::Int32(values) => Self::Int32(values.get(range)?.to_vec()),
            Self::Int64(values) => Self::Int64(values.get(range)?.to_vec()),
            Self::Fp16(values) => Self::Fp16(values.get(range)?.to_vec()),
            Self::Fp32(values) => Self::Fp32(values.get(range)?.to_vec()),
            Self::Fp64(values) => Self::Fp64(values.get(range)?.to_vec()),
            Self::Bytes(values) => Self::Bytes(values.get(range)?.to_vec()),
        })
    }

    /// Decodes the protocol's binary form: little endian, no padding. A `BOOL` byte other than zero is true, and each
    /// string follows its length in 4 bytes.
    ///
    /// Nothing where the bytes do not end with a whole element.
    pub fn from_le_bytes(datatype: DataType, bytes: &[u8]) -> Option<Self> {
        Some(match datatype {
            DataType::Bool => Self::Bool(bytes.iter().map(|&b| b != 0).collect()),
            DataType::Int8 => Self::Int8(bytes.iter().map(|&b| i8::from_le_bytes([b])).collect()),
            DataType::UInt8 => Self::UInt8(bytes.to_vec()),
            DataType::Int32 => Self::Int32(words(bytes, i32::from_le_bytes)?),
            DataType::Int64 => Self::Int64(words(bytes, i64::from_le_bytes)?),
            DataType::Fp16 => Self::Fp16(words(bytes, f16::from_le_bytes)?),
            DataType::Fp32 => Self::Fp32(words(bytes, f32::from_le_bytes)?),
            DataType::Fp64 => Self::Fp64(words(bytes, f64::from_le_bytes)?),
            DataType::Bytes => Self::Bytes(strings(bytes)?),
        })
    }

    /// Bytes of the binary form.
    pub fn size_bytes(&self) -> usize {
        match self {
            Self::Bool(values) => values.len(),
            Self::Int8(values) => size_of_val(values.as_slice()),
            Self::UInt8(values) => size_of_val(values.as_slice()),
            Self::Int32(values) => size_of_val(values.as_slice()),
            Self::Int64(values) => size_of_val(values.as_slice()),
            Self::Fp16(values) => size_of_val(values.as_slice()),
            Self::Fp32(values) => size_of_val(values.as_slice()),
            Self::Fp64(values) => size_of_val(values.as_slice()),
            Self::Bytes(values) => values.iter().map(|value| LENGTH_BYTES + value.len()).sum(),
        }
    }

    /// Appends the protocol's binary form to a buffer.
    pub fn write_le_bytes(&self, buffer: &mut Vec<u8>) {
        buffer.reserve(self.size_bytes());
        match self {
            Self::Bool(values) => buffer.extend(values.iter().map(|&v| u8::from(v))),
            Self::Int8(values) => buffer.extend(values.iter().flat_map(|v| v.to_le_bytes())),
            Self::UInt8(values) => buffer.extend_from_slice(values),
            Self::Int32(values) => buffer.extend(values.iter().flat_map(|v| v.to_le_bytes())),
            Self::Int64(values) => buffer.extend(values.iter().flat_map(|v| v.to_le_bytes())),
            Self::Fp16(values) => buffer.extend(values.iter().flat_map(|v| v.to_le_bytes())),
            Self::Fp32(values) => buffer.extend(values.iter().flat_map(|v| v.to_le_bytes())),
            Self::Fp64(values) => buffer.extend(values.iter().flat_map(|v| v.to_le_bytes())),
            Self::Bytes(values) => values.iter().for_each(|value| write_string(value, buffer)),
        }
    }
}

/// Bytes of a string's length in the binary form.
const LENGTH_BYTES: usize = 4;

fn words<const N: usize, T>(bytes: &[u8], decode: fn([u8; N]) -> T) -> Option<Vec<T>> {
    let (words, rest) = bytes.as_chunks::<N>();
    rest.is_empty().then(|| words.iter().map(|word| decode(*word)).collect())
}

fn strings(mut bytes: &[u8]) -> Option<Vec<Bytes>> {
    let mut strings = Vec::new();
    while !bytes.is_empty() {
        let (length, rest) = bytes.split_first_chunk::<LENGTH_BYTES>()?;
        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        let (string, rest) = rest.split_at_checked(length)?;
        strings.push(Bytes::copy_from_slice(string));
        bytes = rest;
    }
    Some(strings)
}

/// A string of 4 GiB or more has no binary form; it is cut there, and no engine makes one.
fn write_string(value: &[u8], buffer: &mut Vec<u8>) {
    let length = u32::try_from(value.len()).unwrap_or(u32::MAX);
    buffer.extend(length.to_le_bytes());
    buffer.extend(value.iter().take(length as usize));
}

/// As a flat JSON array. NaN and infinities have no JSON form and become `null`; bytes of a string that are no text
/// become the replacement character.
impl Serialize for TensorData {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Fp16(values) => serializer.collect_seq(values.iter().map(|v| v.to_f32())),
            Self::Bool(values) => values.serialize(serializer),
            Self::Int8(values) => values.serialize(serializer),
            Self::UInt8(values) => values.serialize(serializer),
            Self::Int32(values) => values.serialize(serializer),
            Self::Int64(values) => values.serialize(serializer),
            Self::Fp32(values) => values.serialize(serializer),
            Self::Fp64(values) => values.serialize(serializer),
            Self::Bytes(values) => serializer.collect_seq(values.iter().map(|v| String::from_utf8_lossy(v))),
        }
    }
}

/// A shape and as many elements as it says.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    shape: Vec<usize>,
    data: TensorData,
}

impl Tensor {
    /// Joins a shape and elements; nothing where their counts differ or the product overflows.
    pub fn new(shape: Vec<usize>, data: TensorData) -> Option<Self> {
        (element_count(&shape)? == data.len()).then_some(Self { shape, data })
    }

    /// Size of each dimension.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The elements, row-major.
    pub fn data(&self) -> &TensorData {
        &self.data
    }

    /// The element type.
    pub fn datatype(&self) -> DataType {
        self.data.datatype()
    }

    /// Bytes of the elements in the binary form.
    pub fn size_bytes(&self) -> usize {
        self.data.size_bytes()
    }

    /// Takes the tensor apart.
    pub fn into_parts(self) -> (Vec<usize>, TensorData) {
        (self.shape, self.data)
    }
}

/// A tensor and the input or output that it is of.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedTensor {
    /// Name of the input or output.
    pub name: String,
    /// What it holds.
    pub tensor: Tensor,
}

/// Product of the dimensions, or nothing where it overflows. A scalar's shape is empty and counts one.
pub fn element_count(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1usize, |product, &dimension| product.checked_mul(dimension))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binary_form_survives_a_round_trip_for_every_type() {
        let all = [
            TensorData::Bool(vec![true, false]),
            TensorData::Int8(vec![-128, 127]),
            TensorData::UInt8(vec![0, 255]),
            TensorData::Int32(vec![i32::MIN, i32::MAX]),
            TensorData::Int64(vec![i64::MIN, i64::MAX]),
            TensorData::Fp16(vec![f16::MAX, f16::MIN_POSITIVE]),
            TensorData::Fp32(vec![f32::NEG_INFINITY, 1.5e-42]),
            TensorData::Fp64(vec![f64::MAX, -0.0]),
            TensorData::Bytes(vec![Bytes::new(), Bytes::from_static(b"\xff\0")]),
        ];
        for data in all {
            let mut bytes = Vec::new();
            data.write_le_bytes(&mut bytes);
            assert_eq!(bytes.len(), data.size_bytes());
            assert_eq!(TensorData::from_le_bytes(data.datatype(), &bytes), Some(data));
        }
    }

    #[test]
    fn bytes_that_are_no_whole_element_are_no_data() {
        assert_eq!(TensorData::from_le_bytes(DataType::Fp32, &[0; 7]), None);
        for bytes in [&[1, 0, 0][..], &[1, 0, 0, 0], &[2, 0, 0, 0, b'a'], &[0xff, 0xff, 0xff, 0xff, b'a']] {
            assert_eq!(TensorData::from_le_bytes(DataType::Bytes, bytes), None, "{bytes:?}");
        }
    }

    #[test]
    fn strings_are_text_in_json() {
        let json =
            serde_json::to_string(&TensorData::Bytes(vec!["a\"".into(), b"\xff".as_slice().into()])).unwrap();
        assert_eq!(json, "[\"a\\\"\",\"\u{fffd}\"]");
    }

    #[test]
    fn not_a_number_is_null_in_json() {
        let json = serde_json::to_string(&TensorData::Fp32(vec![f32::NAN, 0.1, f32::INFINITY])).unwrap();
        assert_eq!(json, "[null,0.1,null]");
    }

    #[test]
    fn shape_that_overflows_or_disagrees_is_no_tensor() {
        assert_eq!(element_count(&[usize::MAX, 2]), None);
        assert_eq!(element_count(&[]), Some(1));
        assert!(Tensor::new(vec![usize::MAX, 2], TensorData::zeros(DataType::Fp32, 2)).is_none());
        assert!(Tensor::new(vec![2, 2], TensorData::zeros(DataType::Fp32, 3)).is_none());
        assert!(Tensor::new(vec![0, 7], TensorData::zeros(DataType::Fp32, 0)).is_some());
    }

    #[test]
    fn data_of_different_types_is_never_joined() {
        let mut data = TensorData::Int32(vec![1]);
        assert!(!data.append(&TensorData::Int64(vec![2])));
        assert!(data.append(&TensorData::Int32(vec![2])));
        assert_eq!(data, TensorData::Int32(vec![1, 2]));
        assert_eq!(data.slice(1..3), None);
        assert_eq!(data.slice(1..2), Some(TensorData::Int32(vec![2])));
    }
}
