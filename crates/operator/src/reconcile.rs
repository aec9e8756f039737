//! One look at one object: observe, plan, apply, status, events.

use std::{sync::Arc, time::Instant};

use jiff::Timestamp;
use kube::{Resource, core::DeserializeGuard, runtime::controller::Action};
use slipway_api::{ModelDeployment, names};
use slipway_plan::Plan;

use crate::{
    apply::{self, Failure, Undone},
    context::Context,
    error::Error,
    farewell::{self, Parting},
    observe::{Observation, has_finalizer, identity, observe},
    status::{self, Stored},
    unparsable,
};

/// A request that hangs must not keep an object from being looked at again.
const LIMIT: std::time::Duration = std::time::Duration::from_mins(2);

/// One look at one object, counted and limited in time.
pub(crate) async fn reconcile(
    object: Arc<DeserializeGuard<ModelDeployment>>,
    context: Arc<Context>,
) -> Result<Action, Error> {
    let begin = Instant::now();
    let _active = context.metrics.begin();
    let looked = tokio::time::timeout(LIMIT, look(&object, &context)).await;
    let result = looked.unwrap_or(Err(Error::TimedOut(LIMIT)));
    context.metrics.reconciled(result.is_ok(), begin.elapsed());
    result
}

/// How long an object that failed waits: by its own failures in a row, or as long as the API asks.
pub(crate) fn after_error(
    object: &DeserializeGuard<ModelDeployment>,
    error: &Error,
    context: &Context,
) -> Action {
    context.metrics.failed(error.category());
    let uid = object.meta().uid.clone().unwrap_or_default();
    let wait = context.backoff.next(&uid).max(error.retry_after().unwrap_or_default());
    let name = object.meta().name.as_deref().unwrap_or_default();
    if error.is_conflict() {
        tracing::debug!(name, %error, ?wait, "the object changed meanwhile");
    } else {
        tracing::warn!(name, %error, category = error.category(), ?wait, "tried again later");
    }
    Action::requeue(wait)
}

async fn look(object: &DeserializeGuard<ModelDeployment>, context: &Context) -> Result<Action, Error> {
    let seen = match &object.0 {
        Ok(seen) => seen,
        Err(invalid) => return unparsable::look(context, object, invalid).await,
    };
    // Memory only.
    let deployment = context.newest(seen);
    let mut observation = observe(&deployment, &context.world, Timestamp::now());
    let plan = slipway_plan::plan(&observation.observed, &context.options.settings);
    if observation.observed.deployment.deleted_at.is_some() {
        return part(context, &deployment, &observation, &plan).await;
    }
    // From here on the API is asked, where something changes.
    let unreadable = std::mem::take(&mut observation.unreadable);
    let (deployment, undone) = bring_about(context, deployment, unreadable, &plan).await;
    let told = slipway_plan::status(&observation.observed, &plan, &apply::outcome(&undone.objects));
    let reference = deployment.object_ref(&());
    if status::store(context, &deployment, told).await? == Stored::Written {
        context.events.tell(&reference, &plan.events).await;
    }
    let leftover = context.leftovers.news(&identity(&deployment).1, undone.tags.as_ref());
    context.events.tell(&reference, leftover.as_slice()).await;
    finish(context, &deployment, undone, &observation, &plan)
}

/// Ends an object that is being deleted; the status says what delays it.
async fn part(
    context: &Context,
    deployment: &ModelDeployment,
    observation: &Observation,
    plan: &Plan,
) -> Result<Action, Error> {
    match farewell::bid(context, deployment).await? {
        Parting::Over => Ok(Action::await_change()),
        Parting::Working(left) => Ok(Action::requeue(left)),
        Parting::Delayed(error) => {
            let object = format!("artifact repository {}", error.repository);
            let failures = [Failure { object, error: error.into() }];
            let told = slipway_plan::status(&observation.observed, plan, &apply::outcome(&failures));
            status::store(context, deployment, told).await?;
            let [Failure { error, .. }] = failures;
            Err(error)
        }
    }
}

/// Applies a plan; nothing is applied while a child cannot be read or the finalizer cannot be set.
async fn bring_about(
    context: &Context,
    deployment: ModelDeployment,
    unreadable: Vec<Failure>,
    plan: &Plan,
) -> (ModelDeployment, Undone) {
    let (key, uid) = identity(&deployment);
    if !unreadable.is_empty() {
        return (deployment, Undone { objects: unreadable, tags: None });
    }
    let deployment = match with_finalizer(context, &deployment, plan).await {
        Ok(Some(finalized)) => finalized,
        Ok(None) => deployment,
        Err(error) => {
            let object = format!("{} {}", slipway_api::KIND, key.name);
            return (deployment, Undone { objects: vec![Failure { object, error }], tags: None });
        }
    };
    let undone = apply::apply(context, &key, &uid, plan).await;
    (deployment, undone)
}

/// The finalizer is there before anything that it cleans up.
async fn with_finalizer(
    context: &Context,
    deployment: &ModelDeployment,
    plan: &Plan,
) -> Result<Option<ModelDeployment>, Error> {
    if !plan.finalizer || has_finalizer(deployment) {
        return Ok(None);
    }
    let mut finalizers = deployment.metadata.finalizers.clone().unwrap_or_default();
    finalizers.push(names::FINALIZER.to_owned());
    let answer = context.writer.finalizers(deployment, &finalizers).await?;
    Ok(Some(context.wrote(answer)))
}

fn finish(
    context: &Context,
    deployment: &ModelDeployment,
    undone: Undone,
    observation: &Observation,
    plan: &Plan,
) -> Result<Action, Error> {
    let Undone { objects, tags } = undone;
    if let Some(Failure { error, .. }) = objects.into_iter().next() {
        return Err(error);
    }
    // Where the registry deletes nothing, there is nothing to try again.
    if let Some(error) = tags.filter(|error| !error.refused) {
        return Err(error.into());
    }
    context.backoff.reset(&identity(deployment).1);
    let wait = plan.requeue.into_iter().chain(observation.recheck).min();
    Ok(wait.map_or_else(Action::await_change, Action::requeue))
}
