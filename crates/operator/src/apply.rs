//! From a plan to the cluster: in the plan's order, only what changes something, and nothing is taken away while
//! something could not be put in place. Tags that could not be removed hold back the record that names them alone.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use kube::api::DeleteParams;
use serde_json::Value;
use slipway_plan::{ApplyError, Delete, Desired, Outcome, Plan, Scale, Untag};

use crate::{
    cache::Key,
    context::Context,
    error::Error,
    mark::marked,
    observe::Live,
    project::{fingerprint, project},
    registry::RegistryError,
    signing, writer,
};

/// One part of a plan that could not be done.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The object. Example: `Deployment digits-3f2a`.
    pub(crate) object: String,
    pub(crate) error: Error,
}

/// What of a plan could not be done.
#[derive(Debug, Default)]
pub(crate) struct Undone {
    /// Objects that could not be put in place or taken away.
    pub(crate) objects: Vec<Failure>,
    /// Why tags are left in the registry. Nothing that serves needs them gone, so the status is silent about them.
    pub(crate) tags: Option<RegistryError>,
}

/// What the status says of the failures.
pub(crate) fn outcome(failures: &[Failure]) -> Outcome {
    let told = |failure: &Failure| ApplyError {
        object: failure.object.clone(),
        message: writer::message(&failure.error),
    };
    Outcome { errors: failures.iter().map(told).collect() }
}

/// Does what a plan asks for one object; an error of one object does not keep the others from being applied.
pub(crate) async fn apply(context: &Context, owner: &Key, uid: &str, plan: &Plan) -> Undone {
    let mut failures = Vec::new();
    for desired in &plan.apply {
        let done = ensure(context, owner, uid, desired).await;
        note(&mut failures, format!("{} {}", desired.kind, desired.name), done);
    }
    for one in &plan.scale {
        if one.replicas > 0 || failures.is_empty() {
            note(&mut failures, format!("Deployment {}", one.name), scale(context, owner, one).await);
        }
    }
    if !failures.is_empty() {
        return Undone { objects: failures, tags: None };
    }
    let tags = untag(context, owner, &plan.untag).await.err();
    for one in plan.delete.iter().filter(|one| !is_held_back(one, tags.as_ref())) {
        let done = delete(context, owner, uid, one, DeleteParams::background()).await;
        note(&mut failures, format!("{} {}", one.kind, one.name), done);
    }
    Undone { objects: failures, tags }
}

async fn untag(context: &Context, owner: &Key, untag: &Untag) -> Result<(), RegistryError> {
    if *untag == Untag::Nothing {
        return Ok(());
    }
    let repository = slipway_api::names::repository(&owner.namespace, &owner.name);
    context.options.registry.untag(&repository, untag).await
}

/// A revision's record and a finished Job stay while their tags may still be removed: nothing else knows their names.
fn is_held_back(delete: &Delete, tags: Option<&RegistryError>) -> bool {
    matches!(delete.kind.as_str(), "ControllerRevision" | "Job") && tags.is_some_and(|error| !error.refused)
}

fn note(failures: &mut Vec<Failure>, object: String, done: Result<(), Error>) {
    if let Err(error) = done {
        failures.push(Failure { object, error });
    }
}

/// Makes one object as desired.
async fn ensure(context: &Context, owner: &Key, uid: &str, desired: &Desired) -> Result<(), Error> {
    let key = Key { namespace: owner.namespace.clone(), name: desired.name.clone() };
    let live = context.world.live(&desired.kind, &key);
    let live = live.filter(|live| live.owner_uid.as_deref().is_none_or(|named| named == uid));
    match (live, desired.create_only) {
        (Some(_), true) => Ok(()),
        (None, true) => create(context, owner, uid, desired).await,
        (live, false) => bring(context, owner, uid, live, &marked(desired)).await,
    }
}

