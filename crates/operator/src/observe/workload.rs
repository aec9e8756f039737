//! Deployments (apps/v1), one a live revision.

use k8s_openapi::api::apps::v1::{Deployment, DeploymentStatus};
use slipway_api::names;
use slipway_plan::Workload;

use crate::cache::Seen;

impl Seen for Workload {
    type Object = Deployment;
    const COMPARED: bool = true;

    fn see(object: &Deployment) -> Option<Self> {
        let meta = &object.metadata;
        let status = object.status.clone().unwrap_or_default();
        let revision = meta.labels.iter().flatten().find(|(name, _)| *name == names::REVISION_LABEL);
        let condition = |name: &str, holds: &str| {
            let conditions = status.conditions.iter().flatten();
            conditions.into_iter().find(|condition| condition.type_ == name && condition.status == holds)
        };
        let stuck = condition("Progressing", "False")
            .is_some_and(|condition| condition.reason.as_deref() == Some("ProgressDeadlineExceeded"));
        let refused = condition("ReplicaFailure", "True");
        let DeploymentStatus {
            replicas,
            updated_replicas,
            ready_replicas,
            available_replicas,
            observed_generation,
            ..
        } = &status;
        Some(Self {
            name: meta.name.clone()?,
            uid: meta.uid.clone()?,
            revision: revision.map(|(_, hash)| hash.clone()).unwrap_or_default(),
            deleting: meta.deletion_timestamp.is_some(),
            current: observed_generation.is_some() && *observed_generation == meta.generation,
            desired: object.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1),
            replicas: replicas.unwrap_or(0),
            updated: updated_replicas.unwrap_or(0),
            ready: ready_replicas.unwrap_or(0),
            available: available_replicas.unwrap_or(0),
            deadline_exceeded: stuck,
            replica_failure: refused.map(|condition| condition.message.clone().unwrap_or_default()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn workload(generation: i64, status: &Value) -> Workload {
        let object = json!({
            "metadata": { "name": "net-3f2a", "uid": "u", "generation": generation, "labels": { names::REVISION_LABEL: "3f2a" } },
            "spec": { "replicas": 3, "selector": {}, "template": {} },
            "status": status,
        });
        Workload::see(&serde_json::from_value(object).unwrap()).unwrap()
    }

    #[test]
    fn a_status_counts_only_for_the_generation_that_it_speaks_of() {
        assert!(!workload(2, &json!({ "observedGeneration": 1, "readyReplicas": 3 })).current);
        assert!(!workload(1, &json!({})).current, "no status is no answer");
        let current =
            workload(2, &json!({ "observedGeneration": 2, "readyReplicas": 3, "updatedReplicas": 2 }));
        assert!(current.current);
        assert_eq!((current.ready, current.updated, current.available, current.desired), (3, 2, 0, 3));
    }

    #[test]
    fn a_stuck_or_refused_rollout_is_told_with_its_words() {
        let condition = |name: &str, status: &str, reason: &str| json!({ "type": name, "status": status, "reason": reason, "message": "quota" });
        let slow = workload(
            1,
            &json!({ "conditions": [condition("Progressing", "False", "ProgressDeadlineExceeded")] }),
        );
        assert!(slow.deadline_exceeded);
        let refused =
            workload(1, &json!({ "conditions": [condition("ReplicaFailure", "True", "FailedCreate")] }));
        assert_eq!((refused.deadline_exceeded, refused.replica_failure.as_deref()), (false, Some("quota")));
    }
}
