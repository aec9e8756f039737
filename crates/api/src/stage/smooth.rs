//! `smooth`: the same model, with ranges that are easier to quantize.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{default_samples, is_default_samples};
use crate::{Fraction, schema};

/// Move a part of the range of activations into the weights that they are multiplied with (`SmoothQuant`).
///
/// What the model computes stays the same but for rounding; a `quantize` stage after it loses less where a few channels
/// of an activation are far larger than the others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(transform = schema::closed)]
pub struct Smooth {
    /// The data set of `data` on which the model is run to see its activations: inputs as they occur in production, which
    /// the gate's need not be. Example: `calibration`.
    #[schemars(length(min = 1, max = 32))]
    pub data: String,
    /// The share of the range that moves: `"0"` makes weights even, `"1"` activations. Default: `"0.5"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alpha: Option<Fraction>,
    /// The most samples that are run, spread evenly over the data set. Default: 128.
    #[serde(default = "default_samples", skip_serializing_if = "is_default_samples")]
    #[schemars(range(min = 1, max = 100_000))]
    pub samples: i32,
}

impl Smooth {
    /// The share that moves where nobody says another.
    pub const ALPHA: &str = "0.5";

    /// Everything at its default.
    pub fn on(data: impl Into<String>) -> Self {
        Self { data: data.into(), alpha: None, samples: default_samples() }
    }
}