/// Applies an object where it differs from what is desired.
async fn bring(
    context: &Context,
    owner: &Key,
    uid: &str,
    live: Option<Live>,
    desired: &Desired,
) -> Result<(), Error> {
    match live {
        Some(live) if context.applied.is_settled(uid, desired, &live) => return Ok(()),
        Some(_) => {}
        // A forced apply would take over an object of the same name that somebody else made.
        None => {
            if let Some(holder) = context.writer.holder(&owner.namespace, desired).await? {
                holder.check(uid, desired)?;
            }
        }
    }
    let made = context.writer.apply(&owner.namespace, desired).await?;
    tracing::info!(kind = desired.kind, name = desired.name, "applied");
    context.applied.remember(uid, desired, &made);
    context.world.learn(&desired.kind, made);
    Ok(())
}

/// Makes an object that is never changed; one that is there already is fine when it is the same work of the same owner.
async fn create(context: &Context, owner: &Key, uid: &str, desired: &Desired) -> Result<(), Error> {
    // A job's pod does not start before it has the key to sign with.
    if desired.kind == "Job" {
        signing::ensure(&context.writer, &owner.namespace).await?;
    }
    match context.writer.create(&owner.namespace, desired).await {
        Ok(made) => {
            tracing::info!(kind = desired.kind, name = desired.name, "created");
            context.world.learn(&desired.kind, made);
            Ok(())
        }
        Err(error) if error.is_already_exists() => {
            match context.writer.holder(&owner.namespace, desired).await? {
                Some(holder) => holder.check(uid, desired),
                // It went in between: the next look makes it.
                None => Err(error),
            }
        }
        Err(error) => Err(error),
    }
}

async fn scale(context: &Context, owner: &Key, scale: &Scale) -> Result<(), Error> {
    let version = context.writer.scale(&owner.namespace, scale).await?;
    tracing::info!(name = scale.name, replicas = scale.replicas, "scaled");
    let key = Key { namespace: owner.namespace.clone(), name: scale.name.clone() };
    context.world.workloads.amend(&key, version, |workload| {
        workload.desired = scale.replicas;
        workload.current = false;
    });
    Ok(())
}

/// Deletes one object, and what it owns as `params` say.
pub(crate) async fn delete(
    context: &Context,
    owner: &Key,
    uid: &str,
    delete: &Delete,
    params: DeleteParams,
) -> Result<(), Error> {
    let key = Key { namespace: owner.namespace.clone(), name: delete.name.clone() };
    match context.writer.delete(&owner.namespace, delete, params).await? {
        Some(going) => context.world.learn(&delete.kind, going),
        None => context.world.forget(&delete.kind, &key),
    }
    context.applied.forget_one(uid, &delete.kind, &delete.name);
    tracing::info!(kind = delete.kind, name = delete.name, "deleted");
    Ok(())
}

/// What was applied last, by owner: for values that the API server writes in another way than we do.
#[derive(Debug, Default)]
pub(crate) struct Applied {
    by_owner: Mutex<HashMap<String, HashMap<String, Prints>>>,
}

/// Fingerprints of what was asked, and of what the API server made of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Prints {
    desired: u64,
    made: u64,
}

impl Applied {
    /// Whether a write would change nothing: the live object says what is desired, or says what the API server
    /// answered when exactly this was applied.
    fn is_settled(&self, uid: &str, desired: &Desired, live: &Live) -> bool {
        let Some(body) = live.body.as_deref().and_then(|text| serde_json::from_str::<Value>(text).ok())
        else {
            return false;
        };
        let found = project(&desired.body, &body);
        if found == desired.body {
            return true;
        }
        let now = Prints { desired: fingerprint(&desired.body), made: fingerprint(&found) };
        let by_owner = self.by_owner.lock().unwrap_or_else(PoisonError::into_inner);
        let known = by_owner.get(uid).and_then(|known| known.get(&place(&desired.kind, &desired.name)));
        known == Some(&now)
    }

