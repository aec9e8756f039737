//! Revisions: what was rendered, kept as text and read only when an object is looked at.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::ControllerRevision;
use slipway_api::names;
use slipway_plan::Revision;

use crate::{
    apply::Failure,
    cache::{Entry, Seen},
    error::Error,
};

/// A revision, its data as JSON text: as values it would take ten times the memory.
#[derive(Debug, Clone)]
pub(crate) struct RevisionSeen {
    name: String,
    uid: String,
    hash: String,
    number: i64,
    data: Box<str>,
}

impl Seen for RevisionSeen {
    type Object = ControllerRevision;
    const COMPARED: bool = false;

    fn see(object: &ControllerRevision) -> Option<Self> {
        let meta = &object.metadata;
        let hash = meta.labels.iter().flatten().find(|(name, _)| *name == names::REVISION_LABEL);
        Some(Self {
            name: meta.name.clone()?,
            uid: meta.uid.clone()?,
            hash: hash.map(|(_, hash)| hash.clone()).unwrap_or_default(),
            number: object.revision,
            data: object.data.as_ref().map_or_else(String::new, |data| data.0.to_string()).into(),
        })
    }
}

/// The revisions that can be read, and what is wrong with the others.
pub(super) fn observe(entries: &[Arc<Entry<RevisionSeen>>]) -> (Vec<Revision>, Vec<Failure>) {
    let (mut revisions, mut unreadable) = (Vec::new(), Vec::new());
    for RevisionSeen { name, uid, hash, number, data } in entries.iter().map(|entry| &entry.seen) {
        match serde_json::from_str(data) {
            Ok(data) => revisions.push(Revision {
                name: name.clone(),
                uid: uid.clone(),
                hash: hash.clone(),
                number: *number,
                data,
            }),
            Err(error) => {
                let object = format!("ControllerRevision {name}");
                let error = Error::Unreadable { object: object.clone(), message: error.to_string() };
                unreadable.push(Failure { object, error });
            }
        }
    }
    (revisions, unreadable)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::Key;
    use serde_json::json;

    fn entry(name: &str, data: &serde_json::Value) -> Arc<Entry<RevisionSeen>> {
        let object = json!({
            "metadata": { "name": name, "uid": format!("uid-{name}"), "labels": { names::REVISION_LABEL: "3f2a" } },
            "revision": 4, "data": data,
        });
        let seen = RevisionSeen::see(&serde_json::from_value(object).unwrap()).unwrap();
        let key = Key { namespace: "vision".into(), name: name.into() };
        Arc::new(Entry { owner: key.clone(), key, owner_uid: None, version: 1, body: None, seen })
    }

    #[test]
    fn data_survives_and_what_cannot_be_read_is_named() {
        let good = json!({ "artifact": { "digest": "sha256:1", "uri": "oci://r/net@sha256:1" }, "stages": [],
                           "template": { "spec": { "containers": [] } }, "storedByALaterVersion": { "a": 1 } });
        let (revisions, unreadable) = observe(&[
            entry("net-3f2a", &good),
            entry("net-bad", &json!({ "fromTheFuture": true })),
            entry("net-empty", &json!(null)),
        ]);
        assert_eq!((revisions.len(), revisions[0].number, revisions[0].hash.as_str()), (1, 4, "3f2a"));
        assert_eq!(revisions[0].data.template, good["template"]);
        let words: Vec<_> = unreadable.iter().map(|failure| failure.error.to_string()).collect();
        assert_eq!(words.len(), 2);
        assert!(words[0].starts_with("ControllerRevision net-bad cannot be read"), "{}", words[0]);
    }
}
