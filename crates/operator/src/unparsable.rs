//! Objects that cannot be read as a `ModelDeployment`: their status says so, once, and nothing else waits for them.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, PoisonError},
};

use jiff::Timestamp;
use kube::{
    core::{DeserializeGuard, error_boundary::InvalidObject},
    runtime::controller::Action,
};
use serde_json::{Value, json};
use slipway_api::{
    ModelDeployment,
    condition::{Condition, ConditionType, Holds, reason},
};

use crate::{
    cache::Key,
    context::Context,
    error::Error,
    farewell::{self, Parting},
};

/// The state of each unparsable object that was told about it, by uid.
#[derive(Debug, Default)]
pub(crate) struct Told {
    versions: Mutex<HashMap<String, String>>,
}

impl Told {
    fn knows(&self, uid: &str, version: &str) -> bool {
        let versions = self.versions.lock().unwrap_or_else(PoisonError::into_inner);
        versions.get(uid).is_some_and(|known| known == version)
    }

    fn note(&self, uid: &str, version: &str) {
        let mut versions = self.versions.lock().unwrap_or_else(PoisonError::into_inner);
        versions.insert(uid.to_owned(), version.to_owned());
    }

    /// Forgets objects that are not kept.
    pub(crate) fn retain(&self, keep: impl Fn(&str) -> bool) {
        self.versions.lock().unwrap_or_else(PoisonError::into_inner).retain(|uid, _| keep(uid));
    }
}

/// One look at an object that cannot be read; one that is being deleted is let go like any other.
pub(crate) async fn look(
    context: &Context,
    object: &DeserializeGuard<ModelDeployment>,
    invalid: &InvalidObject,
) -> Result<Action, Error> {
    if invalid.metadata.deletion_timestamp.is_none() {
        return tell(context, invalid).await;
    }
    match farewell::bid(context, object).await? {
        Parting::Over => Ok(Action::await_change()),
        Parting::Working(left) => Ok(Action::requeue(left)),
        Parting::Delayed(error) => Err(error.into()),
    }
}

/// Tells the user of an object that it cannot be read, and why.
async fn tell(context: &Context, object: &InvalidObject) -> Result<Action, Error> {
    let InvalidObject { error, metadata } = object;
    let uid = metadata.uid.clone().unwrap_or_default();
    if context.told.knows(&uid, metadata.resource_version.as_deref().unwrap_or_default()) {
        return Ok(Action::await_change());
    }
    let key = Key {
        namespace: metadata.namespace.clone().unwrap_or_default(),
        name: metadata.name.clone().unwrap_or_default(),
    };
    match write(context, &key, error).await {
        Ok(version) => {
            context.told.note(&uid, &version);
            Ok(Action::await_change())
        }
        Err(error) if error.is_not_found() => Ok(Action::await_change()),
        Err(error) => Err(error),
    }
}

/// Writes the conditions where they differ; gives the version of the object that has them.
async fn write(context: &Context, key: &Key, error: &str) -> Result<String, Error> {
    let live = context.writer.raw(key).await?;
    let version = live.metadata.resource_version.clone().unwrap_or_default();
    let before = live.data.get("status").cloned().unwrap_or_default();
    let wanted = wanted(error, live.metadata.generation, &before, Timestamp::now());
    if wanted
        .as_object()
        .is_some_and(|wanted| wanted.iter().all(|(field, value)| before.get(field) == Some(value)))
    {
        return Ok(version);
    }
    let patch = json!({ "metadata": { "resourceVersion": version }, "status": wanted });
    let answer = context.writer.raw_status(key, &patch).await?;
    tracing::warn!(namespace = key.namespace, name = key.name, error, "not a ModelDeployment");
    Ok(answer.metadata.resource_version.unwrap_or_default())
}

fn wanted(error: &str, generation: Option<i64>, before: &Value, now: Timestamp) -> Value {
    let message =
        format!("the object cannot be read: {error}; correct it, or upgrade the CRD and the operator");
    let said = [
        (ConditionType::Accepted, Holds::False),
        (ConditionType::Ready, Holds::False),
        (ConditionType::Reconciling, Holds::False),
        (ConditionType::Stalled, Holds::True),
    ];
    let said = said.into_iter().map(|(condition, holds)| Condition {
        condition_type: condition.as_str().into(),
        status: holds.as_str().into(),
        reason: reason::UNPARSABLE.into(),
        message: message.clone(),
        observed_generation: generation,
        last_transition_time: since(before, condition, holds).unwrap_or_else(|| format!("{now:.0}")),
    });
    json!({ "observedGeneration": generation, "conditions": merged(before, said) })
}

/// All conditions by type: those that are said now, and of those before the ones that nothing is said about.
fn merged(before: &Value, said: impl Iterator<Item = Condition>) -> Vec<Value> {
    let before = before.get("conditions").and_then(Value::as_array).cloned().unwrap_or_default();
    let said = said.map(|condition| json!(condition));
    let by_type = |condition: Value| (condition["type"].as_str().unwrap_or_default().to_owned(), condition);
    let all: BTreeMap<_, _> = before.into_iter().chain(said).map(by_type).collect();
    all.into_values().collect()
}

/// Since when a condition has held, where it did before.
fn since(before: &Value, condition: ConditionType, holds: Holds) -> Option<String> {
    let conditions = before.get("conditions")?.as_array()?;
    let same = |one: &&Value| one["type"] == condition.as_str() && one["status"] == holds.as_str();
    conditions.iter().find(same)?["lastTransitionTime"].as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn said_twice_it_is_the_same_and_the_time_stays() {
        let first = wanted("missing field", Some(3), &json!(null), "2026-01-01T00:00:00Z".parse().unwrap());
        let again = wanted("missing field", Some(3), &first, "2026-02-02T00:00:00Z".parse().unwrap());
        assert_eq!(first, again);
        let other = wanted("other field", Some(4), &first, "2026-02-02T00:00:00Z".parse().unwrap());
        assert_ne!(first, other);
        assert_eq!(other["conditions"][0]["lastTransitionTime"], "2026-01-01T00:00:00Z");
    }

    #[test]
    fn what_is_not_said_about_stays() {
        let serves =
            json!({ "type": "Available", "status": "True", "reason": "Serving", "observedGeneration": 2 });
        let ready =
            json!({ "type": "Ready", "status": "True", "lastTransitionTime": "2025-01-01T00:00:00Z" });
        let before = json!({ "conditions": [ready, serves] });
        let said = wanted("missing field", Some(3), &before, "2026-01-01T00:00:00Z".parse().unwrap());
        let said = said["conditions"].as_array().unwrap();
        let types: Vec<_> = said.iter().map(|one| one["type"].as_str().unwrap()).collect();
        assert_eq!(types, ["Accepted", "Available", "Ready", "Reconciling", "Stalled"]);
        assert_eq!(said[1], serves);
        assert_eq!(
            (&said[2]["status"], &said[2]["lastTransitionTime"]),
            (&json!("False"), &json!("2026-01-01T00:00:00Z"))
        );
    }

    #[test]
    fn only_the_told_state_is_known() {
        let told = Told::default();
        told.note("u", "7");
        assert!(told.knows("u", "7") && !told.knows("u", "8") && !told.knows("v", "7"));
        told.retain(|uid| uid != "u");
        assert!(!told.knows("u", "7"));
    }
}
