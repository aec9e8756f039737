//! A cluster of one: what a plan asks for is done here and now.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use serde_json::Value;
use slipway_api::{
    ModelDeployment,
    condition::reason::{CHECK_FAILED, INCONCLUSIVE},
    job::{JobResult, JobSpec, Work},
    names,
    status::{StageState, Status},
};
use slipway_artifacts::{ConfigMapData, FetchOptions, HttpsPolicy, Location, SharedProgress, Store};
use slipway_optimizer::work::{self, Context};
use slipway_plan::{
    Deployment, Desired, Job, JobState, Observed, Outcome, Plan, RevisionData, Settings, advice, plan, status,
};

use super::{Workspace, judges, outputs};
use crate::{
    error::Error,
    manifests::{DEFAULT_NAMESPACE, Manifests},
};

/// A pipeline that went through: everything that a report or a server needs.
pub(crate) struct Road {
    pub(crate) name: String,
    pub(crate) status: Status,
    pub(crate) revision: Option<RevisionData>,
    pub(crate) times: Vec<(String, Duration, bool)>,
    pub(crate) store: Store,
    pub(crate) deployment: ModelDeployment,
}

/// What of this machine and its network a source may reach.
pub(crate) struct Sources {
    /// Where relative `file://` paths start.
    pub(crate) base: PathBuf,
    /// Whether `https://` may lead to private addresses.
    pub(crate) allow_private_hosts: bool,
}

/// Settings that render the same objects as the chart's defaults; `local` allows sources on this machine's disk.
pub(crate) fn settings(local: bool) -> Settings {
    Settings {
        server_image: format!("slipway-server:{}", env!("CARGO_PKG_VERSION")),
        onnxruntime_server_image: Some(format!("slipway-server-onnxruntime:{}", env!("CARGO_PKG_VERSION"))),
        job_image: format!("slipway-job:{}", env!("CARGO_PKG_VERSION")),
        onnxruntime_job_image: Some(format!("slipway-job-onnxruntime:{}", env!("CARGO_PKG_VERSION"))),
        image_pull_policy: "IfNotPresent".into(),
        image_pull_secrets: Vec::new(),
        registry: "slipway-registry.slipway-system.svc:5000".into(),
        registry_plain_http: true,
        service_monitors: true,
        service_monitor_labels: BTreeMap::new(),
        local,
    }
}

/// A model deployment as the plan sees it before anything was made for it.
pub(crate) fn observe(deployment: &ModelDeployment) -> Observed {
    let metadata = &deployment.metadata;
    let name = metadata.name.as_deref().unwrap_or_default();
    let namespace = metadata.namespace.as_deref().unwrap_or(DEFAULT_NAMESPACE);
    let uid = metadata.uid.as_deref().unwrap_or("00000000-0000-0000-0000-000000000000");
    Observed::new(Timestamp::now(), Deployment::new(name, namespace, uid, deployment.spec.clone()))
}

/// The repository of a model deployment's artifacts.
pub(crate) fn repository(deployment: &ModelDeployment) -> String {
    let Deployment { namespace, name, .. } = observe(deployment).deployment;
    names::repository(&namespace, &name)
}

/// Takes a model deployment through its pipeline, Job by Job.
pub(crate) async fn travel(
    manifests: &Manifests,
    deployment: &ModelDeployment,
    workspace: &Workspace,
    sources: &Sources,
    progress: SharedProgress,
) -> Result<Road, Error> {
    let mut observed = observe(deployment);
    let settings = settings(true);
    let repository = repository(deployment);
    let location = Location::Layout { path: workspace.repository(&repository) };
    let store = Store::open(&location, &slipway_artifacts::RegistryOptions::default())?;
    let fetch = FetchOptions {
        config_maps: config_maps(manifests, &observed.deployment.namespace),
        files: Some(sources.base.clone()),
        https: HttpsPolicy { allow_private: sources.allow_private_hosts, ..HttpsPolicy::default() },
        progress: progress.clone(),
        ..FetchOptions::default()
    };
    let scratch = workspace.scratch().to_owned();
    let mut context = Context {
        store: store.clone(),
        signing: None,
        fetch,
        scratch,
        progress,
        judges: None,
        fetch_anew: true,
    };
    let mut times = Vec::new();
    loop {
        let decided = plan(&observed, &settings);
        let jobs: Vec<_> = decided.apply.iter().filter(|desired| desired.kind == "Job").collect();
        if jobs.is_empty() {
            let road = arrive(deployment, &observed, &decided, times, store);
            workspace.collect(&repository, &road.artifacts())?;
            return Ok(road);
        }
        for job in jobs {
            let began = Instant::now();
            let (spec, result) = perform(job, &mut context, &observed).await?;
            times.push((spec.step.clone(), began.elapsed(), result.reused));
            if let (Work::Source { .. }, Some(gate), Some(source)) =
                (&spec.work, &deployment.spec.gate, &result.output)
            {
                outputs::check(gate, &store, source).await?;
            }
            observed.jobs.push(finished(job, &spec, result));
        }
    }
}

