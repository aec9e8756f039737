//! One weight on its way from floats to fewer bits.
//!
//! The float tensor is read in pieces that fit the second-level cache, so memory depends neither
//! on the tensor nor on the model.

mod bias;
mod blocks;
mod channels;
mod corrected;
mod expected;
mod fitted;
mod gptq;
mod half;
mod inputs;
mod layout;
mod ordered;
mod panels;
mod scales;

use std::io::Write;

use slipway_kernels::quantize::Quality;
use slipway_model::onnx::{DataType, Payload};

use super::report::{Form, TensorReport};
use crate::file::{MakeError, Part, Producer, Reader};
use fitted::Fitted;

pub(super) use bias::{Bias, BiasTensor};
pub(super) use blocks::Blocks;
pub(super) use channels::Channels;
pub(super) use corrected::CorrectedBias;
pub(super) use gptq::fit;
pub(super) use inputs::Inputs;
pub(super) use layout::Layout;
pub(super) use ordered::Ordered;
pub(super) use scales::ScaleTensor;

use super::options::HalfFloat;

/// How a weight is stored.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Encoding {
    /// A byte a value, with one scale for all or one for each channel.
    Channels(Channels),
    /// Four bits a value, with a scale for each block of a column.
    Blocks(Blocks),
    /// A byte a value, with a scale for each block of a channel.
    Ordered(Ordered),
    /// 16-bit floats.
    Half(HalfFloat),
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
    /// Biases of the sums of its products.
    pub(super) biases: Vec<Bias>,
    /// Biases in floats that are corrected with it.
    pub(super) corrected: Vec<CorrectedBias>,
    /// The name of the tensor of zero points, where blocks have them.
    pub(super) zero_points: Option<String>,
    /// Something else still uses the float tensor.
    pub(super) float_kept: bool,
    /// What it is multiplied with.
    pub(super) inputs: Inputs,
    /// Its integers, where they were chosen by data.
    pub(super) fitted: Option<Fitted>,
}

/// A weight that was stored.
pub(super) struct Stored {
    pub(super) report: TensorReport,
    /// Why too little is left of it to use it.
    pub(super) loss: Option<Loss>,
}

/// What an encoding tells of its work.
struct Outcome {
    quality: Quality,
    lost_channels: u64,
    loss: Option<Loss>,
}

/// Why too little would be left of a weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Loss {
    /// One scale for all turns most channels to zero.
    Channels,
    /// Values lie beyond the largest of the 16-bit floats.
    TooLarge,
    /// Most channels, or what counts of the weight, are too small for the 16-bit floats.
    TooSmall,
}

impl std::fmt::Display for Loss {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Channels => {
                "one scale for all of it would turn most channels to zero: use a scale for each"
            }
            Self::TooLarge => "values lie beyond the largest 16-bit float: use 8-bit integers",
            Self::TooSmall => {
                "its values, or those of most channels, are too small for 16-bit floats: use 8-bit integers"
            }
        })
    }
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
        match &self.encoding {
            Encoding::Channels(channels) => channels.parts(self),
            Encoding::Blocks(blocks) => blocks.parts(self),
            Encoding::Ordered(ordered) => ordered.parts(self),
            Encoding::Half(float) => half::parts(self, *float),
        }
    }

    fn make(&self, sinks: &mut [&mut dyn Write]) -> Result<Stored, MakeError> {
        let reader = Reader::open(&self.payload, self.data_type)?;
        let outcome = match &self.encoding {
            Encoding::Channels(channels) => channels.make(self, reader, sinks),
            Encoding::Blocks(blocks) => blocks.make(self, reader, sinks),
            Encoding::Ordered(ordered) => ordered.make(self, reader, sinks),
            Encoding::Half(float) => half::make(self, *float, reader, sinks),
        }?;
        Ok(Stored { loss: outcome.loss, report: self.report(&outcome) })
    }
}

/// Why a figure of a weight's quality is missing.
fn unmeasured(quality: Quality) -> Option<String> {
    let is_measured = quality.max_error.is_finite() && quality.sqnr_db().is_none_or(f64::is_finite);
    (!is_measured).then(|| "its values are too large to be squared".to_owned())
}

impl Weight {
    fn report(&self, outcome: &Outcome) -> TensorReport {
        let quality = outcome.quality;
        let (scheme, scales) = match &self.encoding {
            Encoding::Channels(channels) => (channels.name(), channels.scales(&self.layout)),
            Encoding::Blocks(blocks) => (blocks.name(), blocks.scales(&self.layout)),
            Encoding::Ordered(ordered) => (ordered.name(), ordered.scales(&self.layout)),
            Encoding::Half(float) => (half::name(*float), 0),
        };
        TensorReport {
            name: self.name.clone(),
            shape: self.layout.result_dims().iter().map(|dim| dim.unsigned_abs()).collect(),
            form: self.form,
            scheme,
            scales: scales as u64,
            max_error: Some(quality.max_error).filter(|error| error.is_finite()),
            sqnr_db: quality.sqnr_db().filter(|decibels| decibels.is_finite()),
            unmeasured: unmeasured(quality),
            saturated: quality.saturated,
            lost_channels: outcome.lost_channels,
            float_kept: self.float_kept,
            bias_corrected: !self.corrected.is_empty() || self.biases.iter().any(|bias| bias.means.is_some()),
            on_data: self.fitted.is_some(),
        }
    }
}
