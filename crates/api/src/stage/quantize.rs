//! `quantize`: store weights in fewer bits.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{LooksAt, Static, default_samples, is_default_samples};
use crate::schema;

/// Store weights in fewer bits; exactly one method.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(transform = schema::closed)]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "[has(self.dynamic), has(self.static), has(self.weightOnly)].filter(x, x).size() == 1", "message": "quantize needs exactly one method: dynamic, static or weightOnly"},
    {"rule": "!has(self.biasCorrection) || !has(self.weightOnly) || !has(self.weightOnly.weights) || self.weightOnly.weights in ['int8', 'int4']", "message": "biasCorrection is for integers: leave it out of 16-bit floats"},
    {"rule": "!has(self.biasCorrection) || !has(self.weightOnly) || !has(self.weightOnly.data)", "message": "fit: Gptq sees its data already: leave biasCorrection out"}
]))]
pub struct Quantize {
    /// Weights quantized ahead, activations while the model runs. Needs no data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dynamic: Option<Dynamic>,
    /// Weights and activations quantized ahead, by what activations are on calibration data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub r#static: Option<Static>,
    /// Weights alone: a smaller file that computes in floats. Needs no data, but for `fit: Gptq`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight_only: Option<WeightOnly>,
    /// Let the bias of each product make up for what quantizing its weight adds to its outputs on average. Default: not done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bias_correction: Option<BiasCorrection>,
    /// Exceptions by name; of those that match, the first counts. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub rules: Vec<Rule>,
}

/// On what the outputs of products are looked at for the correction of their biases.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(transform = schema::closed)]
pub struct BiasCorrection {
    /// The data set of `data` on which the model is run to see what goes into its products: inputs as they occur in
    /// production. Example: `calibration`.
    #[schemars(length(min = 1, max = 32))]
    pub data: String,
    /// The most samples that are run, spread evenly over the data set. Default: 128.
    #[serde(default = "default_samples", skip_serializing_if = "is_default_samples")]
    #[schemars(range(min = 1, max = 100_000))]
    pub samples: i32,
}

impl BiasCorrection {
    /// Everything at its default.
    pub fn on(data: impl Into<String>) -> Self {
        Self { data: data.into(), samples: default_samples() }
    }
}

/// The method of a quantization, with what it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuantizeMethod<'a> {
    /// Weights ahead, activations while the model runs.
    Dynamic(&'a Dynamic),
    /// Weights and activations ahead.
    Static(&'a Static),
    /// Weights alone.
    WeightOnly(&'a WeightOnly),
}

impl Quantize {
    /// The data set on which the stage itself runs the model, where it does.
    pub(super) fn looks_at(&self) -> Option<LooksAt<'_>> {
        let chosen_by =
            self.weight_only.as_ref().and_then(|spec| Some((spec.data.as_deref()?, spec.samples)));
        let chosen_by =
            chosen_by.map(|(data, samples)| LooksAt { field: "quantize.weightOnly.data", data, samples });
        let corrected_by = self.bias_correction.as_ref().map(|BiasCorrection { data, samples }| LooksAt {
            field: "quantize.biasCorrection.data",
            data,
            samples: *samples,
        });
        chosen_by.or(corrected_by)
    }

    /// The method; `None` when the user wrote none, which the CRD refuses.
    pub fn method(&self) -> Option<QuantizeMethod<'_>> {
        let dynamic = self.dynamic.as_ref().map(QuantizeMethod::Dynamic);
        let fixed = || self.r#static.as_ref().map(QuantizeMethod::Static);
        dynamic.or_else(fixed).or_else(|| self.weight_only.as_ref().map(QuantizeMethod::WeightOnly))
    }
}

/// Dynamic quantization: integer arithmetic, with weights ahead and activations while the model runs.
///
/// `MatMul`, `Gemm` and `Conv` compute in integers, `Gather` looks up integers, and the weights of other operators are
/// stored in 8 bits.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(transform = schema::closed)]
pub struct Dynamic {
    /// The type of the stored weights. Default and only value: `int8` (7 bits of it are used where integers are
    /// multiplied, so that no engine saturates).
    #[serde(default, skip_serializing_if = "WeightType::is_default")]
    pub weights: WeightType,
    /// One scale for each output channel, or one for the whole tensor. Default: `perChannel`.
    #[serde(default, skip_serializing_if = "Granularity::is_default")]
    pub granularity: Granularity,
}

