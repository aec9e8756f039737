//! Revisions: what serves, immutable, stored as a `ControllerRevision`.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use slipway_api::status::{ArtifactStatus, GateStatus, StageStatus};

/// What a `ControllerRevision` stores: enough to serve, to roll back exactly and to rebuild status.
///
/// A later version may have stored more; what this one does not know is not read, so that an operator can be rolled back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RevisionData {
    /// The artifact that is served.
    pub artifact: ArtifactStatus,
    /// The golden samples that pods replay before they say ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub golden_digest: Option<String>,
    /// What the gate measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<GateStatus>,
    /// Every step that led here, with keys and digests.
    #[serde(default)]
    pub stages: Vec<StageStatus>,
    /// The rendered pod template (`core/v1 PodTemplateSpec`), applied as stored ever after.
    pub template: Value,
}
