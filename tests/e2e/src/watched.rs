//! The cluster in the hands of one test: what its model deployments went through is judged when the test ends.

use std::ops::Deref;

use serde_json::Value;

use crate::{Cluster, object::RESOURCE, recorder::agrees};

/// The cluster of this process, and a judgement that no test can forget.
///
/// When it is dropped, kstatus (as Argo CD, Flux and `kpt` have it) must have agreed with the conditions of every state
/// that any model deployment was in since [`Watched::begin`]; otherwise the test fails.
pub struct Watched {
    cluster: &'static Cluster,
    from: usize,
}

impl Watched {
    /// Takes the cluster, booted at the first call.
    ///
    /// # Panics
    /// When it cannot be booted; the reason stands in the message.
    pub fn begin() -> Self {
        let cluster = Cluster::shared();
        Self { cluster, from: cluster.recorder().count() }
    }

    /// Every state since the beginning, with kstatus' word for it.
    pub fn judged(&self) -> Vec<(Value, String)> {
        let text = self.kubectl(&["get", RESOURCE, "-A", "-o", "json"]);
        let list: Value = serde_json::from_str(&text).expect("kubectl prints JSON");
        self.recorder().catch_up(list["items"].as_array().map(Vec::as_slice).unwrap_or_default());
        self.recorder().judged(self.from)
    }
}

impl Deref for Watched {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        self.cluster
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let judged = self.judged();
        assert!(!judged.is_empty(), "no model deployment was seen");
        for (object, word) in &judged {
            assert!(agrees(object, word), "kstatus says {word} of {object:#}");
        }
    }
}
