//! The end of an object: its Jobs end, its tags leave the registry, its finalizer goes, and the rest goes with its owner.

use std::time::Duration;

use jiff::Timestamp;
use kube::{
    Resource,
    api::{DeleteParams, ObjectMeta},
};
use slipway_api::names;
use slipway_plan::{Delete, Untag};

use crate::{
    apply, cache::Key, context::Context, error::Error, leftovers::left_behind, registry::RegistryError,
};

/// How far the end of an object is.
#[derive(Debug)]
pub(crate) enum Parting {
    /// Nothing is left to do.
    Over,
    /// Jobs are ending; a watch tells when they have, and for so long they may.
    Working(Duration),
    /// The registry cannot remove the tags now.
    Delayed(RegistryError),
}

/// Does what is left to do for an object that is being deleted, which need not be readable for that.
///
/// A job that still ran would push a tag after they were removed, so Jobs go first, with their pods. Pods that do not
/// end and a registry that is down delay the end until [`crate::Options::farewell`] has passed; tags that are left
/// behind then are told in a warning that names the repository.
pub(crate) async fn bid<K>(context: &Context, object: &K) -> Result<Parting, Error>
where
    K: Resource<DynamicType = ()>,
{
    let meta = object.meta();
    if !meta.finalizers.iter().flatten().any(|finalizer| finalizer == names::FINALIZER) {
        return Ok(Parting::Over);
    }
    let key = Key {
        namespace: meta.namespace.clone().unwrap_or_default(),
        name: meta.name.clone().unwrap_or_default(),
    };
    let patience = patience(meta, context.options.farewell, Timestamp::now());
    if let Some(left) = patience
        && works(context, &key, meta.uid.as_deref().unwrap_or_default()).await?
    {
        return Ok(Parting::Working(left));
    }
    let repository = names::repository(&key.namespace, &key.name);
    if let Err(error) = context.options.registry.untag(&repository, &Untag::Everything).await {
        if patience.is_some() && !error.refused {
            return Ok(Parting::Delayed(error));
        }
        tracing::warn!(%error, "tags are left behind");
        context.metrics.failed("Registry");
        let event = left_behind(&error.repository, &error.message);
        context.events.tell(&object.object_ref(&()), &[event]).await;
    }
    release(context, &key, meta).await?;
    Ok(Parting::Over)
}

/// Deletes the object's Jobs with their pods; says whether anything of them is left.
async fn works(context: &Context, key: &Key, uid: &str) -> Result<bool, Error> {
    for job in context.world.jobs.of(key, uid).iter().filter(|job| !job.seen.deleting) {
        let delete = Delete {
            api_version: "batch/v1".into(),
            kind: "Job".into(),
            name: job.key.name.clone(),
            uid: job.seen.uid.clone(),
        };
        apply::delete(context, key, uid, &delete, DeleteParams::foreground()).await?;
    }
    let runs = |pod: &crate::observe::PodSeen| pod.job.is_some() && !pod.ended;
    Ok(!context.world.jobs.of(key, uid).is_empty()
        || context.world.pods.of(key, uid).iter().any(|pod| runs(&pod.seen)))
}

async fn release(context: &Context, key: &Key, meta: &ObjectMeta) -> Result<(), Error> {
    let kept: Vec<_> = (meta.finalizers.iter().flatten())
        .filter(|finalizer| *finalizer != names::FINALIZER)
        .cloned()
        .collect();
    match context.writer.release(key, meta.resource_version.as_deref(), &kept).await {
        Err(error) if !error.is_not_found() => Err(error),
        _ => Ok(()),
    }
}

/// How long the end may still be delayed; `None` when it may not.
fn patience(meta: &ObjectMeta, whole: Duration, now: Timestamp) -> Option<Duration> {
    let since = meta.deletion_timestamp.as_ref().map_or(now, |time| time.0);
    let age = Duration::try_from(now.duration_since(since)).unwrap_or_default();
    whole.checked_sub(age).filter(|left| !left.is_zero())
}
