//! What a caller may choose.

use serde::{Deserialize, Serialize};
use slipway_kernels::quantize::Scheme;

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

/// The element type of quantized weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum WeightType {
    /// Symmetric `int8`.
    Int8 {
        /// Use 7 of the 8 bits, so that sums cannot saturate on x86 without VNNI.
        reduce_range: bool,
    },
}

impl Default for WeightType {
    /// Seven bits: a model is served on CPUs that nobody knows when it is quantized.
    fn default() -> Self {
        Self::Int8 { reduce_range: true }
    }
}

impl WeightType {
    pub(super) fn scheme(self) -> Scheme {
        match self {
            Self::Int8 { reduce_range: true } => Scheme::INT8_REDUCED,
            Self::Int8 { reduce_range: false } => Scheme::INT8,
        }
    }
}

/// Options of [`quantize_dynamic`](super::quantize_dynamic).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DynamicOptions {
    /// How many values share a scale.
    pub granularity: Granularity,
    /// The element type of quantized weights.
    pub weights: WeightType,
    /// Weights of fewer elements stay float: the nodes around them would cost more bytes.
    pub least_elements: u64,
    /// Bytes of tensors up to which the output keeps them in the model file.
    pub inline_limit: u64,
    /// Keep a result that is not smaller than the input.
    pub allow_bigger: bool,
}

impl Default for DynamicOptions {
    fn default() -> Self {
        Self {
            granularity: Granularity::default(),
            weights: WeightType::default(),
            least_elements: 128,
            inline_limit: 1_500_000_000,
            allow_bigger: false,
        }
    }
}
