//! The mark on every applied object: a short hash of all that was asked.
//!
//! A field that leaves the desired object stays on the live one until the object is applied anew, and nothing in what
//! is still desired tells. The mark does. It stands on the object alone, never in a template, so that nothing restarts;
//! and it is a label, since a Deployment whose annotations change gets a new generation and is not current for a moment.

use serde_json::json;
use slipway_api::{canonical_json, names, sha256_hex};
use slipway_plan::Desired;

/// How many characters tell two bodies of one object apart.
const LENGTH: usize = 16;

/// A desired object with its mark.
pub(crate) fn marked(desired: &Desired) -> Desired {
    let mut marked = desired.clone();
    let mark = &sha256_hex(canonical_json(&desired.body))[..LENGTH];
    marked.body["metadata"]["labels"][names::APPLIED_LABEL] = json!(mark);
    marked
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn desired(metadata: &Value) -> Desired {
        Desired {
            api_version: "apps/v1".into(),
            kind: "Deployment".into(),
            name: "net".into(),
            create_only: false,
            body: json!({ "metadata": metadata, "spec": { "template": { "metadata": { "labels": { "a": "1" } } } } }),
        }
    }

    #[test]
    fn the_mark_follows_the_body_and_nothing_but_a_label_is_added() {
        let before = desired(&json!({ "labels": { "team": "a" } }));
        let mut after = marked(&before);
        assert_eq!(after, marked(&before));
        let labels = after.body["metadata"]["labels"].as_object_mut().unwrap();
        let mark = labels.remove(names::APPLIED_LABEL).unwrap();
        assert_eq!(mark.as_str().unwrap().len(), LENGTH);
        assert_eq!(after, before);
        let bare = marked(&desired(&json!({})));
        assert_ne!(bare.body["metadata"]["labels"][names::APPLIED_LABEL], mark);
    }
}
