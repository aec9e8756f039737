//! The artifact registry, as far as the operator speaks to it: tags are the roots of artifacts, and it removes them.

use futures::future::BoxFuture;
use slipway_artifacts::{Location, RegistryOptions, Store};
use slipway_plan::Untag;

/// Why tags could not be removed.
#[derive(Debug, thiserror::Error)]
#[error("{repository}: {message}")]
pub struct RegistryError {
    /// The repository, with its host.
    pub repository: String,
    /// The registry's or the network's words.
    pub message: String,
}

/// Where artifact tags are removed.
pub trait ArtifactRegistry: Send + Sync {
    /// Removes tags of a repository such as `default/digits`; tags that are gone are fine.
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
        Self { host: host.to_owned(), options: RegistryOptions { plain_http, ..RegistryOptions::default() } }
    }

    async fn remove(&self, repository: &str, untag: &Untag) -> slipway_artifacts::Result<()> {
        let location = Location::Registry { host: self.host.clone(), repository: repository.to_owned() };
        let store = Store::open(&location, &self.options)?;
        let tags = match untag {
            Untag::Nothing => return Ok(()),
            Untag::Tags(tags) => tags.iter().map(|tag| tag.parse()).collect::<Result<Vec<_>, _>>()?,
            Untag::Everything => store.tags().await?,
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
            })
        })
    }

    fn name(&self, repository: &str) -> String {
        format!("{}/{repository}", self.host)
    }
}
