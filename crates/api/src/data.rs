//! `data`: named data sets, which the gate and stages refer to.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Source, pod, schema};

/// A named data set: arrays whose leading axis counts samples.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(transform = schema::closed)]
pub struct DataSet {
    /// What the gate and stages call it. Example: `holdout`.
    #[schemars(length(min = 1, max = 32), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,
    /// Where it comes from.
    pub source: Source,
    /// How it is written. Default and only value: `npz` (NumPy arrays in a zip; object arrays are refused).
    #[serde(default, skip_serializing_if = "DataFormat::is_default")]
    pub format: DataFormat,
    /// Model input to array name; left out where the names agree. Example: `{ pixels: x }`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32), schema_with = "pod::strings")]
    pub inputs: BTreeMap<String, String>,
    /// Model input to the array that says how much of each sample counts, as integers: what is behind is padding and cut off,
    /// along the last axis that the model leaves open. Example: `{ input_ids: n }`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32), schema_with = "pod::strings")]
    pub lengths: BTreeMap<String, String>,
    /// The array that holds the true class of each sample, as integers. Example: `labels`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub labels: Option<String>,
}

/// How a data set is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DataFormat {
    /// `NumPy` arrays in a zip file.
    #[default]
    Npz,
}

impl DataFormat {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}
