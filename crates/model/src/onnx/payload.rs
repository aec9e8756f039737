//! The bytes of a tensor, found without loading them.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::error::OnnxError;
use super::external::ExternalData;
use super::proto::TensorProto;
use super::proto::tensor_proto::DataLocation;

/// Where the little-endian bytes of a tensor lie.
#[derive(Debug, Clone)]
pub enum Payload {
    /// A range of the model file or of an external data file.
    File {
        /// The file.
        path: PathBuf,
        /// First byte.
        offset: u64,
        /// Number of bytes.
        length: u64,
    },
    /// Values that the message keeps in typed fields, brought into raw form.
    Memory(Bytes),
}

impl Payload {
    pub(super) fn of(
        tensor: &TensorProto,
        file: &Path,
        folder: &Path,
        map: &Bytes,
    ) -> Result<Self, OnnxError> {
        if tensor.data_location() == DataLocation::External {
            let ExternalData { path, offset, length } = ExternalData::resolve(folder, tensor)
                .map_err(|problem| OnnxError::Tensor { tensor: tensor.name().to_owned(), problem })?;
            return Ok(Self::File { path, offset, length });
        }
        match &tensor.raw_data {
            Some(raw) => Ok(range_of(raw, map).map_or_else(
                || Self::Memory(raw.clone()),
                |offset| Self::File { path: file.to_path_buf(), offset, length: raw.len() as u64 },
            )),
            None => Ok(Self::Memory(typed_bytes(tensor))),
        }
    }

    /// Number of bytes.
    pub fn len(&self) -> u64 {
        match self {
            Self::File { length, .. } => *length,
            Self::Memory(bytes) => bytes.len() as u64,
        }
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Opens the bytes for reading at any place.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn open(&self) -> io::Result<PayloadFile> {
        Ok(match self {
            Self::File { path, offset, length } => {
                PayloadFile::File { file: File::open(path)?, offset: *offset, length: *length }
            }
            Self::Memory(bytes) => PayloadFile::Memory(bytes.clone()),
        })
    }
}

/// An open [`Payload`]. Reading copies into the caller's buffer, so the memory in use is the
/// caller's to bound.
#[derive(Debug)]
pub enum PayloadFile {
    /// A range of an open file.
    File {
        /// The file.
        file: File,
        /// First byte of the tensor.
        offset: u64,
        /// Bytes of the tensor.
        length: u64,
    },
    /// Bytes in memory.
    Memory(Bytes),
}

impl PayloadFile {
    /// Fills `buffer` with the tensor's bytes from `position` on.
    ///
    /// # Errors
    /// `UnexpectedEof` when the tensor or its file ends before the buffer is full.
    pub fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<()> {
        let length = match self {
            Self::File { length, .. } => *length,
            Self::Memory(bytes) => bytes.len() as u64,
        };
        let inside = position.checked_add(buffer.len() as u64).is_some_and(|end| end <= length);
        if !inside {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        match self {
            Self::File { file, offset, .. } => file.read_exact_at(buffer, offset + position),
            Self::Memory(bytes) => {
                let start = usize::try_from(position).map_err(|_| io::ErrorKind::UnexpectedEof)?;
                buffer.copy_from_slice(&bytes[start..start + buffer.len()]);
                Ok(())
            }
        }
    }
}

/// Reads little-endian 32-bit floats; a tail of fewer than four bytes is ignored.
pub fn float_values(bytes: &[u8]) -> impl ExactSizeIterator<Item = f32> + '_ {
    bytes.chunks_exact(4).map(|word| f32::from_le_bytes([word[0], word[1], word[2], word[3]]))
}

/// The place of a view in the map it was cut from.
fn range_of(view: &Bytes, map: &Bytes) -> Option<u64> {
    let start = (view.as_ptr() as usize).checked_sub(map.as_ptr() as usize)?;
    let inside = start.checked_add(view.len())? <= map.len();
    (inside && !view.is_empty()).then_some(start as u64)
}

#[expect(clippy::cast_possible_truncation, reason = "the schema keeps narrow types in wider fields")]
#[expect(clippy::cast_sign_loss, reason = "the schema keeps unsigned types in signed fields")]
fn typed_bytes(tensor: &TensorProto) -> Bytes {
    let bits = super::DataType::from_code(tensor.data_type()).and_then(super::DataType::bits);
    let mut out = Vec::new();
    out.extend(tensor.float_data.iter().flat_map(|value| value.to_le_bytes()));
    out.extend(tensor.double_data.iter().flat_map(|value| value.to_le_bytes()));
    out.extend(tensor.int64_data.iter().flat_map(|value| value.to_le_bytes()));
    for value in &tensor.int32_data {
        match bits {
            Some(32) => out.extend(value.to_le_bytes()),
            Some(16) => out.extend((*value as u16).to_le_bytes()),
            _ => out.push(*value as u8),
        }
    }
    for value in &tensor.uint64_data {
        match bits {
            Some(64) => out.extend(value.to_le_bytes()),
            _ => out.extend((*value as u32).to_le_bytes()),
        }
    }
    Bytes::from(out)
}
