//! What a stage says of a node that it left as it was.

use serde::{Deserialize, Serialize};

/// An operator that stayed as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Skipped {
    /// The node's name, or its first output's.
    pub node: String,
    /// The operator type.
    pub op: String,
    /// Why.
    pub reason: String,
}
