//! What was measured.

use serde::{Deserialize, Serialize};

use super::{Deviation, Measure};
use crate::stage::quantize::Rule;

/// What was measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sensitivity {
    /// What is compared.
    pub measure: Measure,
    /// The output that is compared.
    pub output: String,
    /// How many samples were run.
    pub samples: usize,
    /// How many decisions disagreement is a share of.
    pub decisions: usize,
    /// The engine. Example: `rten 0.27.0`.
    pub engine: String,
    /// The budget.
    pub budget: f64,
    /// The measure of the model with all operators quantized.
    pub whole: Deviation,
    /// Each operator with a weight that can be quantized, the most harmful first.
    pub operators: Vec<Harm>,
    /// The operators that stay float so that the budget is kept; nothing where no set was found.
    pub kept: Option<Kept>,
    /// Bytes of the float model.
    pub size_before: u64,
}

/// One operator, quantized alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Harm {
    /// The node's name, or that of its first output.
    pub node: String,
    /// Its operator.
    pub op: String,
    /// The measure of the model with this operator quantized and all others in floats.
    pub alone: Deviation,
}

/// A set of operators that stay float.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Kept {
    /// The rules of the stage: one for each of them, and those that were given.
    pub rules: Vec<Rule>,
    /// The measure of the model with these rules, on the samples that chose them: others may show more.
    pub measured: f64,
    /// Bytes of that model.
    pub size: u64,
}
