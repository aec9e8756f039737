//! Registry logins as `docker login` and Kubernetes write them.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use crate::error::{Error, Result};

/// User names and passwords by registry host; empty means anonymous.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Credentials {
    logins: BTreeMap<String, Login>,
}

/// A user name and a password; never printed.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Login {
    user: String,
    password: String,
}

impl Login {
    /// The value of an `Authorization` header.
    pub(crate) fn basic(&self) -> String {
        format!("Basic {}", STANDARD.encode(format!("{}:{}", self.user, self.password)))
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct DockerConfig {
    #[serde(default)]
    auths: BTreeMap<String, DockerAuth>,
}

#[derive(Deserialize)]
struct DockerAuth {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
}

impl Credentials {
    /// One login for one host.
    #[must_use]
    pub fn with_basic(mut self, host: &str, user: &str, password: &str) -> Self {
        let login = Login { user: user.to_owned(), password: password.to_owned() };
        self.logins.insert(normal_host(host), login);
        self
    }

    /// Reads `config.json` of Docker, or `.dockerconfigjson` of a Secret: its `auths` with `auth` or `username` and
    /// `password`. Entries without a password (credential helpers) are left out.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it is not such a file; the message never quotes it.
    pub fn from_docker_config(json: &[u8]) -> Result<Self> {
        let invalid = |reason: &str| Error::invalid("registry credentials", reason);
        let config: DockerConfig =
            serde_json::from_slice(json).map_err(|_| invalid("they are not a Docker config.json"))?;
        let mut credentials = Self::default();
        for (host, DockerAuth { auth, username, password }) in config.auths {
            let pair =
                match (auth.filter(|auth| !auth.is_empty()), username.zip(password)) {
                    (Some(auth), _) => Some(decode(&auth).ok_or_else(|| {
                        invalid(&format!("auth of {host:?} is not base64 of user:password"))
                    })?),
                    (None, pair) => pair,
                };
            if let Some((user, password)) = pair {
                credentials = credentials.with_basic(&host, &user, &password);
            }
        }
        Ok(credentials)
    }

    pub(crate) fn for_host(&self, host: &str) -> Option<&Login> {
        self.logins.get(&normal_host(host))
    }
}

fn decode(auth: &str) -> Option<(String, String)> {
    let text = String::from_utf8(STANDARD.decode(auth.trim()).ok()?).ok()?;
    let (user, password) = text.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

/// `https://index.docker.io/v1/` and `docker.io` are one host; schemes and paths do not count.
fn normal_host(host: &str) -> String {
    let host = host.trim_start_matches("https://").trim_start_matches("http://");
    let host = host.split('/').next().unwrap_or_default();
    if ["index.docker.io", "registry-1.docker.io"].contains(&host) { "docker.io".into() } else { host.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logins_are_found_by_host_in_every_form() {
        let json = br#"{"auths": {
            "https://index.docker.io/v1/": {"auth": "dTpwOng="},
            "registry.example:5000": {"username": "a", "password": "b"},
            "helper.example": {}
        }, "credsStore": "desktop"}"#;
        let credentials = Credentials::from_docker_config(json).unwrap();
        assert_eq!(credentials.for_host("docker.io").unwrap().basic(), "Basic dTpwOng=");
        assert_eq!(credentials.for_host("registry.example:5000").unwrap().basic(), "Basic YTpi");
        assert!(credentials.for_host("registry.example").is_none());
        assert!(credentials.for_host("helper.example").is_none());
    }

    #[test]
    fn secrets_stay_out_of_messages() {
        for bad in
            [&b"{\"auths\": {\"h\": {\"auth\": \"s3cret\"}}}"[..], b"s3cret", b"{\"auths\": \"s3cret\"}"]
        {
            let message = Credentials::from_docker_config(bad).unwrap_err().to_string();
            assert!(!message.contains("s3cret"), "{message}");
        }
        let credentials = Credentials::default().with_basic("h", "u", "s3cret");
        assert!(!format!("{credentials:?}").contains("s3cret"));
    }
}
