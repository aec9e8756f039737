//! Manifests and tags of a repository.

use reqwest::header::{ACCEPT, CONTENT_TYPE, LINK};
use reqwest::{Method, Response, StatusCode, Url};
use serde::Deserialize;

use super::Registry;
use crate::digest::Digest;
use crate::error::{Error, Result, check_digest};
use crate::http;
use crate::limits::MAX_MANIFEST_BYTES;
use crate::manifest::MANIFEST_TYPE;
use crate::tag::Tag;

const DIGEST_HEADER: &str = "docker-content-digest";
const MAX_TAG_PAGES: usize = 1_000;

#[derive(Deserialize)]
struct TagList {
    tags: Option<Vec<String>>,
}

impl Registry {
    /// The manifest that a tag points at.
    ///
    /// # Errors
    /// As every request: [`Error::Unreachable`], [`Error::Unauthorized`], [`Error::Protocol`].
    pub async fn resolve(&self, tag: &Tag) -> Result<Option<Digest>> {
        const ACTION: &str = "resolving a tag";
        let url = self.url(&format!("manifests/{tag}"))?;
        let make = || self.request(Method::HEAD, url.clone()).header(ACCEPT, MANIFEST_TYPE);
        let response = self.send(ACTION, make).await?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => return Ok(None),
            _ => return Err(self.refusal(ACTION, &format!("tag {tag}"), response).await),
        }
        match digest_header(&response) {
            Some(digest) => Ok(Some(digest)),
            // The header is optional; without it the bytes themselves tell.
            None => Ok(Some(Digest::of(&self.read_manifest(tag.as_str()).await?))),
        }
    }

    /// Reads and verifies a manifest's bytes.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::TooLarge`] over 4 MiB, [`Error::DigestMismatch`], and as every request.
    pub async fn manifest_bytes(&self, digest: &Digest) -> Result<Vec<u8>> {
        let bytes = self.read_manifest(&digest.to_string()).await?;
        check_digest(&format!("manifest from {}", self.host()), digest, &Digest::of(&bytes))?;
        Ok(bytes)
    }

    /// Stores a manifest under a tag, or under its digest alone.
    ///
    /// # Errors
    /// [`Error::Protocol`] when the registry lacks a blob of it or stored something else, and as every request.
    pub async fn put_manifest(&self, bytes: &[u8], tag: Option<&Tag>) -> Result<Digest> {
        const ACTION: &str = "pushing a manifest";
        let digest = Digest::of(bytes);
        let name = tag.map_or_else(|| digest.to_string(), Tag::to_string);
        let url = self.url(&format!("manifests/{name}"))?;
        let make = || {
            self.request(Method::PUT, url.clone()).header(CONTENT_TYPE, MANIFEST_TYPE).body(bytes.to_vec())
        };
        let response = self.send(ACTION, make).await?;
        if response.status() != StatusCode::CREATED {
            return Err(self.refusal(ACTION, &format!("repository {}", self.repository()), response).await);
        }
        if let Some(stored) = digest_header(&response) {
            check_digest(&format!("manifest stored by {}", self.host()), &digest, &stored)?;
        }
        Ok(digest)
    }

    /// Removes a tag and leaves its manifest; false when the tag was not there.
    ///
    /// # Errors
    /// [`Error::NotAllowed`] when the registry does not delete tags, and as every request.
    pub async fn untag(&self, tag: &Tag) -> Result<bool> {
        const ACTION: &str = "removing a tag";
        let url = self.url(&format!("manifests/{tag}"))?;
        let response = self.send(ACTION, || self.request(Method::DELETE, url.clone())).await?;
        match response.status() {
            StatusCode::ACCEPTED | StatusCode::OK | StatusCode::NO_CONTENT => Ok(true),
            StatusCode::NOT_FOUND => Ok(false),
            // The two answers that the protocol names for a registry without deletion.
            StatusCode::METHOD_NOT_ALLOWED | StatusCode::BAD_REQUEST => {
                let reason = "the registry does not delete; set REGISTRY_STORAGE_DELETE_ENABLED=true there";
                Err(Error::not_allowed(format!("{ACTION} on {}", self.host()), reason))
            }
            _ => Err(self.refusal(ACTION, &format!("tag {tag}"), response).await),
        }
    }

    /// All tags, sorted; none when the repository does not exist. Tags outside the OCI grammar are left out.
    ///
    /// # Errors
    /// As every request.
    pub async fn tags(&self) -> Result<Vec<Tag>> {
        const ACTION: &str = "listing tags";
        let mut tags = Vec::new();
        let mut next = Some(self.url("tags/list?n=1000")?);
        for _ in 0..MAX_TAG_PAGES {
            let Some(url) = next else { break };
            let response = self.send(ACTION, || self.request(Method::GET, url.clone())).await?;
            match response.status() {
                StatusCode::OK => {}
                StatusCode::NOT_FOUND => break,
                _ => {
                    return Err(self
                        .refusal(ACTION, &format!("repository {}", self.repository()), response)
                        .await);
                }
            }
            next = next_page(&response);
            let body = self.body(ACTION, response, "the list of tags").await?;
            let list: TagList =
                serde_json::from_slice(&body).map_err(|e| self.protocol(ACTION, e.to_string()))?;
            tags.extend(list.tags.unwrap_or_default().iter().filter_map(|tag| tag.parse::<Tag>().ok()));
        }
        tags.sort();
        tags.dedup();
        Ok(tags)
    }

    async fn read_manifest(&self, name: &str) -> Result<Vec<u8>> {
        const ACTION: &str = "reading a manifest";
        let url = self.url(&format!("manifests/{name}"))?;
        let mut retry = self.retry(ACTION);
        loop {
            let make = || self.request(Method::GET, url.clone()).header(ACCEPT, MANIFEST_TYPE);
            let fault = match self.send_once(ACTION, &make).await {
                Ok(response) if response.status() == StatusCode::OK => {
                    let stall = self.shared.retry.stall;
                    match http::small_body(response, "the manifest", MAX_MANIFEST_BYTES, stall).await {
                        Ok(bytes) => return Ok(bytes),
                        Err(fault) => fault,
                    }
                }
                Ok(response) => {
                    let what = format!("manifest {name} in repository {}", self.repository());
                    return Err(self.refusal(ACTION, &what, response).await);
                }
                Err(fault) => fault,
            };
            retry.after(fault).await?;
        }
    }

    /// A small body whose loss is not retried.
    async fn body(&self, action: &str, response: Response, what: &str) -> Result<Vec<u8>> {
        let stall = self.shared.retry.stall;
        match http::small_body(response, what, MAX_MANIFEST_BYTES, stall).await {
            Ok(body) => Ok(body),
            Err(http::Fault::Final(error)) => Err(error),
            Err(http::Fault::Transient { reason, .. }) => Err(self.protocol(action, reason)),
        }
    }
}

fn digest_header(response: &Response) -> Option<Digest> {
    response.headers().get(DIGEST_HEADER)?.to_str().ok()?.parse().ok()
}

/// The next page of a list (RFC 8288 `Link` with `rel="next"`), on the same host only.
fn next_page(response: &Response) -> Option<Url> {
    let link = response.headers().get(LINK)?.to_str().ok()?;
    let (target, parameters) = link.strip_prefix('<')?.split_once('>')?;
    let url = response.url().join(target).ok()?;
    (parameters.contains("next") && url.origin() == response.url().origin()).then_some(url)
}
