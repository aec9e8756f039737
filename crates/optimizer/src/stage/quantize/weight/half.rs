//! 16-bit floats.

use std::io::Write;

use slipway_kernels::cast::{Losses, from_bfloat16, from_float16, to_bfloat16, to_float16};
use slipway_kernels::quantize::{Quality, abs_max};
use slipway_model::onnx::DataType;

use super::super::options::HalfFloat;
use super::{Loss, Outcome, Weight};
use crate::file::{MakeError, PIECE, Part, Reader};
use crate::graph::header;

pub(super) fn name(float: HalfFloat) -> String {
    data_type(float).name()
}

fn data_type(float: HalfFloat) -> DataType {
    match float {
        HalfFloat::Float16 => DataType::FLOAT16,
        HalfFloat::Bfloat16 => DataType::BFLOAT16,
    }
}

pub(super) fn parts(weight: &Weight, float: HalfFloat) -> Vec<Part> {
    let header = header(&weight.stored, &weight.layout.result_dims(), data_type(float));
    vec![Part { header, length: weight.layout.elements() as u64 * 2 }]
}

pub(super) fn make(
    weight: &Weight,
    float: HalfFloat,
    mut reader: Reader,
    sinks: &mut [&mut dyn Write],
) -> Result<Outcome, MakeError> {
    let elements = weight.layout.elements();
    let size = elements.min(PIECE);
    let (mut floats, mut words, mut back) = (vec![0.0; size], vec![0; size], vec![0.0; size]);
    let mut quality = Quality::default();
    let mut losses = Losses::default();
    for start in (0..elements).step_by(PIECE) {
        let size = PIECE.min(elements - start);
        let (floats, words, back) = (&mut floats[..size], &mut words[..size], &mut back[..size]);
        reader.read(start, floats)?;
        if !abs_max(floats).is_finite() {
            return Err(MakeError::NotFinite);
        }
        let lost = cast(float, floats, words, back);
        losses.merge(lost);
        quality.merge(Quality { saturated: lost.overflowed, ..error(floats, back) });
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        sinks[0].write_all(&bytes).map_err(MakeError::Write)?;
    }
    let loss = is_out_of_range(losses, &quality).then_some(Loss::Range);
    Ok(Outcome { quality, zeroed_channels: 0, loss })
}

/// Whether values were cut off, or so many turned to zero that more is lost than by rounding.
fn is_out_of_range(losses: Losses, quality: &Quality) -> bool {
    /// What rounding to the 8 bits of a brain float leaves, and a little less.
    const LEAST_DB: f64 = 40.0;
    losses.overflowed > 0
        || losses.underflowed > 0 && quality.sqnr_db().is_some_and(|decibels| decibels < LEAST_DB)
}

/// Casts values there and back.
fn cast(float: HalfFloat, floats: &[f32], words: &mut [u16], back: &mut [f32]) -> Losses {
    match float {
        HalfFloat::Float16 => {
            let losses = to_float16(floats, words);
            from_float16(words, back);
            losses
        }
        HalfFloat::Bfloat16 => {
            let losses = to_bfloat16(floats, words);
            from_bfloat16(words, back);
            losses
        }
    }
}

fn error(floats: &[f32], back: &[f32]) -> Quality {
    let mut quality = Quality::default();
    for (value, back) in floats.iter().zip(back) {
        let error = (value - back).abs();
        quality.max_error = quality.max_error.max(error);
        quality.squared_error += f64::from(error).powi(2);
        quality.squared_value += f64::from(*value).powi(2);
    }
    quality
}
