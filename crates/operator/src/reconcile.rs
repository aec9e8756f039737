//! One look at one object: observe, plan, apply, status, events.

use std::{sync::Arc, time::Instant};

use jiff::Timestamp;
use kube::{core::DeserializeGuard, runtime::controller::Action};
use slipway_api::{ModelDeployment, names};
use slipway_plan::Plan;

use crate::{
    apply::{self, Failure},
    context::Context,
    error::Error,
    farewell,
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
    use kube::Resource;
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
        Err(invalid) => return unparsable::tell(context, invalid).await,
    };
    // Memory only.
    let deployment = context.newest(seen);
    let mut observation = observe(&deployment, &context.world, Timestamp::now());
    let plan = slipway_plan::plan(&observation.observed, &context.options.settings);
    if observation.observed.deployment.deleted_at.is_some() {
        return farewell::bid(context, &deployment, &observation, &plan).await;
    }
    // From here on the API is asked, where something changes.
    let unreadable = std::mem::take(&mut observation.unreadable);
    let (deployment, failures) = bring_about(context, deployment, unreadable, &plan).await;
    let told = slipway_plan::status(&observation.observed, &plan, &apply::outcome(&failures));
    if status::store(context, &deployment, told).await? == Stored::Written {
        context.events.tell(&deployment, &plan.events).await;
    }
    finish(context, &deployment, failures, &observation, &plan)
}

/// Applies a plan; nothing is applied while a child cannot be read or the finalizer cannot be set.
async fn bring_about(
    context: &Context,
    deployment: ModelDeployment,
    unreadable: Vec<Failure>,
    plan: &Plan,
) -> (ModelDeployment, Vec<Failure>) {
    let (key, uid) = identity(&deployment);
    if !unreadable.is_empty() {
        return (deployment, unreadable);
    }
    let deployment = match with_finalizer(context, &deployment, plan).await {
        Ok(Some(finalized)) => finalized,
        Ok(None) => deployment,
        Err(error) => {
            let object = format!("{} {}", slipway_api::KIND, key.name);
            return (deployment, vec![Failure { object, error }]);
        }
    };
    let failures = apply::apply(context, &key, &uid, plan).await;
    (deployment, failures)
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
    failures: Vec<Failure>,
    observation: &Observation,
    plan: &Plan,
) -> Result<Action, Error> {
    if let Some(Failure { error, .. }) = failures.into_iter().next() {
        return Err(error);
    }
    context.backoff.reset(&identity(deployment).1);
    let wait = plan.requeue.into_iter().chain(observation.recheck).min();
    Ok(wait.map_or_else(Action::await_change, Action::requeue))
}
