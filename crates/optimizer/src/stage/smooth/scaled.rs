//! A matrix whose channels are multiplied by factors while it is written.

use std::io::Write;

use slipway_kernels::quantize::scale_rows;
use slipway_model::onnx::{DataType, Payload};

use crate::file::{MakeError, PIECE, Part, Producer, Reader};
use crate::graph::header;

/// A matrix of single precision and its factors.
#[derive(Debug)]
pub(super) struct Scaled {
    pub(super) name: String,
    pub(super) dims: Vec<i64>,
    pub(super) payload: Payload,
    /// Whether a row holds a value for each channel.
    pub(super) turned: bool,
    pub(super) factors: Vec<f32>,
}

impl Producer for Scaled {
    type Report = ();

    fn name(&self) -> &str {
        &self.name
    }

    fn work(&self) -> u64 {
        self.payload.len()
    }

    fn parts(&self) -> Vec<Part> {
        vec![Part { header: header(&self.name, &self.dims, DataType::FLOAT), length: self.payload.len() }]
    }

    fn make(&self, sinks: &mut [&mut dyn Write]) -> Result<(), MakeError> {
        let mut reader = Reader::open(&self.payload, DataType::FLOAT)?;
        let [rows, columns] = [0, 1].map(|axis| usize::try_from(self.dims[axis]).unwrap_or_default());
        let count = (PIECE / columns.max(1)).clamp(1, rows.max(1));
        let mut piece = vec![0.0; count * columns];
        for start in (0..rows).step_by(count) {
            let end = rows.min(start + count);
            let values = &mut piece[..(end - start) * columns];
            reader.read(start * columns, values)?;
            if self.turned {
                for row in values.chunks_exact_mut(columns.max(1)) {
                    row.iter_mut().zip(&self.factors).for_each(|(value, factor)| *value *= factor);
                }
            } else {
                scale_rows(values, &self.factors[start..end]);
            }
            if !values.iter().all(|value| value.is_finite()) {
                return Err(MakeError::NotFinite);
            }
            let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            sinks[0].write_all(&bytes).map_err(MakeError::Write)?;
        }
        Ok(())
    }
}
