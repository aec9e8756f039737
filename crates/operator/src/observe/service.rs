//! The Service in front of the stable revision, and the disruption budget.

use k8s_openapi::api::{core::v1 as core, policy::v1::PodDisruptionBudget};
use slipway_api::names;
use slipway_plan::{Child, Service};

use crate::cache::Seen;

impl Seen for Service {
    type Object = core::Service;
    const COMPARED: bool = true;

    fn see(object: &core::Service) -> Option<Self> {
        let selector = object.spec.iter().flat_map(|spec| spec.selector.iter().flatten());
        let revision = selector.into_iter().find(|(label, _)| *label == names::REVISION_LABEL);
        Some(Self { uid: object.metadata.uid.clone()?, revision: revision.map(|(_, hash)| hash.clone()) })
    }
}

/// A disruption budget.
#[derive(Debug, Clone)]
pub(crate) struct Budget(pub(crate) Child);

impl Seen for Budget {
    type Object = PodDisruptionBudget;
    const COMPARED: bool = true;

    fn see(object: &PodDisruptionBudget) -> Option<Self> {
        Some(Self(Child {
            api_version: "policy/v1".into(),
            kind: "PodDisruptionBudget".into(),
            name: object.metadata.name.clone()?,
            uid: object.metadata.uid.clone()?,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_selector_says_which_revision_gets_the_traffic() {
        let service = |selector: serde_json::Value| {
            let object = json!({ "metadata": { "uid": "u" }, "spec": { "selector": selector } });
            Service::see(&serde_json::from_value(object).unwrap()).unwrap().revision
        };
        assert_eq!(service(json!({ names::REVISION_LABEL: "3f2a" })).as_deref(), Some("3f2a"));
        assert_eq!(service(json!({ "app": "else" })), None);
        assert_eq!(service(json!(null)), None);
    }
}
