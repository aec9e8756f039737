//! Biases in floats that make up for what the quantization of a weight adds to the sums of its products.

use std::io::Write;
use std::sync::Arc;

use slipway_model::onnx::DataType;

use crate::file::{MakeError, Part};
use crate::graph::header;

/// A bias that has a product of its own.
#[derive(Debug, Clone)]
pub(in super::super) struct CorrectedBias {
    pub(in super::super) name: String,
    pub(in super::super) dims: Vec<i64>,
    /// As it was.
    pub(in super::super) values: Vec<f32>,
    /// What the product's sums are multiplied with before the bias is added.
    pub(in super::super) factor: f32,
    /// The mean of what each weight of an output meets.
    pub(in super::super) means: Arc<[f64]>,
}

impl CorrectedBias {
    pub(super) fn part(&self) -> Part {
        Part { header: header(&self.name, &self.dims, DataType::FLOAT), length: self.values.len() as u64 * 4 }
    }

    /// Writes the bias, less what the sums are expected to be off by.
    pub(super) fn write(&self, shift: &[f64], sink: &mut dyn Write) -> Result<(), MakeError> {
        let factor = f64::from(self.factor);
        let values: Vec<f32> =
            self.values.iter().zip(shift).map(|(value, shift)| less(*value, factor * shift)).collect();
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        sink.write_all(&bytes).map_err(MakeError::Write)
    }
}

/// A bias less a shift, rounded once.
#[expect(clippy::cast_possible_truncation, reason = "both are within the range of a float")]
pub(super) fn less(value: f32, shift: f64) -> f32 {
    (f64::from(value) - shift) as f32
}
