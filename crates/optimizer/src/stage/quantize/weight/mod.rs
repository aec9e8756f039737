//! One weight on its way from floats to fewer bits.
//!
//! The float tensor is read in pieces that fit the second-level cache, once for its ranges and
//! once for its values, so memory depends neither on the tensor nor on the model.

mod channels;
mod layout;
mod reader;
mod scales;

use std::io::Write;

use slipway_kernels::quantize::Quality;
use slipway_model::onnx::{DataType, Payload};

use super::report::{Form, TensorReport};
use crate::file::{MakeError, Part, Producer};
use crate::graph::header;

pub(super) use channels::Channels;
pub(super) use layout::Layout;
pub(super) use reader::is_readable;
pub(super) use scales::ScaleTensor;

/// How a weight is stored.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Encoding {
    /// A byte a value, with one scale for all or one for each channel.
    Channels(Channels),
}

/// A float tensor, and what becomes of it.
#[derive(Debug)]
pub(super) struct Weight {
    /// The name of the float tensor.
    pub(super) name: String,
    /// The name of the tensor that takes its place.
    pub(super) stored: String,
    pub(super) payload: Payload,
    pub(super) data_type: DataType,
    pub(super) layout: Layout,
    pub(super) form: Form,
    pub(super) encoding: Encoding,
    pub(super) scales: Vec<ScaleTensor>,
    /// Something else still uses the float tensor.
    pub(super) float_kept: bool,
}

/// A weight that was stored.
pub(super) struct Stored {
    pub(super) report: TensorReport,
    /// One scale for all would turn whole channels to zero.
    pub(super) is_lost: bool,
}

impl Producer for Weight {
    type Report = Stored;

    fn name(&self) -> &str {
        &self.name
    }

    fn work(&self) -> u64 {
        self.payload.len()
    }

    fn parts(&self) -> Vec<Part> {
        let Encoding::Channels(channels) = &self.encoding;
        let dims = self.layout.result_dims();
        let data = Part {
            header: header(&self.stored, &dims, channels.data_type()),
            length: self.layout.elements() as u64,
        };
        let count = channels.scales(&self.layout);
        std::iter::once(data).chain(self.scales.iter().map(|scale| scale.part(count))).collect()
    }

    fn make(&self, sinks: &mut [&mut dyn Write]) -> Result<Stored, MakeError> {
        let Encoding::Channels(channels) = &self.encoding;
        let (data, rest) = sinks.split_first_mut().expect("one sink for each part");
        let mut reader = reader::Reader::open(&self.payload, self.data_type)?;
        let maxima = channels::maxima(&self.layout, &mut reader)?;
        let scales = channels.scales_of(&maxima);
        let quality = channels.write(&self.layout, &mut reader, &scales, *data)?;
        for (tensor, sink) in self.scales.iter().zip(rest) {
            tensor.write(&scales, *sink).map_err(MakeError::Write)?;
        }
        Ok(Stored {
            report: self.report(&scales, quality),
            is_lost: channels::loses_channels(&maxima, &scales),
        })
    }
}

impl Weight {
    fn report(&self, scales: &[f32], quality: Quality) -> TensorReport {
        let Encoding::Channels(channels) = &self.encoding;
        TensorReport {
            name: self.name.clone(),
            shape: self.layout.result_dims().iter().map(|dim| dim.unsigned_abs()).collect(),
            form: self.form,
            scheme: channels.name(),
            granularity: channels.granularity,
            scale_min: scales.iter().copied().fold(f32::INFINITY, f32::min),
            scale_max: scales.iter().copied().fold(0.0, f32::max),
            max_error: quality.max_error,
            sqnr_db: quality.sqnr_db(),
            saturated: quality.saturated,
            float_kept: self.float_kept,
        }
    }
}
