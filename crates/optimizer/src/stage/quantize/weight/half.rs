//! 16-bit floats.

use std::io::Write;

use slipway_kernels::cast::{Losses, from_bfloat16, from_float16, to_bfloat16, to_float16};
use slipway_kernels::quantize::{Quality, abs_max};
use slipway_model::onnx::DataType;

use super::super::options::HalfFloat;
use super::channels::{Channel, Lost, runs};
use super::layout::Layout;
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
    let mut kept = Kept::new(weight.layout.channels());
    for start in (0..elements).step_by(PIECE) {
        let size = PIECE.min(elements - start);
        let (floats, words, back) = (&mut floats[..size], &mut words[..size], &mut back[..size]);
        reader.read(start, floats)?;
        if !abs_max(floats).is_finite() {
            return Err(MakeError::NotFinite);
        }
        let lost = cast(float, floats, words, back);
        losses.merge(lost);
        kept.add(&weight.layout, start, floats, back);
        quality.merge(Quality { saturated: lost.overflowed, ..error(floats, back) });
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        sinks[0].write_all(&bytes).map_err(MakeError::Write)?;
    }
    let channels = kept.lost();
    let loss = if losses.overflowed > 0 {
        Some(Loss::TooLarge)
    } else if channels.are_most || is_lost(quality.squared_value, quality.squared_error) {
        Some(Loss::TooSmall)
    } else {
        None
    };
    Ok(Outcome { quality, lost_channels: channels.count, loss })
}

/// Squares of what each channel held, and of what it lost.
struct Kept {
    values: Vec<f64>,
    errors: Vec<f64>,
}

impl Kept {
    fn new(channels: usize) -> Self {
        Self { values: vec![0.0; channels], errors: vec![0.0; channels] }
    }

    /// Adds values from index `start` on, and what the cast left of them.
    fn add(&mut self, layout: &Layout, start: usize, floats: &[f32], back: &[f32]) {
        for run in runs(layout, start, floats.len()) {
            let pairs = floats[run.values.clone()].iter().zip(&back[run.values]);
            let squares =
                pairs.map(|(value, back)| (f64::from(*value).powi(2), f64::from(value - back).powi(2)));
            let channels = match run.channels {
                Channel::One(channel) => channel..channel + 1,
                Channel::Rows(channels) => channels,
            };
            let width = channels.len();
            let (values, errors) = (&mut self.values[channels.clone()], &mut self.errors[channels]);
            for (index, (value, error)) in squares.enumerate() {
                values[index % width] += value;
                errors[index % width] += error;
            }
        }
    }

    /// The channels whose values are too small for the float, or so small that it has few bits for them.
    fn lost(&self) -> Lost {
        let alive = self.values.iter().filter(|value| **value > 0.0).count();
        let pairs = self.values.iter().zip(&self.errors);
        Lost::of(pairs.filter(|(value, error)| is_lost(**value, **error)).count(), alive)
    }
}

/// Whether more is lost than by rounding, of squares that add up to this.
fn is_lost(value: f64, error: f64) -> bool {
    /// What rounding to the 8 bits of a brain float leaves, and a little more: 40 dB.
    const MOST: f64 = 1e-4;
    error > value * MOST
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