/// Weights alone in fewer bits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(transform = schema::closed)]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "!has(self.granularity) || !has(self.weights) || self.weights == 'int8'", "message": "granularity is for weights: int8"},
    {"rule": "!has(self.block) || !has(self.weights) || self.weights in ['int8', 'int4']", "message": "block is for weights: int8 and int4"},
    {"rule": "!has(self.block) || !has(self.granularity)", "message": "a block has a scale of its own: leave granularity or block out"},
    {"rule": "!has(self.zeroPoints) || has(self.weights) && self.weights == 'int4'", "message": "zeroPoints is for weights: int4"},
    {"rule": "!has(self.fit) || has(self.weights) && self.weights == 'int4' || has(self.block) && self.fit in ['LeastSquares', 'Nearest']", "message": "fit is for weights: int4, and LeastSquares and Nearest for weights: int8 with a block"},
    {"rule": "!has(self.fit) || self.fit != 'HalfQuadratic' || has(self.zeroPoints) && self.zeroPoints", "message": "fit: HalfQuadratic looks for zero points: it needs zeroPoints: true"},
    {"rule": "has(self.data) == (has(self.fit) && self.fit == 'Gptq')", "message": "fit: Gptq needs data, and data is for fit: Gptq"},
    {"rule": "!has(self.samples) || has(self.data)", "message": "samples is for fit: Gptq"}
]))]
pub struct WeightOnly {
    /// The type of the stored weights. `int8`: a byte each, and a scale for each channel, or for each `block` of one.
    /// `int4`: matrices in blocks of four bits, other weights as `int8`. `float16`: half the size, and nearly nothing lost. `bfloat16`: half the
    /// size and the range of singles, for `backend: onnxruntime`. Default: `int8`.
    #[serde(default, skip_serializing_if = "StoredType::is_default")]
    pub weights: StoredType,
    /// One scale for each output channel, or one for the whole tensor; for `int8`. Default: `perChannel`.
    #[serde(default, skip_serializing_if = "Granularity::is_default")]
    pub granularity: Granularity,
    /// Weights along the depth of a matrix that share a scale, a power of two from 16 to 256; for `int4`, and for `int8`,
    /// where rows of tables are cut too. Matrices whose inner dimension is not a multiple of the block are stored as `int8` with a
    /// scale a channel, but for `int4` with `backend: onnxruntime`. Default: 32 for `int4`; a scale a channel for `int8`. Example: 64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 16, max = 256))]
    #[schemars(extend("x-kubernetes-validations" = [
        {"rule": "self in [16, 32, 64, 128, 256]", "message": "block has to be 16, 32, 64, 128 or 256"}
    ]))]
    pub block: Option<i32>,
    /// A zero point for each block, for weights that do not lie around zero; for `int4` and `backend: onnxruntime`.
    /// Default: false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub zero_points: bool,
    /// How the scale of a block is chosen; for `int4`, and `LeastSquares` and `Nearest` for `int8` with a `block`.
    /// Default: `LeastSquares`.
    #[serde(default, skip_serializing_if = "BlockFit::is_default")]
    pub fit: BlockFit,
    /// The data set of `data` on which the model is run to see what goes into its products; for `fit: Gptq`. Example:
    /// `calibration`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32))]
    pub data: Option<String>,
    /// The most samples that are run, spread evenly over the data set; for `fit: Gptq`. Default: 128.
    #[serde(default = "default_samples", skip_serializing_if = "is_default_samples")]
    #[schemars(range(min = 1, max = 100_000))]
    pub samples: i32,
}

impl WeightOnly {
    /// The block of `int4` where none is written.
    pub const BLOCK: i32 = 32;

    /// What of it the built-in engine cannot load, and what to write instead.
    pub fn needs_onnxruntime(&self) -> Option<[&'static str; 2]> {
        let blocks = self.weights == StoredType::Int4 && self.zero_points;
        let brain = self.weights == StoredType::Bfloat16;
        let zero_points = blocks.then_some(["zeroPoints: true", "leave zeroPoints out"]);
        zero_points.or_else(|| brain.then_some(["weights: bfloat16", "take float16"]))
    }
}

impl Default for WeightOnly {
    fn default() -> Self {
        Self {
            weights: StoredType::default(),
            granularity: Granularity::default(),
            block: None,
            zero_points: false,
            fit: BlockFit::default(),
            data: None,
            samples: default_samples(),
        }
    }
}

/// The type of multiplied weights.
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

/// The type of weights that are stored and not multiplied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum StoredType {
    /// Signed 8-bit integers.
    #[default]
    Int8,
    /// 4-bit integers in blocks.
    Int4,
    /// 16-bit IEEE floats.
    Float16,
    /// The upper half of 32-bit floats.
    Bfloat16,
}

impl StoredType {
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
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// How the scale of a block is chosen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum BlockFit {
    /// The scale of the least squared error.
    #[default]
    LeastSquares,
    /// From the range alone, bit for bit as ONNX Runtime's quantizer: the fastest.
    Nearest,
    /// The zero point of a half-quadratic search (HQQ), which forgives outliers.
    HalfQuadratic,
    /// Weights one after the other, each making up for the errors of those before it, by what goes into the product on
    /// `data` (GPTQ).
    Gptq,
}

impl BlockFit {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// What is done differently where a name matches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(transform = schema::closed)]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "self.keepFloat", "message": "a rule says keepFloat: true"}
]))]
pub struct Rule {
    /// The name of a node or of a weight, in which `*` stands for any characters and `?` for one. Example: `/head/*`.
    #[serde(rename = "match")]
    #[schemars(length(min = 1, max = 256))]
    pub matches: String,
    /// Leave what matches as it is.
    pub keep_float: bool,
}
