//! What a job pod finds around it: mounted sources, credentials and keys, the registry, scratch space.

use std::{collections::BTreeMap, fs, path::Path, path::PathBuf};

use slipway_api::{
    Source,
    job::{CREDENTIALS_MOUNT, Failure, FailureCategory, JobSpec, SOURCE_MOUNT, Work},
    names::{SIGNING_FIELD, SIGNING_SECRET},
};
use slipway_artifacts::{
    Authorization, ConfigMapData, Credentials, FetchOptions, HttpsPolicy, Location, RegistryOptions,
    SharedProgress, SigningKey, Store, chain,
};

use crate::work::{Context, Judges, fail};

/// The context of a step inside a job pod; `signing` is the folder of the Secret that holds the key for signatures.
///
/// # Errors
/// When the registry's address, that key or a mounted credential cannot be used.
pub fn context(
    spec: &JobSpec,
    signing: &Path,
    scratch: PathBuf,
    progress: SharedProgress,
) -> Result<Context, Failure> {
    let unusable = |error: slipway_artifacts::Error| fail(FailureCategory::Storage, error.to_string());
    let plain_http = if spec.registry.plain_http { vec![spec.registry.host.clone()] } else { Vec::new() };
    let location =
        Location::Registry { host: spec.registry.host.clone(), repository: spec.registry.repository.clone() };
    let options = RegistryOptions { plain_http: plain_http.clone(), ..RegistryOptions::default() };
    let store = Store::open(&location, &options).map_err(unusable)?;
    let Secret { registry: credentials, https: authorization, authorities: extra_ca } = secret(&spec.work)?;
    let fetch = mounted(
        &spec.work,
        FetchOptions {
            registry: RegistryOptions {
                plain_http,
                credentials,
                extra_ca: extra_ca.clone(),
                ..RegistryOptions::default()
            },
            // A pod's network policy decides which addresses it reaches, so in-cluster hosts are allowed here.
            https: HttpsPolicy { allow_private: true, authorization, extra_ca, ..HttpsPolicy::default() },
            progress: progress.clone(),
            ..FetchOptions::default()
        },
    );
    let judges = match &spec.work {
        Work::Gate(gate) => Some(Judges::on_ports(gate.candidate_port, gate.baseline_port)),
        Work::Source { .. } | Work::Data { .. } | Work::Calibrate(_) | Work::Stage { .. } => None,
    };
    let signing = Some(signing_key(signing)?);
    Ok(Context { store, signing, fetch, scratch, progress, judges, fetch_anew: false })
}

/// The key of this namespace; without one, nobody could tell this job's results from forged ones.
fn signing_key(folder: &Path) -> Result<SigningKey, Failure> {
    let read = fs::read(folder.join(SIGNING_FIELD)).map_err(|error| error.to_string());
    let key = read.and_then(|bytes| SigningKey::new(&bytes).map_err(|error| chain(&error)));
    key.map_err(|words| Failure {
        category: FailureCategory::Internal,
        retryable: true,
        message: format!(
            "Secret {SIGNING_SECRET} holds no key to sign results with ({words}): delete it and then this Job, and the \
             operator makes both anew"
        ),
    })
}

