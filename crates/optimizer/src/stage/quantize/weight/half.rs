//! 16-bit floats.

use std::io::Write;

use half::{bf16, f16};
use slipway_kernels::quantize::Quality;
use slipway_model::onnx::DataType;

use super::super::options::HalfFloat;
use super::reader::{PIECE, Reader};
use super::{Outcome, Weight};
use crate::file::{MakeError, Part};
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
    let mut quality = Quality::default();
    let (mut floats, mut bytes) = (vec![0.0; elements.min(PIECE)], Vec::new());
    for start in (0..elements).step_by(PIECE) {
        let floats = &mut floats[..PIECE.min(elements - start)];
        reader.read(start, floats)?;
        bytes.clear();
        for value in floats {
            if !value.is_finite() {
                return Err(MakeError::NotFinite);
            }
            let (narrow, back, beyond) = narrow(*value, float);
            bytes.extend(narrow.to_le_bytes());
            quality.merge(one(*value, back, beyond));
        }
        sinks[0].write_all(&bytes).map_err(MakeError::Write)?;
    }
    Ok(Outcome { quality, is_lost: false })
}

/// The bits of the nearest 16-bit float, its value, and whether it is the end of the range.
fn narrow(value: f32, float: HalfFloat) -> (u16, f32, bool) {
    match float {
        HalfFloat::Float16 => {
            let clamped = value.clamp(f16::MIN.to_f32(), f16::MAX.to_f32());
            let half = f16::from_f32(clamped);
            (half.to_bits(), half.to_f32(), clamped != value)
        }
        HalfFloat::Bfloat16 => {
            let half = bf16::from_f32(value);
            let half = if half.is_finite() { half } else { bf16::MAX.copysign(half) };
            (half.to_bits(), half.to_f32(), false)
        }
    }
}

fn one(value: f32, back: f32, beyond: bool) -> Quality {
    let error = (value - back).abs();
    Quality {
        max_error: error,
        squared_error: f64::from(error).powi(2),
        squared_value: f64::from(value).powi(2),
        saturated: u64::from(beyond),
    }
}
