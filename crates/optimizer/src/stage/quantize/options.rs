//! What a caller may choose.

use serde::{Deserialize, Serialize};

use super::rules::Rule;
use crate::calibrate::{Calibration, Data};

/// How many values share a scale.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Granularity {
    /// One scale a tensor.
    PerTensor,
    /// One scale an output channel: more exact, and as fast.
    #[default]
    PerChannel,
}

/// What is quantized, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Method {
    /// Weights ahead, activations while the model runs: integer arithmetic.
    Dynamic {
        /// How many weights share a scale.
        granularity: Granularity,
        /// Use 7 of the 8 bits, so that sums cannot saturate on x86 without VNNI.
        reduce_range: bool,
    },
    /// Weights and activations ahead, by what activations were on calibration data: `QuantizeLinear` and
    /// `DequantizeLinear` around every operator that engines compute in integers then.
    Static {
        /// How many weights share a scale; one for each channel needs opset 13.
        granularity: Granularity,
        /// Use 7 of the 8 bits of weights, so that sums cannot saturate on x86 without VNNI.
        reduce_range: bool,
    },
    /// Weights alone, in 8 bits: engines bring them back to floats when they load the model.
    Eight {
        /// How many weights share a scale.
        granularity: Granularity,
    },
    /// Weights alone, in 8 bits, matrices and tables with a scale for each block along their depth; what such blocks do
    /// not divide as [`Eight`](Self::Eight).
    EightInBlocks {
        /// Weights of a block: a power of two from 16 to 256.
        block: u32,
        /// How the scale of a block is chosen: [`Fit::Nearest`] or [`Fit::LeastSquares`].
        fit: Fit,
    },
    /// Matrices in 4 bits, with a scale for each block of a column; other weights as
    /// [`Eight`](Self::Eight), and matrices too that the engine cannot take in blocks.
    Four {
        /// Weights of a block: a power of two from 16 to 256.
        block: u32,
        /// A zero point for each block: for weights that do not lie around zero.
        zero_points: bool,
        /// How the scale of a block is chosen.
        fit: Fit,
    },
    /// Weights alone, as 16-bit floats.
    Half {
        /// Which 16-bit floats.
        float: HalfFloat,
    },
}

/// How the scale of a block is chosen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Fit {
    /// From the range alone, bit for bit as ONNX Runtime's quantizer.
    Nearest,
    /// The scale of the least squared error.
    #[default]
    LeastSquares,
    /// The zero point of a half-quadratic search (HQQ), which forgives outliers.
    HalfQuadratic,
    /// Weights one after the other, each making up for the errors of those before it, by what goes into the product on
    /// [`Options::data`] (GPTQ); scales are of the least squared error. A product whose input cannot be seen, or whose
    /// second moments do not fit [`Data::memory`], gets [`LeastSquares`](Self::LeastSquares), and a note says so.
    Gptq,
}

/// Which 16-bit floats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum HalfFloat {
    /// IEEE: 11 bits of precision, up to 65,504.
    Float16,
    /// The upper half of a single: 8 bits of precision, the range of singles.
    Bfloat16,
}

impl Default for Method {
    /// Dynamic, in seven bits: a model is served on CPUs that nobody knows when it is quantized.
    fn default() -> Self {
        Self::Dynamic { granularity: Granularity::default(), reduce_range: true }
    }
}

impl Method {
    /// Whether the model is run on [`Options::data`].
    pub fn looks_at_data(self) -> bool {
        matches!(self, Self::Four { fit: Fit::Gptq, .. })
    }

    /// How many weights of a byte share a scale.
    pub fn granularity(self) -> Granularity {
        match self {
            Self::Dynamic { granularity, .. }
            | Self::Static { granularity, .. }
            | Self::Eight { granularity } => granularity,
            Self::EightInBlocks { .. } | Self::Four { .. } | Self::Half { .. } => Granularity::PerChannel,
        }
    }

    /// Weights that share a scale, where it is a number of them.
    pub(super) fn block(self) -> Option<u32> {
        match self {
            Self::EightInBlocks { block, .. } | Self::Four { block, .. } => Some(block),
            Self::Dynamic { .. } | Self::Static { .. } | Self::Eight { .. } | Self::Half { .. } => None,
        }
    }
}

/// The engine that is going to run the model, which decides the forms that it may have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Engine {
    /// The built-in one: blocks must divide the depth of a matrix and have no zero points, and
    /// 16-bit brain floats cannot be loaded.
    #[default]
    Rten,
    /// ONNX Runtime.
    OnnxRuntime,
}

/// Options of [`quantize`](super::quantize).
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// What is quantized, and how.
    pub method: Method,
    /// The engine that is going to run the model.
    pub engine: Engine,
    /// Exceptions by name; of those that match, the first counts.
    pub rules: Vec<Rule>,
    /// What activations were on calibration data: for [`Method::Static`], which needs it.
    pub calibration: Option<Calibration>,
    /// Samples to run the model on: for [`Fit::Gptq`], which needs them.
    pub data: Option<Data>,
    /// Samples to run the model on, so that the bias of each product can make up for what quantizing its weight adds to its
    /// outputs on average (bias correction); nothing is corrected without them.
    pub bias_correction: Option<Data>,
    /// Weights of fewer elements stay float: the nodes around them would cost more bytes.
    pub least_elements: u64,
    /// Bytes of tensors up to which the output keeps them in the model file.
    pub inline_limit: u64,
    /// Keep a result that is not smaller than the input.
    pub allow_bigger: bool,
    /// The digest of the input that the output's metadata names; its files are read for it where it is not known.
    pub source: Option<String>,
}

impl Options {
    /// The most rules that a stage takes.
    pub const MOST_RULES: usize = 64;
}

impl Default for Options {
    fn default() -> Self {
        Self {
            method: Method::default(),
            engine: Engine::default(),
            rules: Vec::new(),
            calibration: None,
            data: None,
            bias_correction: None,
            least_elements: 128,
            inline_limit: 1_500_000_000,
            allow_bigger: false,
            source: None,
        }
    }
}
