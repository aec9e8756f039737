//! Every write to the Kubernetes API: with its field manager, counted, and its errors with the object's name.

use either::Either;
use k8s_openapi::api::apps::v1::Deployment;
use kube::{
    Api, Client,
    api::{ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, PostParams, Preconditions},
    core::GroupVersionKind,
};
use serde_json::{Value, json};
use slipway_api::{ModelDeployment, names};
use slipway_plan::{Delete, Desired, Scale};

use crate::{
    cache::Key,
    error::{Error, words},
    metrics::Metrics,
};

/// Who writes.
#[derive(Clone)]
pub(crate) struct Writer {
    pub(crate) client: Client,
    pub(crate) metrics: Metrics,
}

impl Writer {
    fn api(&self, api_version: &str, kind: &str, namespace: &str) -> Api<DynamicObject> {
        let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        Api::namespaced_with(self.client.clone(), namespace, &resource)
    }

    fn deployments(&self, namespace: &str) -> Api<ModelDeployment> {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// Creates an object that is made once.
    pub(crate) async fn create(&self, namespace: &str, desired: &Desired) -> Result<Value, Error> {
        let Desired { api_version, kind, name, body, create_only: _ } = desired;
        self.metrics.wrote(kind, "create");
        let params = PostParams { field_manager: Some(names::APPLY_MANAGER.into()), ..PostParams::default() };
        let object = format!("{kind} {name}");
        let body = serde_json::from_value(body.clone()).map_err(kube::Error::SerdeError);
        let body: DynamicObject = body.map_err(|error| Error::api("create", &object, error))?;
        let made = self.api(api_version, kind, namespace).create(&params, &body).await;
        let made = made.and_then(|made| serde_json::to_value(made).map_err(kube::Error::SerdeError));
        made.map_err(|error| Error::api("create", object, error))
    }

    /// Applies an object server-side; fields that others took are taken back.
    pub(crate) async fn apply(&self, namespace: &str, desired: &Desired) -> Result<Value, Error> {
        let Desired { api_version, kind, name, body, create_only: _ } = desired;
        self.metrics.wrote(kind, "apply");
        let params = PatchParams::apply(names::APPLY_MANAGER).force();
        let api = self.api(api_version, kind, namespace);
        let made = api.patch(name, &params, &Patch::Apply(body)).await;
        let made = made.map_err(|error| Error::api("apply", format!("{kind} {name}"), error))?;
        serde_json::to_value(made)
            .map_err(|error| Error::api("apply", format!("{kind} {name}"), kube::Error::SerdeError(error)))
    }

    /// Whose an object of that name is: `None` when there is none, otherwise the uid of its controller, if any.
    ///
    /// The one read of the operator, of metadata alone: made before an object is applied for the first time, before a
    /// Job for the namespace's key, and when an object that is made once was there already.
    pub(crate) async fn holder(&self, namespace: &str, desired: &Desired) -> Result<Option<Holder>, Error> {
        let Desired { api_version, kind, name, .. } = desired;
        let found = self.api(api_version, kind, namespace).get_metadata_opt(name).await;
        let found = found.map_err(|error| Error::api("look at", format!("{kind} {name}"), error))?;
        Ok(found.map(|found| {
            let owners = found.metadata.owner_references.unwrap_or_default();
            let owner = owners.into_iter().find(|owner| owner.controller == Some(true));
            Holder {
                key: found.metadata.annotations.unwrap_or_default().remove(names::KEY_ANNOTATION),
                uid: owner.as_ref().map(|owner| owner.uid.clone()),
                name: owner
                    .map_or_else(|| "somebody else".into(), |owner| format!("{} {}", owner.kind, owner.name)),
            }
        }))
    }

    /// Sets a replica count; gives the new resource version.
    pub(crate) async fn scale(&self, namespace: &str, scale: &Scale) -> Result<u64, Error> {
        self.metrics.wrote("Deployment", "scale");
        let api: Api<Deployment> = Api::namespaced(self.client.clone(), namespace);
        let params =
            PatchParams { field_manager: Some(names::SCALE_MANAGER.into()), ..PatchParams::default() };
        let patch = Patch::Merge(json!({ "spec": { "replicas": scale.replicas } }));
        let done = api.patch_scale(&scale.name, &params, &patch).await;
        let done = done.map_err(|error| Error::api("scale", format!("Deployment {}", scale.name), error))?;
        Ok(crate::cache::version(&done))
    }

    /// Deletes exactly the object of that uid; gives what is left of it while it goes.
    pub(crate) async fn delete(
        &self,
        namespace: &str,
        delete: &Delete,
        params: DeleteParams,
    ) -> Result<Option<Value>, Error> {
        let Delete { api_version, kind, name, uid } = delete;
        self.metrics.wrote(kind, "delete");
        let only = Preconditions { uid: Some(uid.clone()), ..Preconditions::default() };
        let params = params.preconditions(only);
        match self.api(api_version, kind, namespace).delete(name, &params).await {
            Ok(Either::Left(going)) if going.metadata.deletion_timestamp.is_some() => {
                Ok(serde_json::to_value(going).ok())
            }
            Ok(_) => Ok(None),
            // Gone already, or another object took the name: the one that was meant is gone.
            Err(kube::Error::Api(status)) if status.is_not_found() || status.is_conflict() => {
                tracing::debug!(kind, name, words = %status.message, "it is gone already");
                Ok(None)
            }
            Err(error) => Err(Error::api("delete", format!("{kind} {name}"), error)),
        }
    }

    /// Writes the object's finalizers, unless the object changed in the meantime.
    pub(crate) async fn finalizers(
        &self,
        deployment: &ModelDeployment,
        finalizers: &[String],
    ) -> Result<ModelDeployment, Error> {
        self.metrics.wrote(slipway_api::KIND, "patch");
        let (key, _) = crate::observe::identity(deployment);
        let patch = json!({ "metadata": {
            "finalizers": finalizers,
            "resourceVersion": deployment.metadata.resource_version,
        } });
        let params =
            PatchParams { field_manager: Some(names::APPLY_MANAGER.into()), ..PatchParams::default() };
        let done = self.deployments(&key.namespace).patch(&key.name, &params, &Patch::Merge(patch)).await;
        done.map_err(|error| Error::api("finalize", object(&key), error))
    }

    /// Writes what is left of an object's finalizers, unless the object changed in the meantime; it need not be readable
    /// as a `ModelDeployment`.
    pub(crate) async fn release(
        &self,
        key: &Key,
        version: Option<&str>,
        kept: &[String],
    ) -> Result<(), Error> {
        self.metrics.wrote(slipway_api::KIND, "patch");
        let patch = json!({ "metadata": { "finalizers": kept, "resourceVersion": version } });
        let params =
            PatchParams { field_manager: Some(names::APPLY_MANAGER.into()), ..PatchParams::default() };
        let api = self.deployments(&key.namespace);
        let done = api.patch_metadata(&key.name, &params, &Patch::Merge(patch)).await;
        done.map(drop).map_err(|error| Error::api("finalize", object(key), error))
    }

    /// Writes the whole status, unless the object changed in the meantime.
    pub(crate) async fn status(&self, deployment: &ModelDeployment) -> Result<ModelDeployment, Error> {
        self.metrics.wrote(slipway_api::KIND, "status");
        let (key, _) = crate::observe::identity(deployment);
        let params =
            PostParams { field_manager: Some(names::STATUS_MANAGER.into()), ..PostParams::default() };
        let done = self.deployments(&key.namespace).replace_status(&key.name, &params, deployment).await;
        done.map_err(|error| Error::api("write the status of", object(&key), error))
    }

    /// Reads an object as it is, for one that cannot be read as a `ModelDeployment`.
    pub(crate) async fn raw(&self, key: &Key) -> Result<DynamicObject, Error> {
        let api_version = format!("{}/{}", slipway_api::GROUP, slipway_api::VERSION);
        let found = self.api(&api_version, slipway_api::KIND, &key.namespace).get(&key.name).await;
        found.map_err(|error| Error::api("look at", object(key), error))
    }

    /// Merges into the status of an object that cannot be read as a `ModelDeployment`.
    pub(crate) async fn raw_status(&self, key: &Key, patch: &Value) -> Result<DynamicObject, Error> {
        self.metrics.wrote(slipway_api::KIND, "status");
        let api_version = format!("{}/{}", slipway_api::GROUP, slipway_api::VERSION);
        let params =
            PatchParams { field_manager: Some(names::STATUS_MANAGER.into()), ..PatchParams::default() };
        let api = self.api(&api_version, slipway_api::KIND, &key.namespace);
        let done = api.patch_status(&key.name, &params, &Patch::Merge(patch)).await;
        done.map_err(|error| Error::api("write the status of", object(key), error))
    }
}

/// Whose an object is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Holder {
    /// The uid of its controller.
    pub(crate) uid: Option<String>,
    /// The key of the work that it was made for.
    pub(crate) key: Option<String>,
    /// The controller in words.
    pub(crate) name: String,
}

impl Holder {
    /// Refuses an object that is not this owner's, or that was made for other work than what is desired.
    pub(crate) fn check(&self, uid: &str, desired: &Desired) -> Result<(), Error> {
        let object = format!("{} {}", desired.kind, desired.name);
        if self.uid.as_deref() != Some(uid) {
            return Err(Error::Foreign { object, owner: self.name.clone() });
        }
        let key = desired.body["metadata"]["annotations"][names::KEY_ANNOTATION].as_str();
        if self.key.as_deref() == key { Ok(()) } else { Err(Error::OtherWork { object }) }
    }
}

fn object(key: &Key) -> String {
    format!("{} {}", slipway_api::KIND, key.name)
}

/// The words of an error for a status, without the name of the object that stands beside them.
pub(crate) fn message(error: &Error) -> String {
    match error {
        Error::Api { source, .. } => words(source),
        Error::Foreign { owner, .. } => format!("it exists and belongs to {owner}; rename or delete it"),
        Error::OtherWork { .. } => "it was made for other work; delete it to make it anew".into(),
        Error::Unreadable { message, .. } => {
            format!("it cannot be read: {message}; delete it to make it anew")
        }
        Error::Registry(error) => error.message.clone(),
        other => other.to_string(),
    }
}
