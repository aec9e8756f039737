//! What a simplification did.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::stage::Skipped;

/// The report of one simplification, sorted, so that equal work gives equal bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SimplifyReport {
    /// How often each kind of change was made.
    pub changes: BTreeMap<Change, u64>,
    /// Each node that could have been computed ahead and was not, and the last node of each chain that could
    /// have been fused and was not, each in the order of the graph.
    pub skipped: Vec<Skipped>,
    /// Initializers that were also graph inputs and are constants now.
    pub frozen: Vec<String>,
    /// The opset of the output.
    pub opset: i64,
    /// Nodes of the input, those of subgraphs included.
    pub nodes_before: u64,
    /// Nodes of the output, those of subgraphs included.
    pub nodes_after: u64,
    /// Bytes of all files of the input.
    pub size_before: u64,
    /// Bytes of all files of the output.
    pub size_after: u64,
    /// Whether the output keeps tensors in a second file.
    pub external_data: bool,
}

/// One kind of change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Change {
    /// An open dimension got the size that was asked for.
    DimFixed,
    /// A function was written out in place of its calls.
    FunctionInlined,
    /// A `Constant` node or a tensor of a subgraph became an initializer of the model.
    ConstantHoisted,
    /// A node was computed ahead.
    NodeFolded,
    /// An `If` whose condition is known was replaced by its branch.
    BranchTaken,
    /// A node that changes nothing was removed.
    NodeBypassed,
    /// A node that only scales and shifts channels became part of the weights before it.
    NodeAbsorbed,
    /// A chain of nodes that is a `Gelu` became one.
    GeluFused,
    /// A chain of nodes that is a `LayerNormalization` became one.
    LayerNormFused,
    /// A node that computes what another does was merged with it.
    NodeMerged,
    /// An initializer that holds what another does was merged with it.
    InitializerMerged,
    /// A node that nothing uses was removed.
    NodeDropped,
    /// An initializer that nothing uses was removed.
    InitializerDropped,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DimFixed => "open dimension fixed",
            Self::FunctionInlined => "function written out",
            Self::ConstantHoisted => "constant made an initializer",
            Self::NodeFolded => "node computed ahead",
            Self::BranchTaken => "branch taken ahead",
            Self::NodeBypassed => "node that changes nothing removed",
            Self::NodeAbsorbed => "scaling node absorbed by weights",
            Self::GeluFused => "chain of nodes made one Gelu",
            Self::LayerNormFused => "chain of nodes made one LayerNormalization",
            Self::NodeMerged => "node merged with its like",
            Self::InitializerMerged => "initializer merged with its like",
            Self::NodeDropped => "unused node removed",
            Self::InitializerDropped => "unused initializer removed",
        })
    }
}

/// Counts of changes.
#[derive(Debug, Default)]
pub(super) struct Changes(BTreeMap<Change, u64>);

impl Changes {
    pub(super) fn add(&mut self, change: Change, times: usize) {
        if times > 0 {
            *self.0.entry(change).or_default() += times as u64;
        }
    }

    /// All of them together.
    pub(super) fn total(&self) -> u64 {
        self.0.values().sum()
    }

    pub(super) fn into_counts(self) -> BTreeMap<Change, u64> {
        self.0
    }
}
