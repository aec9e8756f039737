//! What a caller may choose.

use serde::{Deserialize, Serialize};

use super::rules::Rule;

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
#[serde(rename_all = "camelCase")]
pub enum Method {
    /// Weights ahead, activations while the model runs: integer arithmetic.
    Dynamic {
        /// How many weights share a scale.
        granularity: Granularity,
        /// Use 7 of the 8 bits, so that sums cannot saturate on x86 without VNNI.
        reduce_range: bool,
    },
    /// Weights alone: they are stored in 8 bits and computed with as floats.
    WeightOnly {
        /// How many weights share a scale.
        granularity: Granularity,
    },
}

impl Default for Method {
    /// Dynamic, in seven bits: a model is served on CPUs that nobody knows when it is quantized.
    fn default() -> Self {
        Self::Dynamic { granularity: Granularity::default(), reduce_range: true }
    }
}

impl Method {
    /// How many weights share a scale.
    pub fn granularity(self) -> Granularity {
        match self {
            Self::Dynamic { granularity, .. } | Self::WeightOnly { granularity } => granularity,
        }
    }
}

/// Options of [`quantize`](super::quantize).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// What is quantized, and how.
    pub method: Method,
    /// Exceptions by name; of those that match, the first counts.
    pub rules: Vec<Rule>,
    /// Weights of fewer elements stay float: the nodes around them would cost more bytes.
    pub least_elements: u64,
    /// Bytes of tensors up to which the output keeps them in the model file.
    pub inline_limit: u64,
    /// Keep a result that is not smaller than the input.
    pub allow_bigger: bool,
    /// The digest of the input, where it is known: it is written into the output's metadata.
    pub source: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            method: Method::default(),
            rules: Vec::new(),
            least_elements: 128,
            inline_limit: 1_500_000_000,
            allow_bigger: false,
            source: None,
        }
    }
}