    fn remember(&self, uid: &str, desired: &Desired, made: &Value) {
        let made = fingerprint(&project(&desired.body, made));
        let prints = Prints { desired: fingerprint(&desired.body), made };
        let mut by_owner = self.by_owner.lock().unwrap_or_else(PoisonError::into_inner);
        by_owner.entry(uid.to_owned()).or_default().insert(place(&desired.kind, &desired.name), prints);
    }

    fn forget_one(&self, uid: &str, kind: &str, name: &str) {
        let mut by_owner = self.by_owner.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = by_owner.get_mut(uid) {
            known.remove(&place(kind, name));
        }
    }

    /// Forgets everything of objects that are not kept.
    pub(crate) fn retain(&self, keep: impl Fn(&str) -> bool) {
        self.by_owner.lock().unwrap_or_else(PoisonError::into_inner).retain(|uid, _| keep(uid));
    }
}

fn place(kind: &str, name: &str) -> String {
    format!("{kind}/{name}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn desired(cpu: &str) -> Desired {
        Desired {
            api_version: "apps/v1".into(),
            kind: "Deployment".into(),
            name: "net-3f2a".into(),
            create_only: false,
            body: json!({ "spec": { "cpu": cpu } }),
        }
    }

    fn live(body: &Value) -> Live {
        Live { body: Some(body.to_string().into()), owner_uid: None }
    }

    #[test]
    fn a_value_that_the_api_writes_differently_is_settled_once_it_was_applied() {
        let applied = Applied::default();
        let made = json!({ "spec": { "cpu": "1", "more": true } });
        assert!(!applied.is_settled("u", &desired("1000m"), &live(&made)));
        applied.remember("u", &desired("1000m"), &made);
        assert!(applied.is_settled("u", &desired("1000m"), &live(&made)));
        assert!(!applied.is_settled("u", &desired("2000m"), &live(&made)), "another wish");
        assert!(
            !applied.is_settled("u", &desired("1000m"), &live(&json!({ "spec": { "cpu": "3" } }))),
            "drift"
        );
        assert!(!applied.is_settled("other", &desired("1000m"), &live(&made)));
        applied.retain(|uid| uid != "u");
        assert!(!applied.is_settled("u", &desired("1000m"), &live(&made)));
    }

    #[test]
    fn a_field_that_is_desired_no_more_is_not_settled_until_it_was_applied() {
        let mut with = desired("1");
        with.body["metadata"]["annotations"]["team"] = json!("a");
        let before = live(&marked(&with).body);
        assert!(Applied::default().is_settled("u", &marked(&with), &before));
        assert!(!Applied::default().is_settled("u", &marked(&desired("1")), &before));
        let after = live(&marked(&desired("1")).body);
        assert!(Applied::default().is_settled("u", &marked(&desired("1")), &after));
    }

    #[test]
    fn tags_that_stay_hold_back_their_record_alone() {
        let one = |kind: &str| Delete {
            api_version: "v1".into(),
            kind: kind.into(),
            name: "net-3f2a".into(),
            uid: "u".into(),
        };
        let error = |refused| RegistryError { repository: "r".into(), message: "no".into(), refused };
        let (down, refusing) = (error(false), error(true));
        assert!(is_held_back(&one("ControllerRevision"), Some(&down)));
        assert!(is_held_back(&one("Job"), Some(&down)));
        assert!(!is_held_back(&one("ControllerRevision"), Some(&refusing)));
        assert!(!is_held_back(&one("ControllerRevision"), None));
        assert!(!is_held_back(&one("Deployment"), Some(&down)));
    }

    #[test]
    fn a_restarted_operator_writes_nothing_where_all_is_as_desired() {
        let same = json!({ "spec": { "cpu": "1", "more": true } });
        assert!(Applied::default().is_settled("u", &desired("1"), &live(&same)));
    }
}