fn mounted(work: &Work, mut fetch: FetchOptions) -> FetchOptions {
    let Some(source) = work.source() else { return fetch };
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

/// What a mounted Secret gives.
#[derive(Debug, Default)]
struct Secret {
    registry: Credentials,
    https: Option<Authorization>,
    /// Certificates of authorities, in PEM form.
    authorities: Option<Vec<u8>>,
}

/// The Secret that the source names.
fn secret(work: &Work) -> Result<Secret, Failure> {
    match work.source() {
        Some(Source { uri, credentials_secret_ref: Some(reference), .. }) => {
            read_secret(Path::new(CREDENTIALS_MOUNT), uri, &reference.name)
        }
        Some(_) | None => Ok(Secret::default()),
    }
}

/// Reads a mounted Secret; the kubelet leaves the folder empty when there is none.
///
/// Authorities alone are enough: not every server that has a certificate of its own asks who is there.
fn read_secret(folder: &Path, uri: &str, name: &str) -> Result<Secret, Failure> {
    let key = |key: &str| fs::read_to_string(folder.join(key)).ok().map(|text| text.trim_end().to_owned());
    let lacks = |what: &str, kind: &str| {
        let message = format!(
            "Secret {name} of credentialsSecretRef does not exist or has no {what}: create it with `kubectl create \
             secret {kind}`"
        );
        fail(FailureCategory::NotFound, message)
    };
    let authorities = authorities(key("ca.crt"), name)?;
    if uri.starts_with("https://") {
        let basic = || Some(Authorization::basic(&key("username")?, &key("password")?));
        let https = key("token").map(|token| Authorization::bearer(&token)).or_else(basic);
        if https.is_none() && authorities.is_none() {
            return Err(lacks("key token, no keys username and password, and no key ca.crt", "generic"));
        }
        return Ok(Secret { https, authorities, ..Secret::default() });
    }
    let registry = match key(".dockerconfigjson") {
        Some(config) => Credentials::from_docker_config(config.as_bytes())
            .map_err(|error| fail(FailureCategory::Unauthorized, format!("Secret {name}: {error}")))?,
        None if authorities.is_some() => Credentials::default(),
        None => return Err(lacks("key .dockerconfigjson and no key ca.crt", "docker-registry")),
    };
    Ok(Secret { registry, authorities, ..Secret::default() })
}

/// The certificates of a key `ca.crt`.
fn authorities(pem: Option<String>, name: &str) -> Result<Option<Vec<u8>>, Failure> {
    match pem {
        Some(pem) if !pem.contains("-----BEGIN CERTIFICATE-----") => {
            let message = format!("key ca.crt of Secret {name} holds no certificate in PEM form");
            Err(fail(FailureCategory::Unauthorized, message))
        }
        pem => Ok(pem.map(String::into_bytes)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(uri: &str, keys: &[(&str, &str)]) -> Result<Secret, Failure> {
        let folder = tempfile::tempdir().unwrap();
        for (key, value) in keys {
            fs::write(folder.path().join(key), value).unwrap();
        }
        read_secret(folder.path(), uri, "their-secret")
    }

    #[test]
    fn a_web_server_gets_a_token_or_a_user_and_a_password() {
        let uri = "https://models.example/net.onnx";
        let token = read(uri, &[("token", "t0ken\n")]).unwrap();
        assert_eq!(token.https, Some(Authorization::bearer("t0ken")));
        let basic = read(uri, &[("username", "u"), ("password", "p")]).unwrap();
        assert_eq!(basic.https, Some(Authorization::basic("u", "p")));
    }

    #[test]
    fn a_secret_without_the_keys_is_named_with_what_it_lacks() {
        for (uri, keys, words) in [
            ("https://models.example/net.onnx", &[("username", "u")][..], "no key token"),
            ("https://models.example/net.onnx", &[], "secret generic"),
            ("oci://models.example/net", &[("token", "t")], "no key .dockerconfigjson"),
            ("oci://models.example/net", &[], "no key ca.crt"),
        ] {
            let failure = read(uri, keys).unwrap_err();
            assert_eq!(failure.category, FailureCategory::NotFound);
            assert!(
                failure.message.contains("their-secret") && failure.message.contains(words),
                "{failure:?}"
            );
        }
    }

    #[test]
    fn a_key_that_cannot_sign_is_named_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let missing = signing_key(folder.path()).unwrap_err();
        fs::write(folder.path().join("key"), [7; 31]).unwrap();
        let short = signing_key(folder.path()).unwrap_err();
        for (failure, words) in [(missing, "No such file"), (short, "31 bytes")] {
            assert!(failure.retryable && failure.message.contains(words), "{failure:?}");
            assert!(failure.message.contains("Secret slipway-signing"), "{failure:?}");
            assert!(failure.message.contains("delete it and then this Job"), "{failure:?}");
        }
        fs::write(folder.path().join("key"), [7; 32]).unwrap();
        assert!(signing_key(folder.path()).is_ok());
    }

    #[test]
    fn a_registry_gets_a_docker_config() {
        let config = r#"{"auths":{"models.example":{"username":"u","password":"p"}}}"#;
        let secret = read("oci://models.example/net", &[(".dockerconfigjson", config)]).unwrap();
        assert_eq!(secret.https, None);
        assert_ne!(secret.registry, Credentials::default());
        let broken = read("oci://models.example/net", &[(".dockerconfigjson", "{")]).unwrap_err();
        assert_eq!(broken.category, FailureCategory::Unauthorized);
    }
    #[test]
    fn authorities_are_trusted_beside_credentials_and_without_any() {
        let pem = "-----BEGIN CERTIFICATE-----\n…\n-----END CERTIFICATE-----";
        for uri in ["https://models.example/net.onnx", "oci://models.example/net"] {
            let alone = read(uri, &[("ca.crt", pem)]).unwrap();
            assert_eq!(alone.authorities.as_deref(), Some(pem.as_bytes()));
            assert_eq!((alone.https, alone.registry), (None, Credentials::default()));
            let broken = read(uri, &[("ca.crt", "no certificate")]).unwrap_err();
            assert!(broken.message.contains("ca.crt of Secret their-secret"), "{broken:?}");
        }
        let both = read("https://models.example/net.onnx", &[("ca.crt", pem), ("token", "t")]).unwrap();
        assert_eq!(both.https, Some(Authorization::bearer("t")));
        assert!(both.authorities.is_some());
    }
}
