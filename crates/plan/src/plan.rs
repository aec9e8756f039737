//! What should happen now: the values that a decision gives.

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

/// What should exist and happen now; the applier does it in this order and decides nothing.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// Whether our finalizer should be on the object.
    pub finalizer: bool,
    /// Objects to apply, in order.
    pub apply: Vec<Desired>,
    /// Replica counts to set through `/scale`, after the objects exist.
    pub scale: Vec<Scale>,
    /// Tags to remove from the object's repository before anything is deleted.
    pub untag: Untag,
    /// Objects to delete, with a precondition on their uid.
    pub delete: Vec<Delete>,
    /// What is told to the user as events, after status is stored.
    pub events: Vec<Event>,
    /// When to look again without a change, where waiting alone can change something.
    pub requeue: Option<Duration>,
    /// What status is derived from.
    pub progress: crate::Progress,
}

/// One object that should exist: its key and its body.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Desired {
    /// `apiVersion`. Example: `apps/v1`.
    pub api_version: String,
    /// `kind`. Example: `Deployment`.
    pub kind: String,
    /// `metadata.name`; the namespace is the `ModelDeployment`'s.
    pub name: String,
    /// Whether it is made once and never touched again (Jobs and `ControllerRevision`s are immutable).
    pub create_only: bool,
    /// The whole body that is applied, `apiVersion`, `kind`, labels and owner included.
    pub body: Value,
}

/// A replica count of a Deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Scale {
    /// The Deployment's name.
    pub name: String,
    /// How many pods.
    pub replicas: i32,
}

/// Tags to remove from the object's repository.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Untag {
    /// None.
    #[default]
    Nothing,
    /// These.
    Tags(Vec<String>),
    /// All of them: the object goes.
    Everything,
}

/// One object to delete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Delete {
    /// `apiVersion`.
    pub api_version: String,
    /// `kind`.
    pub kind: String,
    /// `metadata.name`.
    pub name: String,
    /// The uid that it must have.
    pub uid: String,
}

impl Delete {
    pub(crate) fn new(api_version: &str, kind: &str, name: &str, uid: &str) -> Self {
        let [api_version, kind, name, uid] = [api_version, kind, name, uid].map(str::to_owned);
        Self { api_version, kind, name, uid }
    }
}

/// Something that is told to the user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// Whether something is wrong.
    pub warning: bool,
    /// A constant. Example: `RolloutFinished`.
    pub reason: String,
    /// In words.
    pub message: String,
}
