//! What a quantization did.

use serde::{Deserialize, Serialize};

use crate::stage::Skipped;

/// The report of one quantization, sorted, so that equal work gives equal bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct QuantizeReport {
    /// Each quantized weight, in the order of the output.
    pub tensors: Vec<TensorReport>,
    /// Each operator with weights that stayed as they were, in the order of the graph; then weights that no operator takes.
    pub skipped: Vec<Skipped>,
    /// Large float constants of one dimension, which no method changes: biases, the scales of norms.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vectors: Vec<String>,
    /// Each activation that is quantized at a scale of its own, by name (static quantization alone).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub activations: Vec<ActivationReport>,
    /// What else is worth knowing of the result, in sentences.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Initializers that were also graph inputs and are constants now.
    pub frozen: Vec<String>,
    /// The opset of the output.
    pub opset: i64,
    /// Bytes of all files of the input.
    pub size_before: u64,
    /// Bytes of all files of the output.
    pub size_after: u64,
    /// Whether the output keeps tensors in a second file.
    pub external_data: bool,
}

/// One quantized weight.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TensorReport {
    /// Its name in the input.
    pub name: String,
    /// Its shape as the multiplication sees it, inner axis last.
    pub shape: Vec<u64>,
    /// What its users became: the first of them names it.
    pub form: Form,
    /// The element type and the bits used of it, for example `int8/7`, or the block, for example `uint4×32`.
    pub scheme: String,
    /// Number of scales.
    pub scales: u64,
    /// The largest distance between a weight and what stands for it; absent where `unmeasured` says why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_error: Option<f32>,
    /// Signal to quantization noise in decibels; absent when every weight is exact, or where `unmeasured` says why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sqnr_db: Option<f64>,
    /// Why a figure is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unmeasured: Option<String>,
    /// Weights beyond the range.
    pub saturated: u64,
    /// Channels that held something of which nothing useful is left: zeros, or a few bits.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub lost_channels: u64,
    /// Something else still uses the float tensor, so the output holds both.
    pub float_kept: bool,
    /// Biases of its products make up for what its errors add to their outputs on average.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub bias_corrected: bool,
    /// Its integers were chosen by what goes into its products on data.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub on_data: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// How an operator computes with a quantized weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Form {
    /// `MatMulInteger`, with activations quantized at run time.
    MatMulInteger,
    /// `ConvInteger`, with activations quantized at run time.
    ConvInteger,
    /// `Gather` of integers, then their scale.
    GatherInteger,
    /// `DynamicQuantizeLSTM`, with activations quantized at run time.
    #[serde(rename = "dynamicQuantizeLSTM")]
    DynamicQuantizeLstm,
    /// `MatMulNBits`: blocks of four bits.
    MatMulNBits,
    /// The operator as it was, with activations and the weight dequantized right before it.
    Qdq,
    /// The operator as it was, with the weight brought back to floats before it.
    Expanded,
}

/// One quantized activation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ActivationReport {
    /// Its name.
    pub name: String,
    /// The lower end of its range.
    pub low: f32,
    /// The upper end of its range.
    pub high: f32,
    /// The scale.
    pub scale: f32,
    /// The integer that stands for zero.
    pub zero_point: u8,
}
