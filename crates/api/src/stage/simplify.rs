//! `simplify`: the same model, with less in it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema;

/// Compute ahead what does not depend on inputs, and remove what changes nothing, is not needed or is there twice.
///
/// Outputs stay the same but for the last bits; engines load and run the model faster, and later stages find more weights.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(transform = schema::closed)]
pub struct Simplify {
    /// Open dimensions of the model's inputs, by name, and the sizes that they get: the one thing that changes what
    /// the model takes. Default: none. Example: `{ batch: 1 }`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16, "x-kubernetes-validations" = [
        {"rule": "self.all(name, self[name] >= 1)", "message": "a size in dims has to be at least 1"},
        {"rule": "self.all(name, size(name) <= 128)", "message": "a name in dims has at most 128 characters"}
    ]))]
    pub dims: BTreeMap<String, i32>,
    /// Go on when there was nothing to simplify; otherwise the stage fails. Default: false.
    #[serde(default, skip_serializing_if = "is_false")]
    pub allow_unchanged: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(value: &bool) -> bool {
    !*value
}
