//! Constant tensors: in memory, or still where the model keeps them.

use std::sync::Arc;

use bytes::Bytes;
use slipway_model::onnx::proto::TensorProto;
use slipway_model::onnx::proto::tensor_proto::{DataLocation, DataType as Code};
use slipway_model::onnx::{DataType, OnnxModel};

use super::evaluate::Refusal;
use crate::file::FileError;

/// Bytes that a tensor may have to be read into memory: larger ones are moved, and never computed with.
pub(super) const LARGEST: u64 = 64 << 20;

/// A constant, which need not be in memory.
#[derive(Debug, Clone)]
pub(super) struct Constant {
    pub(super) code: Code,
    pub(super) dims: Vec<usize>,
    data: Data,
    /// Whether the elements were computed here, and are held in memory.
    is_computed: bool,
}

#[derive(Debug, Clone)]
enum Data {
    /// A view of the mapped file, or something that was computed.
    Here(Bytes),
    /// In a file beside the model.
    Elsewhere(Arc<TensorProto>),
}

/// A tensor in memory, little-endian.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tensor {
    pub(super) code: Code,
    pub(super) dims: Vec<usize>,
    pub(super) bytes: Bytes,
}

impl Constant {
    /// What a message holds; `None` for strings.
    pub(super) fn of(model: &OnnxModel, tensor: &TensorProto) -> Result<Option<Self>, FileError> {
        let Ok(code) = Code::try_from(tensor.data_type()) else { return Ok(None) };
        let dims: Result<Vec<usize>, _> = tensor.dims.iter().map(|dim| usize::try_from(*dim)).collect();
        let Ok(dims) = dims else { return Ok(None) };
        let data = match &tensor.raw_data {
            _ if code == Code::String => return Ok(None),
            _ if tensor.data_location() == DataLocation::External => {
                Data::Elsewhere(Arc::new(tensor.clone()))
            }
            Some(raw) => Data::Here(raw.clone()),
            None => Data::Here(read_all(model, tensor)?),
        };
        Ok(Some(Self { code, dims, data, is_computed: false }))
    }

    /// The same elements under other dimensions.
    pub(super) fn reshaped(&self, dims: Vec<usize>) -> Self {
        Self { dims, ..self.clone() }
    }

    /// Bytes of the elements.
    pub(super) fn len(&self) -> u64 {
        let elements = self.dims.iter().try_fold(1_u64, |all, dim| all.checked_mul(*dim as u64));
        let bits = DataType::from_code(self.code as i32);
        elements.and_then(|elements| bits?.byte_len(elements)).unwrap_or(u64::MAX)
    }

    /// Bytes that are held in memory for it.
    pub(super) fn memory(&self) -> u64 {
        match &self.data {
            Data::Here(bytes) if self.is_computed => bytes.len() as u64,
            Data::Here(_) | Data::Elsewhere(_) => 0,
        }
    }

