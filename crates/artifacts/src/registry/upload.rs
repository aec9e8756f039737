//! Blobs up: one streamed request each, started over when it breaks, or mounted from another repository.

use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures::StreamExt;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, LOCATION};
use reqwest::{Body, Method, Response, StatusCode, Url};
use tokio::fs::File;
use tokio_util::io::ReaderStream;

use super::Registry;
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::http::{self, Fault};
use crate::progress::SharedProgress;

const ACTION: &str = "pushing a blob";
const READ_BUFFER: usize = 256 << 10;

/// Where a blob's bytes are.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Content<'a> {
    File(&'a Path),
    Bytes(&'a [u8]),
}

/// Counts bytes of an attempt, and reports only those that no earlier attempt reported.
#[derive(Debug)]
struct Meter {
    sent: AtomicU64,
    reported: AtomicU64,
    progress: SharedProgress,
}

impl Meter {
    fn pass(&self, bytes: u64) {
        let sent = self.sent.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let before = self.reported.fetch_max(sent, Ordering::Relaxed);
        self.progress.advance(sent.saturating_sub(before));
    }
}

impl Registry {
    /// Uploads a blob from a file; the registry verifies the digest. One that is already there is left alone.
    ///
    /// # Errors
    /// [`Error::Storage`] when the file cannot be read, [`Error::Protocol`] when its bytes are not those of `digest`
    /// any more, and as every request.
    pub async fn push_blob(
        &self,
        digest: &Digest,
        size: u64,
        from: &Path,
        progress: &SharedProgress,
    ) -> Result<()> {
        self.push_content(digest, size, Content::File(from), progress).await
    }

    pub(crate) async fn push_content(
        &self,
        digest: &Digest,
        size: u64,
        content: Content<'_>,
        progress: &SharedProgress,
    ) -> Result<()> {
        if self.has_blob(digest).await? {
            progress.advance(size);
            return Ok(());
        }
        let progress = Arc::clone(progress);
        let meter = Arc::new(Meter { sent: AtomicU64::new(0), reported: AtomicU64::new(0), progress });
        let mut retry = self.retry(ACTION);
        while let Err(fault) = self.push_once(digest, size, content, &meter).await {
            retry.after(fault).await?;
        }
        Ok(())
    }

    async fn push_once(
        &self,
        digest: &Digest,
        size: u64,
        content: Content<'_>,
        meter: &Arc<Meter>,
    ) -> std::result::Result<(), Fault> {
        let what = format!("repository {}", self.repository());
        let start = self.url("blobs/uploads/")?;
        let started = self.send_once(ACTION, &|| self.request(Method::POST, start.clone())).await?;
        if started.status() != StatusCode::ACCEPTED {
            return Err(self.refusal(ACTION, &what, started).await.into());
        }
        let mut url = self.location(&started)?;
        url.query_pairs_mut().append_pair("digest", &digest.to_string());
        meter.sent.store(0, Ordering::Relaxed);
        let body = body(content, meter).await?;
        let response = self.put(url, size, body, meter).await?;
        match response.status() {
            StatusCode::CREATED => Ok(()),
            // A token may end while a long upload runs; the next attempt gets a new one.
            StatusCode::UNAUTHORIZED => Err(self.expired(response).await),
            _ => Err(self.refusal(ACTION, &what, response).await.into()),
        }
    }

    async fn expired(&self, response: Response) -> Fault {
        let refusal = || Error::Unauthorized {
            host: self.host().to_owned(),
            action: ACTION.to_owned(),
            status: 401,
            hint: "give credentials that may push".to_owned(),
        };
        match self.answer_challenge(ACTION, response).await {
            Ok(()) => Fault::Transient {
                reason: "status 401".into(),
                after: None,
                finally: Some(Box::new(refusal())),
            },
            Err(fault) => fault,
        }
    }

    /// Sends the body and gives up when nothing moves any more, however long the whole takes.
    async fn put(
        &self,
        url: Url,
        size: u64,
        body: Body,
        meter: &Meter,
    ) -> std::result::Result<Response, Fault> {
        let stall = self.shared.retry.stall;
        let mut request = self
            .request(Method::PUT, url.clone())
            .header(CONTENT_TYPE, "application/octet-stream")
            .header(CONTENT_LENGTH, size)
            .body(body);
        if super::authority(&url) == super::authority(&self.shared.base) {
            request = self.with_credentials(request);
        }
        let mut answer = pin!(request.send());
        let mut seen = 0;
        loop {
            tokio::select! {
                response = &mut answer => {
                    return http::busy(response.map_err(|e| http::transport(&e))?).await;
                }
                () = tokio::time::sleep(stall) => {
                    let sent = meter.sent.load(Ordering::Relaxed);
                    if sent == seen {
                        return Err(Fault::transient(format!("nothing moved for {} s", stall.as_secs())));
                    }
                    seen = sent;
                }
            }
        }
    }

    /// Where an upload continues: absolute or relative to the request, and never down from TLS.
    fn location(&self, response: &Response) -> Result<Url> {
        let header = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
        let header = header.ok_or_else(|| self.protocol(ACTION, "the answer has no Location"))?;
        let url = response
            .url()
            .join(header)
            .map_err(|e| self.protocol(ACTION, format!("Location is no URL: {e}")))?;
        self.check_scheme(&url)?;
        Ok(url)
    }
}

async fn body(content: Content<'_>, meter: &Arc<Meter>) -> Result<Body> {
    match content {
        Content::Bytes(bytes) => {
            meter.pass(bytes.len() as u64);
            Ok(Body::from(Bytes::copy_from_slice(bytes)))
        }
        Content::File(path) => {
            let file = File::open(path).await.map_err(|e| Error::storage(path, e))?;
            let meter = Arc::clone(meter);
            let stream = ReaderStream::with_capacity(file, READ_BUFFER).inspect(move |chunk| {
                if let Ok(chunk) = chunk {
                    meter.pass(chunk.len() as u64);
                }
            });
            Ok(Body::wrap_stream(stream))
        }
    }
}
