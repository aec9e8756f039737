//! Reading a float tensor piece by piece, whatever its element type.

use slipway_kernels::cast::{from_bfloat16, from_float16};
use slipway_model::onnx::{DataType, Payload, PayloadFile};

use super::MakeError;

/// Values of one piece: 256 KiB of floats.
pub(crate) const PIECE: usize = 64 << 10;

/// The element types that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Element {
    Float,
    Half,
    Brain,
}

/// An open tensor.
pub(crate) struct Reader {
    file: PayloadFile,
    element: Element,
    bytes: Vec<u8>,
}

impl Reader {
    /// Opens a tensor of a type of [`is_float`](crate::graph::is_float).
    pub(crate) fn open(payload: &Payload, data_type: DataType) -> Result<Self, MakeError> {
        let element = match data_type {
            DataType::FLOAT16 => Element::Half,
            DataType::BFLOAT16 => Element::Brain,
            _ => Element::Float,
        };
        Ok(Self { file: payload.open().map_err(MakeError::Read)?, element, bytes: Vec::new() })
    }

    /// Fills `floats` with the values from index `start` on.
    pub(crate) fn read(&mut self, start: usize, floats: &mut [f32]) -> Result<(), MakeError> {
        match self.element {
            Element::Float => self.read_floats(start, floats),
            Element::Half => self.read_narrow(start, floats, from_float16),
            Element::Brain => self.read_narrow(start, floats, from_bfloat16),
        }
    }

    fn read_floats(&self, start: usize, floats: &mut [f32]) -> Result<(), MakeError> {
        let bytes = bytemuck::cast_slice_mut(&mut *floats);
        self.file.read_at(bytes, start as u64 * 4).map_err(MakeError::Read)?;
        if cfg!(target_endian = "big") {
            for value in floats {
                *value = f32::from_bits(value.to_bits().swap_bytes());
            }
        }
        Ok(())
    }

    fn read_narrow(
        &mut self,
        start: usize,
        floats: &mut [f32],
        widen: fn(&[u16], &mut [f32]),
    ) -> Result<(), MakeError> {
        self.bytes.resize(floats.len() * 2, 0);
        self.file.read_at(&mut self.bytes, start as u64 * 2).map_err(MakeError::Read)?;
        let words: Vec<u16> =
            self.bytes.as_chunks::<2>().0.iter().map(|word| u16::from_le_bytes(*word)).collect();
        widen(&words, floats);
        Ok(())
    }
}
