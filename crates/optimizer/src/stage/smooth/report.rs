//! What a smoothing did.

use serde::{Deserialize, Serialize};
use slipway_model::onnx::proto::GraphProto;

use super::products::Product;
use crate::graph::node_name;
use crate::stage::Skipped;

/// The report of one smoothing, in the order of the graph, so that equal work gives equal bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SmoothReport {
    /// Each activation that was smoothed.
    pub smoothed: Vec<Smoothed>,
    /// Each product with a constant matrix that stayed as it was.
    pub skipped: Vec<Skipped>,
    /// How many samples were run.
    pub samples: usize,
    /// Bytes of all files of the input.
    pub size_before: u64,
    /// Bytes of all files of the output.
    pub size_after: u64,
    /// Whether the output keeps tensors in a second file.
    pub external_data: bool,
}

/// One activation, and the products that take it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Smoothed {
    /// The activation's name.
    pub activation: String,
    /// The products that take it.
    pub nodes: Vec<String>,
    /// The smallest factor that a channel was divided by.
    pub least: f32,
    /// The largest factor that a channel was divided by.
    pub most: f32,
}

impl Smoothed {
    pub(super) fn of(graph: &GraphProto, product: &Product, factors: &[f32]) -> Self {
        Self {
            activation: product.input.clone(),
            nodes: product.nodes.iter().map(|node| node_name(&graph.node[*node]).to_owned()).collect(),
            least: factors.iter().copied().fold(f32::INFINITY, f32::min),
            most: factors.iter().copied().fold(0.0, f32::max),
        }
    }
}
