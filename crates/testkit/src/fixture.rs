//! Objects for tests, built by saying what matters.

use serde_json::{Value, json};
use slipway_api::ModelDeployment;

/// A `ModelDeployment` under construction; every name in it differs, so that a mix-up shows.
#[derive(Debug, Clone)]
pub struct Fixture {
    object: Value,
}

/// Begins an object: a pinned model that needs no stage and no gate.
pub fn deployment(name: &str) -> Fixture {
    let digest = crate::digest(name);
    Fixture {
        object: json!({
            "apiVersion": "slipway.dev/v1alpha1",
            "kind": "ModelDeployment",
            "metadata": { "name": name },
            "spec": {
                "model": { "source": { "uri": format!("oci://models.test/{name}-weights@{digest}") } },
                "serving": {},
            },
        }),
    }
}

impl Fixture {
    /// Puts it into a namespace.
    #[must_use]
    pub fn within(mut self, namespace: &str) -> Self {
        self.object["metadata"]["namespace"] = json!(namespace);
        self
    }

    /// Adds a stage that quantizes; the model then comes from a `ConfigMap`.
    #[must_use]
    pub fn stage(mut self, name: &str) -> Self {
        self.object["spec"]["model"] =
            json!({ "source": { "uri": "configmap://net-file", "file": "net.onnx" } });
        let stage = json!({ "name": name, "quantize": { "dynamic": {} } });
        self.list("stages").push(stage);
        self
    }

    /// Adds a gate on accuracy, with its data set.
    #[must_use]
    pub fn gate(mut self, minimum: &str) -> Self {
        let data = json!({ "name": "unseen", "labels": "truth",
                           "source": { "uri": "configmap://net-samples", "file": "unseen.npz" } });
        self.list("data").push(data);
        self.object["spec"]["gate"] = json!({
            "data": "unseen",
            "task": { "classification": { "output": "scores" } },
            "checks": [{ "name": "right", "accuracy": { "minimum": minimum } }],
        });
        self
    }

    /// Sets how many pods serve.
    #[must_use]
    pub fn replicas(self, replicas: i32) -> Self {
        self.set("/spec/serving/replicas", json!(replicas))
    }

    /// Sets a value, by a JSON pointer whose parent exists.
    ///
    /// # Panics
    /// When the parent does not exist.
    #[must_use]
    pub fn set(mut self, pointer: &str, value: Value) -> Self {
        let (parent, field) = pointer.rsplit_once('/').expect("a pointer");
        let parent = self.object.pointer_mut(parent).expect("the parent exists");
        match parent {
            Value::Array(list) => {
                let index: usize = field.parse().expect("an index");
                list[index] = value;
            }
            parent => parent[field] = value,
        }
        self
    }

    /// Removes a field, by its JSON pointer.
    ///
    /// # Panics
    /// When its parent is not an object.
    #[must_use]
    pub fn without(mut self, pointer: &str) -> Self {
        let (parent, field) = pointer.rsplit_once('/').expect("a pointer");
        let parent = self.object.pointer_mut(parent).and_then(Value::as_object_mut);
        parent.expect("the parent is an object").remove(field);
        self
    }

    /// The object as JSON, wrong ones too.
    pub fn json(&self) -> Value {
        self.object.clone()
    }

    /// The object.
    ///
    /// # Panics
    /// When it is not one.
    pub fn build(&self) -> ModelDeployment {
        serde_json::from_value(self.object.clone()).expect("a ModelDeployment")
    }

    fn list(&mut self, field: &str) -> &mut Vec<Value> {
        let list = &mut self.object["spec"][field];
        if list.is_null() {
            *list = json!([]);
        }
        list.as_array_mut().expect("a list")
    }
}
