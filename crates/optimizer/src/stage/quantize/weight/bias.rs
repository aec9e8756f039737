//! Biases of integer sums: `int32` at the scale of the sum, the activation's times the weight's.

use std::io::{self, Write};
use std::sync::Arc;

use slipway_kernels::quantize::quantize_bias;
use slipway_model::onnx::{DataType, Payload};

use super::super::form::IntegerBias;
use super::corrected::less;
use crate::file::{MakeError, Part, Reader};
use crate::graph::header;

/// The largest bias in steps. Weights are chosen so that sums of their products take no more than the other half.
const LARGEST: f64 = (1 << 30) as f64;

/// What takes the place of a bias, by the names that its nodes know.
#[derive(Debug)]
pub(in super::super) struct BiasTensor {
    pub(in super::super) integers: String,
    pub(in super::super) scale: String,
    pub(in super::super) bias: IntegerBias,
}

/// A bias, and where its floats lie.
#[derive(Debug)]
pub(in super::super) struct Bias {
    pub(in super::super) tensor: BiasTensor,
    pub(in super::super) payload: Payload,
    pub(in super::super) data_type: DataType,
    /// The means of what goes into its product, where it is going to be corrected.
    pub(in super::super) means: Option<Arc<[f64]>>,
}

/// Reads every bias, times its factor.
pub(super) fn read(biases: &[Bias], channels: usize) -> Result<Vec<Vec<f32>>, MakeError> {
    let one = |bias: &Bias| {
        let mut values = vec![0.0; channels];
        Reader::open(&bias.payload, bias.data_type)?.read(0, &mut values)?;
        for value in &mut values {
            *value *= bias.tensor.bias.factor;
        }
        if values.iter().all(|value| value.is_finite()) { Ok(values) } else { Err(MakeError::NotFinite) }
    };
    biases.iter().map(one).collect()
}

/// Raises the scales of a weight until every bias fits its integers, and no scale of a sum is too small for a float.
pub(super) fn raise(biases: &[Bias], values: &[Vec<f32>], scales: &mut [f32]) {
    for (bias, values) in biases.iter().zip(values) {
        let input = f64::from(bias.tensor.bias.input_scale);
        for (channel, value) in values.iter().enumerate() {
            let scale = if scales.len() == 1 { &mut scales[0] } else { &mut scales[channel] };
            let least = (f64::from(*value).abs() / LARGEST).max(f64::from(f32::MIN_POSITIVE)) / input;
            if f64::from(*scale) < least {
                *scale = above(least);
            }
        }
    }
}

/// The smallest float that is not below.
#[expect(
    clippy::cast_possible_truncation,
    reason = "what rounds down is raised, and what overflows stays finite"
)]
fn above(value: f64) -> f32 {
    let near = (value as f32).min(f32::MAX);
    if f64::from(near) < value && near < f32::MAX { near.next_up() } else { near }
}

impl Bias {
    pub(super) fn parts(&self, channels: usize, scales: usize, per_channel: bool) -> [Part; 2] {
        let dims = [i64::try_from(channels).unwrap_or(i64::MAX)];
        let of_scales = if per_channel { &dims[..] } else { &[] };
        let bytes = |count: usize| count as u64 * 4;
        [
            Part { header: header(&self.tensor.integers, &dims, DataType::INT32), length: bytes(channels) },
            Part { header: header(&self.tensor.scale, of_scales, DataType::FLOAT), length: bytes(scales) },
        ]
    }

    /// Writes integers and scales to two sinks; the integers of the values less a shift, where there is one.
    pub(super) fn write(
        &self,
        values: &[f32],
        shift: Option<&[f64]>,
        scales: &[f32],
        sinks: &mut [&mut dyn Write],
    ) -> Result<(), MakeError> {
        let shifted: Option<Vec<f32>> =
            shift.map(|shift| values.iter().zip(shift).map(|(value, shift)| less(*value, *shift)).collect());
        let values = shifted.as_deref().unwrap_or(values);
        let products: Vec<f32> = scales.iter().map(|scale| scale * self.tensor.bias.input_scale).collect();
        let exact: Vec<f64> = products.iter().copied().map(f64::from).collect();
        let mut integers = vec![0; values.len()];
        quantize_bias(values, &exact, &mut integers)
            .map_err(|error| MakeError::Read(io::Error::other(error.to_string())))?;
        let bytes: Vec<u8> = integers.iter().flat_map(|value| value.to_le_bytes()).collect();
        sinks[0].write_all(&bytes).map_err(MakeError::Write)?;
        let bytes: Vec<u8> = products.iter().flat_map(|value| value.to_le_bytes()).collect();
        sinks[1].write_all(&bytes).map_err(MakeError::Write)
    }
}
