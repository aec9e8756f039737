//! One repository of an OCI registry (OCI Distribution 1.1), with streaming transfers, retries and token credentials.

mod auth;
mod credentials;
mod download;
mod manifests;
mod upload;

pub use credentials::Credentials;
pub(crate) use download::Sink;
pub(crate) use upload::Content;

use std::sync::Arc;

use reqwest::header::AUTHORIZATION;
use reqwest::redirect::{Attempt, Policy};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, Url};

use crate::error::{Error, Result};
use crate::http::{self, Fault, Retry, RetryPolicy};
use crate::reference::plain_http_allowed;
use auth::Session;

const MAX_REDIRECTS: usize = 5;

/// How to speak to registries.
#[derive(Clone, Debug, Default)]
pub struct RegistryOptions {
    /// Hosts, with or without a port, that are spoken to without TLS; loopback addresses always are.
    pub plain_http: Vec<String>,
    /// Certificates in PEM form that are trusted besides the machine's own.
    pub extra_ca: Option<Vec<u8>>,
    /// User names and passwords by host.
    pub credentials: Credentials,
    /// How often and how patiently requests are repeated.
    pub retry: RetryPolicy,
}

/// One repository of a registry; clones share connections and tokens.
#[derive(Clone, Debug)]
pub struct Registry {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    client: Client,
    host: String,
    repository: String,
    base: Url,
    plain_http: Vec<String>,
    retry: RetryPolicy,
    session: Session,
}

impl Registry {
    /// Prepares to speak to a repository; sends nothing yet.
    ///
    /// `host` and `repository` are those of a parsed [`crate::Location`].
    ///
    /// # Errors
    /// [`Error::Invalid`] for a malformed host or CA bundle.
    pub fn new(host: &str, repository: &str, options: &RegistryOptions) -> Result<Self> {
        // Docker Hub answers the registry protocol under another name than the one in references.
        let address = if host == "docker.io" { "registry-1.docker.io" } else { host };
        let scheme = if plain_http_allowed(address, &options.plain_http) { "http" } else { "https" };
        let base = format!("{scheme}://{address}/v2/");
        let base = Url::parse(&base)
            .map_err(|e| Error::invalid(format!("registry host {host:?}"), e.to_string()))?;
        let redirect = redirect_policy(options.plain_http.clone());
        let shared = Shared {
            client: http::client(options.extra_ca.as_deref(), redirect, None)?,
            host: host.to_owned(),
            repository: repository.to_owned(),
            base,
            plain_http: options.plain_http.clone(),
            retry: options.retry,
            session: Session::new(options.credentials.for_host(host).cloned()),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Host and, where given, port.
    pub fn host(&self) -> &str {
        &self.shared.host
    }

    /// The repository's name.
    pub fn repository(&self) -> &str {
        &self.shared.repository
    }

    /// The URL of something in this repository, such as `tags/list`.
    fn url(&self, tail: &str) -> Result<Url> {
        let path = format!("{}/{tail}", self.shared.repository);
        self.shared
            .base
            .join(&path)
            .map_err(|e| Error::invalid(format!("repository path {path:?}"), e.to_string()))
    }

    fn request(&self, method: Method, url: Url) -> RequestBuilder {
        self.shared.client.request(method, url)
    }

    fn retry<'a>(&'a self, action: &'a str) -> Retry<'a> {
        Retry::new(&self.shared.retry, &self.shared.host, action)
    }

    /// Sends a request that can be repeated, with retries; any answer but 401, 408, 429 and 5xx is returned.
    async fn send(&self, action: &str, make: impl Fn() -> RequestBuilder) -> Result<Response> {
        let mut retry = self.retry(action);
        loop {
            match self.send_once(action, &make).await {
                Ok(response) => return Ok(response),
                Err(fault) => retry.after(fault).await?,
            }
        }
    }

    /// One attempt; a challenge is answered within it.
    async fn send_once(
        &self,
        action: &str,
        make: &impl Fn() -> RequestBuilder,
    ) -> std::result::Result<Response, Fault> {
        let stall = self.shared.retry.stall;
        let response = http::send(self.with_credentials(make()), stall).await?;
        if response.status() != StatusCode::UNAUTHORIZED {
            return Ok(response);
        }
        self.answer_challenge(action, response).await?;
        let response = http::send(self.with_credentials(make()), stall).await?;
        if response.status() == StatusCode::UNAUTHORIZED {
            return Err(http::refusal(self.host(), action, self.repository(), response).await.into());
        }
        Ok(response)
    }

    fn with_credentials(&self, request: RequestBuilder) -> RequestBuilder {
        match self.shared.session.header() {
            Some(header) => request.header(AUTHORIZATION, header),
            None => request,
        }
    }

    async fn refusal(&self, action: &str, what: &str, response: Response) -> Error {
        http::refusal(self.host(), action, what, response).await
    }

    fn protocol(&self, action: &str, reason: impl Into<String>) -> Error {
        Error::Protocol { host: self.host().to_owned(), action: action.to_owned(), reason: reason.into() }
    }

    /// Refuses to follow this registry from TLS to plain HTTP.
    fn check_scheme(&self, url: &Url) -> Result<()> {
        check_scheme(url, &self.shared.plain_http)
    }
}

fn redirect_policy(plain_http: Vec<String>) -> Policy {
    Policy::custom(move |attempt: Attempt<'_>| {
        if attempt.previous().len() > MAX_REDIRECTS {
            return attempt.error("more than 5 redirects");
        }
        match check_scheme(attempt.url(), &plain_http) {
            Ok(()) => attempt.follow(),
            Err(e) => attempt.error(e),
        }
    })
}

fn check_scheme(url: &Url, plain_http: &[String]) -> Result<()> {
    let host = authority(url);
    if url.scheme() == "https" || (url.scheme() == "http" && plain_http_allowed(&host, plain_http)) {
        return Ok(());
    }
    Err(Error::not_allowed(
        format!("{}://{host}", url.scheme()),
        "only https is, unless the host is listed for plain HTTP",
    ))
}

/// `host` or `host:port` of a URL.
fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}
