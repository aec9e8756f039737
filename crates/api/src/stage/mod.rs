//! `stages`: what is done to the model, in order. One file a kind.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema;

mod quantize;
mod simplify;
mod smooth;
mod static_quantize;

pub use quantize::{
    BiasCorrection, BlockFit, Dynamic, Granularity, Quantize, QuantizeMethod, Rule, StoredType, WeightOnly,
    WeightType,
};
pub use simplify::Simplify;
pub use smooth::Smooth;
pub use static_quantize::{CalibrationRange, Static};

/// One step of the pipeline: a name and exactly one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(transform = schema::closed)]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "[has(self.quantize), has(self.simplify), has(self.smooth)].filter(x, x).size() == 1", "message": "a stage needs exactly one kind: quantize, simplify or smooth"},
    {"rule": "self.name != 'source' && self.name != 'live'", "message": "a stage cannot be named source or live: those names mean the fetched model and the serving one"}
]))]
pub struct Stage {
    /// The stage's name, unique in the list. Example: `int8`.
    #[schemars(length(min = 1, max = 12), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,
    /// Store weights in fewer bits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantize: Option<Quantize>,
    /// The same model, with less in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub simplify: Option<Simplify>,
    /// The same model, with ranges that are easier to quantize.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub smooth: Option<Smooth>,
}

/// The kind of a stage, with what it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StageKind<'a> {
    /// Store weights in fewer bits.
    Quantize(&'a Quantize),
    /// The same model, with less in it.
    Simplify(&'a Simplify),
    /// The same model, with ranges that are easier to quantize.
    Smooth(&'a Smooth),
}

impl StageKind<'_> {
    /// The key under which a user writes this kind.
    pub fn key(&self) -> &'static str {
        match self {
            Self::Quantize(_) => "quantize",
            Self::Simplify(_) => "simplify",
            Self::Smooth(_) => "smooth",
        }
    }
}

impl Stage {
    /// The stage's kind; `None` when the user wrote none, which the CRD refuses.
    pub fn kind(&self) -> Option<StageKind<'_>> {
        let quantize = self.quantize.as_ref().map(StageKind::Quantize);
        let smooth = || self.smooth.as_ref().map(StageKind::Smooth);
        quantize.or_else(|| self.simplify.as_ref().map(StageKind::Simplify)).or_else(smooth)
    }

    /// How the stage is calibrated, where it needs data.
    pub fn calibrates(&self) -> Option<&Static> {
        self.quantize.as_ref()?.r#static.as_ref()
    }

    /// The data set on which the stage itself runs the model, where it does.
    pub fn looks_at(&self) -> Option<LooksAt<'_>> {
        match self.kind()? {
            StageKind::Quantize(quantize) => quantize.looks_at(),
            StageKind::Smooth(Smooth { data, alpha: _, samples }) => {
                Some(LooksAt { field: "smooth.data", data, samples: *samples })
            }
            StageKind::Simplify(_) => None,
        }
    }

    /// Every data set that the stage needs, each with the field that names it.
    pub fn data_sets(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let calibrates = self.calibrates().map(|spec| ("quantize.static.data", spec.data.as_str()));
        calibrates.into_iter().chain(self.looks_at().map(|looks| (looks.field, looks.data)))
    }
}

/// Data on which a stage runs its model while it works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LooksAt<'a> {
    /// The field that names the data. Example: `smooth.data`.
    pub field: &'static str,
    /// The data set's name.
    pub data: &'a str,
    /// The most samples that are run, spread evenly over all.
    pub samples: i32,
}

/// Samples that are run unless a user says otherwise.
fn default_samples() -> i32 {
    128
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_default_samples(samples: &i32) -> bool {
    *samples == default_samples()
}
