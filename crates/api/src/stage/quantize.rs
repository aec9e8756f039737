//! `quantize`: store weights in fewer bits.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema;

/// Store weights in fewer bits; exactly one method.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(transform = schema::closed)]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "has(self.dynamic)", "message": "quantize needs exactly one method: dynamic"}
]))]
pub struct Quantize {
    /// Weights quantized ahead, activations while the model runs. Needs no data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dynamic: Option<Dynamic>,
}

/// The method of a quantization, with what it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuantizeMethod<'a> {
    /// Weights ahead, activations while the model runs.
    Dynamic(&'a Dynamic),
}

impl Quantize {
    /// The method; `None` when the user wrote none, which the CRD refuses.
    pub fn method(&self) -> Option<QuantizeMethod<'_>> {
        self.dynamic.as_ref().map(QuantizeMethod::Dynamic)
    }
}

/// Dynamic quantization of `MatMul` and `Gemm`: weights ahead, activations while the model runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(transform = schema::closed)]
pub struct Dynamic {
    /// The type of the stored weights. Default and only value: `int8` (7 bits of it are used, so that no engine
    /// saturates).
    #[serde(default, skip_serializing_if = "WeightType::is_default")]
    pub weights: WeightType,
    /// One scale for each output channel, or one for the whole tensor. Default: `perChannel`.
    #[serde(default, skip_serializing_if = "Granularity::is_default")]
    pub granularity: Granularity,
}

/// The type of stored weights.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum WeightType {
    /// Signed 8-bit integers.
    #[default]
    Int8,
}

impl WeightType {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// How many scales a tensor has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Granularity {
    /// One scale for each output channel.
    #[default]
    PerChannel,
    /// One scale for the whole tensor.
    PerTensor,
}

impl Granularity {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}
