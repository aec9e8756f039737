//! What controllers, the kubelet and job pods would do, by nothing but status writes to a real API server.

mod job;

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use futures::StreamExt;
use k8s_openapi::api::{apps::v1::Deployment, batch::v1::Job};
use kube::{
    Api, Client, ResourceExt,
    api::{Patch, PatchParams},
    runtime::{WatchStreamExt, watcher},
};
use serde_json::json;
use slipway_api::{job::Failure, sha256_hex, status::Verdict};
use tokio::task::JoinHandle;

/// A digest that differs for every text.
pub fn digest(text: &str) -> String {
    format!("sha256:{}", sha256_hex(text))
}

/// A namespace in which Jobs end and Deployments become available by themselves; it stops when dropped.
pub struct Simulator {
    shared: Arc<Shared>,
    tasks: [JoinHandle<()>; 2],
}

pub(crate) struct Shared {
    pub(crate) client: Client,
    pub(crate) namespace: String,
    pub(crate) state: Mutex<State>,
}

pub(crate) struct State {
    /// What the next gate says.
    pub(crate) verdict: Verdict,
    /// Steps whose jobs go on until they are deleted.
    pub(crate) endless: Vec<String>,
    /// Steps whose jobs fail.
    pub(crate) failing: Vec<(String, Failure)>,
    /// Keys whose work was computed.
    pub(crate) computed: Vec<String>,
    /// Names of Jobs that were run, in order.
    pub(crate) jobs: Vec<String>,
    /// Their uids.
    seen: BTreeSet<String>,
}

impl Simulator {
    /// Starts to simulate one namespace.
    pub fn start(client: Client, namespace: &str) -> Self {
        let state = State {
            verdict: Verdict::Pass,
            endless: Vec::new(),
            failing: Vec::new(),
            computed: Vec::new(),
            jobs: Vec::new(),
            seen: BTreeSet::new(),
        };
        let shared = Arc::new(Shared { client, namespace: namespace.to_owned(), state: Mutex::new(state) });
        let tasks = [
            tokio::spawn(follow_jobs(Arc::clone(&shared))),
            tokio::spawn(follow_deployments(Arc::clone(&shared))),
        ];
        Self { shared, tasks }
    }

    /// Sets what gates say from now on.
    pub fn verdict(&self, verdict: Verdict) {
        self.shared.lock().verdict = verdict;
    }

    /// Makes the jobs of a step fail from now on.
    pub fn fail(&self, step: &str, failure: Failure) {
        self.shared.lock().failing.push((step.to_owned(), failure));
    }

    /// Makes the jobs of a step go on for ever from now on; their pods, once deleted, stay until [`Self::end`].
    pub fn hold(&self, step: &str) {
        self.shared.lock().endless.push(step.to_owned());
    }

    /// Lets the pods of held jobs end.
    pub async fn end(&self) {
        job::let_go(&self.shared).await;
    }

    /// The names of all Jobs that were run so far, one that was made anew as often as it was.
    pub fn jobs(&self) -> Vec<String> {
        self.shared.lock().jobs.clone()
    }

    /// The keys that were computed so far, in order.
    pub fn computed(&self) -> Vec<String> {
        self.shared.lock().computed.clone()
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Shared {
    pub(crate) fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_new(&mut self, job: &Job) -> bool {
        let new = self.seen.insert(job.uid().unwrap_or_default());
        if new {
            self.jobs.push(job.name_any());
        }
        new
    }
}

async fn follow_jobs(shared: Arc<Shared>) {
    let api: Api<Job> = Api::namespaced(shared.client.clone(), &shared.namespace);
    let mut jobs =
        std::pin::pin!(watcher::watcher(api, watcher::Config::default()).default_backoff().applied_objects());
    while let Some(job) = jobs.next().await {
        let Ok(job) = job else { continue };
        if job.metadata.deletion_timestamp.is_some() {
            job::collect(&shared, &job).await;
        } else if shared.lock().is_new(&job) {
            job::run(&shared, &job).await;
        }
    }
}

async fn follow_deployments(shared: Arc<Shared>) {
    let api: Api<Deployment> = Api::namespaced(shared.client.clone(), &shared.namespace);
    let events = watcher::watcher(api.clone(), watcher::Config::default()).default_backoff();
    let mut deployments = std::pin::pin!(events.applied_objects());
    while let Some(deployment) = deployments.next().await {
        let Ok(deployment) = deployment else { continue };
        let seen = deployment.status.as_ref().and_then(|status| status.observed_generation);
        if seen == deployment.metadata.generation {
            continue;
        }
        let replicas = deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
        let status = json!({ "status": {
            "observedGeneration": deployment.metadata.generation,
            "replicas": replicas, "updatedReplicas": replicas,
            "readyReplicas": replicas, "availableReplicas": replicas,
        } });
        // A Deployment that went meanwhile needs no status.
        let _patched =
            api.patch_status(&deployment.name_any(), &PatchParams::default(), &Patch::Merge(status)).await;
    }
}
