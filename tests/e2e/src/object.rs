//! A model deployment, as a user looks at it.

use std::{collections::BTreeSet, time::Duration};

use serde_json::Value;

use crate::{Cluster, wait};

/// The full resource name; other projects use the kind's name too.
pub const RESOURCE: &str = "modeldeployments.slipway.dev";

/// A model deployment of a namespace.
pub struct Deployment<'a> {
    /// The cluster.
    pub cluster: &'a Cluster,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl<'a> Deployment<'a> {
    /// The one of this name.
    pub fn new(cluster: &'a Cluster, namespace: &str, name: &str) -> Self {
        Self { cluster, namespace: namespace.into(), name: name.into() }
    }

    /// The object as JSON.
    pub fn get(&self) -> Value {
        let text = self.cluster.kubectl(&["get", RESOURCE, &self.name, "-n", &self.namespace, "-o", "json"]);
        serde_json::from_str(&text).expect("kubectl prints JSON")
    }

    /// A condition of the object's own generation: status, reason, message.
    pub fn condition(&self, name: &str) -> Option<(String, String, String)> {
        condition(&self.get(), name)
    }

    /// Waits until a condition of this generation has a status.
    pub fn until(&self, name: &str, status: &str, most: Duration) -> Value {
        self.until_it("the condition", most, |object| {
            condition(object, name).is_some_and(|(is, _, _)| is == status)
        })
    }

    /// Waits until a condition of this generation has a reason.
    pub fn until_reason(&self, name: &str, reason: &str, most: Duration) -> String {
        let object = self.until_it(&format!("{name}={reason}"), most, |object| {
            condition(object, name).is_some_and(|(_, is, _)| is == reason)
        });
        condition(&object, name).map(|(_, _, message)| message).unwrap_or_default()
    }

    /// Waits until this generation is ready.
    pub fn until_ready(&self) -> Value {
        self.until("Ready", "True", Duration::from_secs(150))
    }

    fn until_it(&self, what: &str, most: Duration, is: impl Fn(&Value) -> bool) -> Value {
        wait::until(&format!("{}/{}: {what}", self.namespace, self.name), most, || {
            let object = self.get();
            let current = object["status"]["observedGeneration"] == object["metadata"]["generation"];
            if current && is(&object) { Ok(object) } else { Err(format!("{:#}", object["status"])) }
        })
    }

    /// Changes the spec with a merge patch.
    pub fn patch(&self, patch: &Value) {
        let patch = patch.to_string();
        self.cluster.kubectl(&[
            "patch",
            RESOURCE,
            &self.name,
            "-n",
            &self.namespace,
            "--type=merge",
            "-p",
            &patch,
        ]);
    }

    /// Throws the status away.
    pub fn empty_status(&self) {
        let args =
            ["patch", RESOURCE, &self.name, "-n", &self.namespace, "--type=json", "--subresource=status"];
        let patch = r#"[{"op":"remove","path":"/status"}]"#;
        self.cluster.kubectl(&[&args[..], &["-p", patch]].concat());
    }

    /// The uids of the serving pods.
    pub fn pod_uids(&self) -> BTreeSet<String> {
        let pods = self.cluster.list(&self.namespace, "pods");
        let serves = |labels: &Value| {
            labels["slipway.dev/deployment"] == self.name && labels.get("slipway.dev/revision").is_some()
        };
        let serving = pods.iter().filter(|pod| serves(&pod["metadata"]["labels"]));
        serving.filter_map(|pod| pod["metadata"]["uid"].as_str().map(str::to_owned)).collect()
    }

    /// The names of its Jobs.
    pub fn jobs(&self) -> BTreeSet<String> {
        let jobs = self.cluster.list(&self.namespace, "jobs");
        jobs.iter().filter_map(|job| job["metadata"]["name"].as_str().map(str::to_owned)).collect()
    }

    /// A way to its Service.
    pub fn forward(&self) -> crate::cluster::Forward {
        self.cluster.forward(&format!("{}.{}.svc.cluster.local:80", self.name, self.namespace))
    }

    /// One check of the gate.
    ///
    /// # Panics
    /// When the gate has no such check.
    pub fn check(object: &Value, name: &str) -> Value {
        let checks = object["status"]["gate"]["checks"].as_array();
        let found = checks.into_iter().flatten().find(|check| check["name"] == name);
        found.cloned().unwrap_or_else(|| panic_without(name, object))
    }
}

#[expect(clippy::panic, reason = "this is how a test fails")]
fn panic_without(name: &str, object: &Value) -> ! {
    panic!("no check {name} in {:#}", object["status"]["gate"])
}

/// A decimal string of a status.
pub fn number(value: &Value) -> f64 {
    value.as_str().and_then(|text| text.parse().ok()).unwrap_or(f64::NAN)
}

/// A condition of an object: status, reason, message.
pub fn condition(object: &Value, name: &str) -> Option<(String, String, String)> {
    let conditions = object["status"]["conditions"].as_array();
    let found = conditions.into_iter().flatten().find(|one| one["type"] == name)?;
    let text = |key: &str| found[key].as_str().unwrap_or_default().to_owned();
    Some((text("status"), text("reason"), text("message")))
}