fn config_maps(manifests: &Manifests, namespace: &str) -> BTreeMap<String, ConfigMapData> {
    let maps = manifests.config_maps(namespace);
    maps.map(|(name, data)| (name.to_owned(), ConfigMapData::Bytes(data.clone()))).collect()
}

/// The step inside a Job's body: the same argument that a pod would get.
pub(crate) fn step(job: &Desired) -> Result<JobSpec, Error> {
    let args = &job.body["spec"]["template"]["spec"]["containers"][0]["args"];
    let text = args.as_array().and_then(|args| args.last()).and_then(Value::as_str).unwrap_or_default();
    serde_json::from_str(text).map_err(|error| Error::Model(format!("job {} has no step: {error}", job.name)))
}

async fn perform(
    job: &Desired,
    context: &mut Context,
    observed: &Observed,
) -> Result<(JobSpec, JobResult), Error> {
    let spec = step(job)?;
    let Work::Gate(gate) = &spec.work else {
        let result = work::run(&spec, context).await;
        return Ok((spec, result));
    };
    let servers =
        judges::start(gate, context, &observed.deployment.name, &observed.deployment.spec.serving).await?;
    context.judges = Some(servers.judges());
    let result = work::run(&spec, context).await;
    context.judges = None;
    servers.stop().await;
    Ok((spec, result))
}

/// A Job that ended with an answer; here nobody tries again what may pass.
pub(crate) fn finished(job: &Desired, spec: &JobSpec, mut result: JobResult) -> Job {
    if let Some(failure) = &mut result.failure {
        failure.retryable = false;
    }
    let state = match &result.failure {
        None => JobState::Succeeded,
        Some(failure) => {
            JobState::Failed { reason: "BackoffLimitExceeded".into(), message: failure.message.clone() }
        }
    };
    Job {
        name: job.name.clone(),
        uid: spec.key.clone(),
        step: spec.step.clone(),
        key: spec.key.clone(),
        deleting: false,
        state,
        finished_at: Some(Timestamp::now()),
        result: Some(result),
        trouble: None,
    }
}

fn arrive(
    deployment: &ModelDeployment,
    observed: &Observed,
    decided: &Plan,
    times: Vec<(String, Duration, bool)>,
    store: Store,
) -> Road {
    let revision = decided.apply.iter().find(|desired| desired.kind == "ControllerRevision");
    Road {
        name: observed.deployment.name.clone(),
        status: status(observed, decided, &Outcome::default()),
        revision: revision.and_then(|revision| serde_json::from_value(revision.body["data"].clone()).ok()),
        times,
        store,
        deployment: deployment.clone(),
    }
}

impl Road {
    /// The tags of everything that this run made or found.
    fn artifacts(&self) -> BTreeSet<String> {
        let keys = self.status.stages.iter().filter_map(|stage| stage.key.as_deref());
        keys.flat_map(names::tags).collect()
    }

    /// What of a valid spec is probably not meant.
    pub(crate) fn advice(&self) -> Option<String> {
        let accepted = self.status.conditions.iter().find(|one| one.condition_type == "Accepted")?;
        (accepted.status == "True").then(|| advice(&self.deployment.spec)).flatten()
    }

    /// Refuses to go on where the pipeline or the gate stopped it.
    pub(crate) fn passed(&self) -> Result<&RevisionData, Error> {
        let condition = |name: &str| self.status.conditions.iter().find(|one| one.condition_type == name);
        let failed = |name: &str| {
            condition(name)
                .filter(|one| one.status == "False")
                .map(|one| (one.reason.clone(), one.message.clone()))
        };
        if let Some((reason, message)) = failed("Accepted") {
            return Err(Error::Spec { name: self.name.clone(), reason, message });
        }
        if let Some((reason, message)) = failed("Optimized") {
            return Err(Error::Pipeline { reason, message });
        }
        match failed("GatePassed") {
            Some((reason, message)) if [CHECK_FAILED, INCONCLUSIVE].contains(&reason.as_str()) => {
                return Err(Error::Gate { reason, message });
            }
            // It did not judge, so it says nothing of the model.
            Some((reason, message)) => return Err(Error::Pipeline { reason, message }),
            None => {}
        }
        self.revision.as_ref().ok_or_else(|| {
            let open = self.status.stages.iter().find(|stage| stage.state != StageState::Succeeded);
            let message =
                open.and_then(|stage| stage.message.clone()).unwrap_or_else(|| "nothing to serve".into());
            Error::Pipeline { reason: "Waiting".into(), message }
        })
    }
}
