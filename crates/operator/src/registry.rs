//! The artifact registry, as far as the operator speaks to it: tags are the roots of artifacts, and it removes them.

use std::time::Duration;

use futures::future::BoxFuture;
use slipway_api::names;
use slipway_artifacts::{Category, Location, RegistryOptions, RetryPolicy, Store};
use slipway_plan::Untag;

/// How long a registry may be silent: the status of an object waits meanwhile.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why tags could not be removed.
#[derive(Debug, thiserror::Error)]
#[error("{repository}: {message}")]
pub struct RegistryError {
    /// The repository, with its host.
    pub repository: String,
    /// The registry's or the network's words.
    pub message: String,
    /// Whether the registry deletes no tags at all, so that to try again is in vain.
    pub refused: bool,
}

/// Where artifact tags are removed.
pub trait ArtifactRegistry: Send + Sync {
    /// Removes tags of a repository such as `default/digits`; tags that are gone are fine, and all of them means those
    /// that job pods made: what somebody else tagged there is not ours to take.
    ///
    /// # Errors
    /// When the registry does not answer or refuses; the tags may then be partly removed.
    fn untag<'a>(&'a self, repository: &'a str, untag: &'a Untag)
    -> BoxFuture<'a, Result<(), RegistryError>>;

    /// The whole name of a repository, for messages. Example: `registry.test:5000/default/digits`.
    fn name(&self, repository: &str) -> String;
}

/// A registry that speaks the OCI distribution protocol.
#[derive(Debug, Clone)]
pub struct OciRegistry {
    host: String,
    options: RegistryOptions,
}

impl OciRegistry {
    /// The registry at a host, by HTTPS unless `plain_http`.
    pub fn new(host: &str, plain_http: bool) -> Self {
        let plain_http = if plain_http { vec![host.to_owned()] } else { Vec::new() };
        // The object's own backoff asks again, and the world is looked at before.
        let retry = RetryPolicy { attempts: 1, stall: PATIENCE, ..RetryPolicy::default() };
        let options = RegistryOptions { plain_http, retry, ..RegistryOptions::default() };
        Self { host: host.to_owned(), options }
    }

    async fn remove(&self, repository: &str, untag: &Untag) -> slipway_artifacts::Result<()> {
        let location = Location::Registry { host: self.host.clone(), repository: repository.to_owned() };
        let store = Store::open(&location, &self.options)?;
        let tags = match untag {
            Untag::Nothing => return Ok(()),
            Untag::Tags(tags) => tags.iter().map(|tag| tag.parse()).collect::<Result<Vec<_>, _>>()?,
            Untag::Everything => {
                let all = store.tags().await?;
                all.into_iter().filter(|tag| names::is_work_tag(tag.as_str())).collect()
            }
        };
        for tag in tags {
            if store.untag(&tag).await? {
                tracing::debug!(repository, %tag, "removed a tag");
            }
        }
        Ok(())
    }
}

impl ArtifactRegistry for OciRegistry {
    fn untag<'a>(
        &'a self,
        repository: &'a str,
        untag: &'a Untag,
    ) -> BoxFuture<'a, Result<(), RegistryError>> {
        Box::pin(async move {
            let done = self.remove(repository, untag).await;
            done.map_err(|error| RegistryError {
                repository: self.name(repository),
                message: error.to_string(),
                refused: error.category() == Category::NotAllowed,
            })
        })
    }

    fn name(&self, repository: &str) -> String {
        format!("{}/{repository}", self.host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::{Json, extract::Request, http::Method, http::StatusCode, response::IntoResponse};
    use serde_json::json;
    use std::sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    };
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn a_deletion_takes_the_tags_that_job_pods_made_and_no_others() {
        let deleted = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&deleted);
        let router = axum::Router::new().fallback(async move |request: Request| {
            let path = request.uri().path().to_owned();
            if *request.method() == Method::DELETE {
                noted.lock().unwrap().push(path.rsplit('/').next().unwrap_or_default().to_owned());
                return StatusCode::ACCEPTED.into_response();
            }
            let tags = json!({ "name": "vision/net", "tags": ["latest", "work-1", "work-1-report", "v1.0"] });
            if path.ends_with("/tags/list") {
                Json(tags).into_response()
            } else {
                StatusCode::OK.into_response()
            }
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move { axum::serve(listener, router).await });
        let registry = OciRegistry::new(&host, true);
        registry.untag("vision/net", &Untag::Everything).await.unwrap();
        assert_eq!(*deleted.lock().unwrap(), ["work-1", "work-1-report"]);
    }

    #[tokio::test]
    async fn a_registry_that_breaks_off_is_asked_once_and_named() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&asked);
        tokio::spawn(async move {
            while listener.accept().await.is_ok() {
                counted.fetch_add(1, Ordering::Relaxed);
            }
        });
        let registry = OciRegistry::new(&host, true);
        let tags = Untag::Tags(vec!["work-1".into()]);
        let error = registry.untag("vision/net", &tags).await.unwrap_err();
        assert_eq!((error.repository, error.refused), (format!("{host}/vision/net"), false));
        assert_eq!(asked.load(Ordering::Relaxed), 1);
    }
}
