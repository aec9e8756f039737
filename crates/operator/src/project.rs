//! What of a live object a desired one speaks of: the part that decides whether a write would change anything.
//!
//! The API server adds defaults and other managers add fields; neither is ours. List elements are matched by the key
//! that Kubernetes merges them by, so an element that somebody else added does not count either.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::{Map, Value};

/// Keys by which Kubernetes merges list elements, most telling first.
const MERGE_KEYS: [&str; 7] = ["name", "mountPath", "containerPort", "port", "uid", "key", "type"];

/// A mount's field that the API server leaves out when it is false. Others are not listed: most false values differ
/// from absent ones.
const OMITTED_WHEN_FALSE: &str = "readOnly";

/// The part of `live` that `desired` speaks of; equal to `desired` when a write would change nothing.
pub(crate) fn project(desired: &Value, live: &Value) -> Value {
    match (desired, live) {
        (Value::Object(desired), Value::Object(live)) => Value::Object(project_map(desired, live)),
        (Value::Array(desired), Value::Array(live)) => project_list(desired, live),
        _ => live.clone(),
    }
}

fn project_map(desired: &Map<String, Value>, live: &Map<String, Value>) -> Map<String, Value> {
    desired
        .iter()
        .filter_map(|(key, wanted)| match live.get(key) {
            Some(found) => Some((key.clone(), project(wanted, found))),
            None if is_empty(wanted) || (key == OMITTED_WHEN_FALSE && *wanted == Value::Bool(false)) => {
                Some((key.clone(), wanted.clone()))
            }
            None => None,
        })
        .collect()
}

/// The API server drops empty values that mean the same as absent ones.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(map) => map.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

fn project_list(desired: &[Value], live: &[Value]) -> Value {
    let Some(key) = merge_key(desired) else {
        if desired.len() != live.len() {
            return Value::Array(live.to_vec());
        }
        return desired.iter().zip(live).map(|(desired, live)| project(desired, live)).collect();
    };
    desired
        .iter()
        .filter_map(|wanted| {
            live.iter().find(|found| found.get(key) == wanted.get(key)).map(|found| project(wanted, found))
        })
        .collect()
}

fn merge_key(list: &[Value]) -> Option<&'static str> {
    let distinct = |key: &&str| {
        list.iter().enumerate().all(|(index, element)| {
            element
                .get(*key)
                .is_some_and(|value| list[..index].iter().all(|other| other.get(*key) != Some(value)))
        })
    };
    MERGE_KEYS.into_iter().find(distinct).filter(|_| !list.is_empty())
}

/// A short fingerprint, for comparing within this process alone.
pub(crate) fn fingerprint(value: &Value) -> u64 {
    let mut hasher = DefaultHasher::new();
    slipway_api::canonical_json(value).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn defaults_and_foreign_fields_change_nothing() {
        let desired = json!({ "spec": { "containers": [{ "name": "server", "args": ["a"], "env": [] }], "tolerations": [] } });
        let live = json!({ "status": {}, "spec": { "replicas": 3, "containers": [
            { "name": "injected", "image": "mesh" },
            { "name": "server", "args": ["a"], "terminationMessagePath": "/dev/termination-log" },
        ] } });
        assert_eq!(project(&desired, &live), desired);
    }

    #[test]
    fn every_drift_in_our_fields_is_seen() {
        let desired = json!({ "ports": [{ "name": "http", "port": 80 }], "args": ["a", "b"], "labels": { "a": "1" }, "n": 1 });
        let drifts = [
            json!({ "ports": [{ "name": "http", "port": 81 }], "args": ["a", "b"], "labels": { "a": "1" }, "n": 1 }),
            json!({ "ports": [{ "name": "other", "port": 80 }], "args": ["a", "b"], "labels": { "a": "1" }, "n": 1 }),
            json!({ "ports": [{ "name": "http", "port": 80 }], "args": ["a"], "labels": { "a": "1" }, "n": 1 }),
            json!({ "ports": [{ "name": "http", "port": 80 }], "args": ["b", "a"], "labels": { "a": "1" }, "n": 1 }),
            json!({ "ports": [{ "name": "http", "port": 80 }], "args": ["a", "b"], "labels": {}, "n": 1 }),
            json!({ "ports": [], "args": ["a", "b"], "labels": { "a": "1" }, "n": 1 }),
            json!({ "ports": [{ "name": "http", "port": 80 }], "args": ["a", "b"], "labels": { "a": "1" }, "n": null }),
            json!(null),
        ];
        for drift in drifts {
            assert_ne!(project(&desired, &drift), desired, "{drift}");
        }
    }

    #[test]
    fn elements_with_one_name_are_matched_by_the_next_key() {
        let desired =
            json!([{ "name": "models", "mountPath": "/a" }, { "name": "models", "mountPath": "/b" }]);
        let live = json!([{ "name": "models", "mountPath": "/b" }, { "name": "models", "mountPath": "/a" }]);
        assert_eq!(project(&desired, &live), desired);
    }

    #[test]
    fn a_fingerprint_ignores_the_order_of_keys() {
        let text = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        assert_eq!(fingerprint(&text(r#"{"a":1,"b":2}"#)), fingerprint(&text(r#"{"b":2,"a":1}"#)));
        assert_ne!(fingerprint(&json!(1)), fingerprint(&json!("1")));
    }
}
