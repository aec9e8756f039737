//! `rollout`: how a new revision takes over.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Duration, schema};

/// How a new revision takes over from the live one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(transform = schema::closed)]
pub struct Rollout {
    /// The strategy. Default: rolling.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy: Option<Strategy>,
    /// The longest that a new revision may make no progress before it is given up; the live one keeps serving.
    /// Default: `10m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress_deadline: Option<Duration>,
    /// How many earlier revisions are kept. Default: 5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 50))]
    pub revision_history_limit: Option<i32>,
    /// A field that a next version might have. Default: 7.
    #[cfg(feature = "next")]
    #[serde(default = "seven", skip_serializing_if = "is_seven")]
    #[schemars(range(min = 0, max = 50), extend("default" = 7))]
    pub next: i32,
}

#[cfg(feature = "next")]
fn seven() -> i32 {
    7
}

#[cfg(feature = "next")]
fn is_seven(value: &i32) -> bool {
    *value == seven()
}

/// The strategy; exactly one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(transform = schema::closed)]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "has(self.rolling)", "message": "strategy needs exactly one kind: rolling"}
]))]
pub struct Strategy {
    /// The new revision at full size, then the Service's selector, then the old one to nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rolling: Option<Rolling>,
}

/// The new revision at full size, then the Service's selector, then the old one to nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(transform = schema::closed)]
pub struct Rolling {}
