//! `quantize.static`: integers by what activations are on calibration data.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Granularity, default_samples, is_default_samples};
use crate::{Percent, schema};

/// Static quantization: weights and activations ahead, by what activations are on calibration data.
///
/// For ONNX Runtime: the built-in engine computes such a model in floats, and slower than the float model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(transform = schema::closed)]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "!has(self.percentile) || has(self.range) && self.range == 'Percentile'", "message": "percentile is for range: Percentile"}
]))]
pub struct Static {
    /// The data set of `data` on which the model is run to see its activations: inputs as they occur in production, which
    /// the gate's need not be. Example: `calibration`.
    #[schemars(length(min = 1, max = 32))]
    pub data: String,
    /// How the range of an activation is chosen. Default: `Mse`.
    #[serde(default, skip_serializing_if = "CalibrationRange::is_default")]
    pub range: CalibrationRange,
    /// The share of values that the range holds, in percent; for `range: Percentile`. Default: `99.99`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percentile: Option<Percent>,
    /// The most samples that are run, spread evenly over the data set. Default: 128.
    #[serde(default = "default_samples", skip_serializing_if = "is_default_samples")]
    #[schemars(range(min = 1, max = 100_000))]
    pub samples: i32,
    /// One scale for each output channel of a weight, or one for the whole tensor. Default: `perChannel`.
    #[serde(default, skip_serializing_if = "Granularity::is_default")]
    pub granularity: Granularity,
}

impl Static {
    /// Everything at its default.
    pub fn on(data: impl Into<String>) -> Self {
        Self {
            data: data.into(),
            range: CalibrationRange::default(),
            percentile: None,
            samples: default_samples(),
            granularity: Granularity::default(),
        }
    }
}

/// How the range of an activation is chosen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CalibrationRange {
    /// The range of the least squared error.
    #[default]
    Mse,
    /// All values.
    MinMax,
    /// A share of the values.
    Percentile,
    /// The range that loses least information, in the sense of Kullback and Leibler.
    Entropy,
}

impl CalibrationRange {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}
