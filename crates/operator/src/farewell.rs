//! The end of an object: its tags leave the registry, then its finalizer goes, and the rest goes with its owner.

use std::time::Duration;

use kube::runtime::controller::Action;
use slipway_api::{ModelDeployment, names};
use slipway_plan::{Event, Plan, Untag};

use crate::{
    apply::{Failure, outcome},
    context::Context,
    error::Error,
    observe::{Observation, identity},
    status,
};

/// Does what is left to do for an object that is being deleted.
///
/// A registry that is down delays the end, and the status says so; after [`crate::Options::farewell`] the tags are
/// left behind, and a warning names the repository.
pub(crate) async fn bid(
    context: &Context,
    deployment: &ModelDeployment,
    observation: &Observation,
    plan: &Plan,
) -> Result<Action, Error> {
    if !observation.observed.deployment.finalizer {
        return Ok(Action::await_change());
    }
    let (key, _) = identity(deployment);
    let repository = names::repository(&key.namespace, &key.name);
    if plan.untag != Untag::Nothing
        && let Err(error) = context.options.registry.untag(&repository, &plan.untag).await
    {
        if !is_overdue(observation, context.options.farewell) {
            let object = format!("artifact repository {}", context.options.registry.name(&repository));
            let failures = [Failure { object, error: error.into() }];
            let told = slipway_plan::status(&observation.observed, plan, &outcome(&failures));
            status::store(context, deployment, told).await?;
            let [Failure { error, .. }] = failures;
            return Err(error);
        }
        tracing::warn!(%error, "tags are left behind");
        let event = left_behind(&context.options.registry.name(&repository), &error.message);
        context.events.tell(deployment, &[event]).await;
    }
    release(context, deployment).await
}

async fn release(context: &Context, deployment: &ModelDeployment) -> Result<Action, Error> {
    let kept: Vec<_> = (deployment.metadata.finalizers.iter().flatten())
        .filter(|finalizer| *finalizer != names::FINALIZER)
        .cloned()
        .collect();
    match context.writer.finalizers(deployment, &kept).await {
        Ok(answer) => {
            context.wrote(answer);
            Ok(Action::await_change())
        }
        Err(error) if error.is_not_found() => Ok(Action::await_change()),
        Err(error) => Err(error),
    }
}

fn is_overdue(observation: &Observation, patience: Duration) -> bool {
    let observed = &observation.observed;
    let Some(since) = observed.deployment.deleted_at else { return false };
    Duration::try_from(observed.now.duration_since(since)).is_ok_and(|age| age >= patience)
}

fn left_behind(repository: &str, why: &str) -> Event {
    Event {
        warning: true,
        reason: "ArtifactsLeftBehind".into(),
        message: format!(
            "the registry could not remove the tags of {repository}, so its artifacts stay; remove them by hand: {why}"
        ),
    }
}