    /// Whether both are views of the same bytes.
    pub(super) fn shares(&self, other: &Self) -> bool {
        match (&self.data, &other.data) {
            (Data::Here(one), Data::Here(other)) => {
                one.as_ptr() == other.as_ptr() && one.len() == other.len()
            }
            (Data::Elsewhere(one), Data::Elsewhere(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }

    /// Whether every element is the same, of a type; `false` for what is not in memory.
    pub(super) fn is_filled_with(&self, code: Code, element: &[u8]) -> bool {
        let Data::Here(bytes) = &self.data else { return false };
        self.code == code && bytes.chunks(element.len()).all(|own| own == element)
    }

    /// The element of a constant that has one, of a type that it is of; `None` for what is not in memory.
    pub(super) fn one<T: Element>(&self) -> Option<T> {
        let Data::Here(bytes) = &self.data else { return None };
        (self.code == T::CODE && bytes.len() == size_of::<T>()).then(|| T::read(bytes))
    }

    /// Reads the elements.
    pub(super) fn load(&self, model: &OnnxModel) -> Result<Tensor, Refusal> {
        let len = self.len();
        if len > LARGEST {
            return Err(Refusal::TooLarge(len));
        }
        let bytes = match &self.data {
            Data::Here(bytes) => bytes.clone(),
            Data::Elsewhere(tensor) => read_all(model, tensor).map_err(Refusal::File)?,
        };
        Ok(Tensor { code: self.code, dims: self.dims.clone(), bytes })
    }

    /// An initializer of a name.
    pub(super) fn initializer(&self, name: &str) -> TensorProto {
        let base = match &self.data {
            Data::Here(bytes) => TensorProto { raw_data: Some(bytes.clone()), ..TensorProto::default() },
            Data::Elsewhere(tensor) => TensorProto::clone(tensor),
        };
        TensorProto {
            name: Some(name.to_owned()),
            data_type: Some(self.code as i32),
            dims: self.dims.iter().map(|dim| i64::try_from(*dim).unwrap_or(i64::MAX)).collect(),
            ..base
        }
    }
}

impl From<Tensor> for Constant {
    fn from(tensor: Tensor) -> Self {
        Self { code: tensor.code, dims: tensor.dims, data: Data::Here(tensor.bytes), is_computed: true }
    }
}

impl Tensor {
    /// Bytes of an element; refused for elements that share bytes.
    pub(super) fn width(&self) -> Result<usize, Refusal> {
        width(self.code)
    }

    /// The elements of one type.
    pub(super) fn values<T: Element>(&self) -> impl ExactSizeIterator<Item = T> + '_ {
        self.bytes.chunks_exact(size_of::<T>()).map(T::read)
    }

    /// A tensor of given elements.
    pub(super) fn new<T: Element>(dims: Vec<usize>, values: impl IntoIterator<Item = T>) -> Self {
        let mut bytes = Vec::new();
        values.into_iter().for_each(|value| value.write(&mut bytes));
        Self { code: T::CODE, dims, bytes: bytes.into() }
    }

    /// The elements as integers, where they are of a type of integers.
    pub(super) fn integers(&self) -> Option<Vec<i64>> {
        match self.code {
            Code::Int64 => Some(self.values::<i64>().collect()),
            Code::Int32 => Some(self.values::<i32>().map(i64::from).collect()),
            _ => None,
        }
    }
}

/// Bytes of an element; refused for elements that share bytes.
pub(super) fn width(code: Code) -> Result<usize, Refusal> {
    let bits = DataType::from_code(code as i32).and_then(DataType::bits).filter(|bits| bits % 8 == 0);
    bits.and_then(|bits| usize::try_from(bits / 8).ok()).ok_or(Refusal::Unknown)
}

/// An element type that is computed with.
pub(super) trait Element: Copy + 'static {
    /// The schema's code.
    const CODE: Code;
    /// Reads one from exactly its bytes.
    fn read(bytes: &[u8]) -> Self;
    /// Appends its bytes.
    fn write(self, out: &mut Vec<u8>);
}

macro_rules! element {
    ($($kind:ty => $code:ident),+) => {
        $(impl Element for $kind {
            const CODE: Code = Code::$code;
            fn read(bytes: &[u8]) -> Self {
                let mut own = [0; size_of::<$kind>()];
                own.copy_from_slice(bytes);
                <$kind>::from_le_bytes(own)
            }
            fn write(self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }
        })+
    };
}

element!(f32 => Float, f64 => Double, i8 => Int8, u8 => Uint8, i16 => Int16, u16 => Uint16,
    i32 => Int32, u32 => Uint32, i64 => Int64, u64 => Uint64);

impl Element for bool {
    const CODE: Code = Code::Bool;
    fn read(bytes: &[u8]) -> Self {
        bytes.iter().any(|byte| *byte != 0)
    }
    fn write(self, out: &mut Vec<u8>) {
        out.push(u8::from(self));
    }
}

fn read_all(model: &OnnxModel, tensor: &TensorProto) -> Result<Bytes, FileError> {
    let payload = model.payload(tensor)?;
    let read = |source| FileError::Read { tensor: tensor.name().to_owned(), source };
    let mut bytes = vec![0; usize::try_from(payload.len()).unwrap_or(usize::MAX)];
    payload.open().map_err(read)?.read_at(&mut bytes, 0).map_err(read)?;
    Ok(bytes.into())
}
