//! What a job pod finds around it: mounted sources and credentials, the registry, scratch space.

use std::{collections::BTreeMap, fs, path::Path, path::PathBuf};

use slipway_api::{
    Source,
    job::{CREDENTIALS_MOUNT, Failure, FailureCategory, JobSpec, SOURCE_MOUNT, Work},
};
use slipway_artifacts::{
    ConfigMapData, Credentials, FetchOptions, HttpsPolicy, Location, RegistryOptions, SharedProgress, Store,
};

use crate::work::{Context, Judges, fail};

/// The context of a step inside a job pod.
///
/// # Errors
/// When the registry's address or a mounted credential cannot be used.
pub fn context(spec: &JobSpec, scratch: PathBuf, progress: SharedProgress) -> Result<Context, Failure> {
    let unusable = |error: slipway_artifacts::Error| fail(FailureCategory::Storage, error.to_string());
    let plain_http = if spec.registry.plain_http { vec![spec.registry.host.clone()] } else { Vec::new() };
    let location =
        Location::Registry { host: spec.registry.host.clone(), repository: spec.registry.repository.clone() };
    let options = RegistryOptions { plain_http: plain_http.clone(), ..RegistryOptions::default() };
    let store = Store::open(&location, &options).map_err(unusable)?;
    let fetch = mounted(
        &spec.work,
        FetchOptions {
            registry: RegistryOptions {
                plain_http,
                credentials: credentials()?,
                ..RegistryOptions::default()
            },
            // A pod's network policy decides which addresses it reaches, so in-cluster hosts are allowed here.
            https: HttpsPolicy { allow_private: true, ..HttpsPolicy::default() },
            progress: progress.clone(),
            ..FetchOptions::default()
        },
    );
    let judges = match &spec.work {
        Work::Gate(gate) => Some(Judges::on_ports(gate.candidate_port, gate.baseline_port)),
        Work::Source { .. } | Work::Data { .. } | Work::Stage { .. } => None,
    };
    Ok(Context { store, fetch, scratch, progress, judges })
}

fn mounted(work: &Work, mut fetch: FetchOptions) -> FetchOptions {
    let source = match work {
        Work::Source { source, .. } => source,
        Work::Data { data } => &data.source,
        Work::Stage { .. } | Work::Gate(_) => return fetch,
    };
    let mount = PathBuf::from(SOURCE_MOUNT);
    if let Some(name) = rest(source, "configmap://") {
        fetch.config_maps = BTreeMap::from([(name, ConfigMapData::Directory(mount))]);
    } else if let Some(claim) = rest(source, "pvc://") {
        fetch.claims = BTreeMap::from([(claim, mount)]);
    }
    fetch
}

/// The name behind a scheme, without a path.
fn rest(source: &Source, scheme: &str) -> Option<String> {
    let rest = source.uri.strip_prefix(scheme)?;
    rest.split('/').next().map(str::to_owned)
}

/// The mounted Secret, where the source names one; the kubelet leaves the folder empty when it does not exist.
fn credentials() -> Result<Credentials, Failure> {
    let folder = Path::new(CREDENTIALS_MOUNT);
    if !folder.exists() {
        return Ok(Credentials::default());
    }
    let config = folder.join(".dockerconfigjson");
    let bytes = fs::read(&config).map_err(|error| {
        let message = format!(
            "the Secret of credentialsSecretRef does not exist or has no key .dockerconfigjson ({error}): create it \
             with `kubectl create secret docker-registry`"
        );
        fail(FailureCategory::NotFound, message)
    })?;
    Credentials::from_docker_config(&bytes)
        .map_err(|error| fail(FailureCategory::Unauthorized, error.to_string()))
}
