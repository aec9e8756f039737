//! Blobs down: streamed to a file, hashed on the way, resumed where the connection broke.

use std::io::SeekFrom;
use std::path::Path;

use reqwest::header::{CONTENT_RANGE, RANGE};
use reqwest::{Method, Response, StatusCode};
use tokio::fs::File;
use tokio::io::{AsyncSeekExt, AsyncWriteExt, BufWriter};

use super::Registry;
use crate::digest::{Digest, Hasher};
use crate::error::{Error, Result, check_content};
use crate::http::{self, Fault};
use crate::progress::SharedProgress;

const WRITE_BUFFER: usize = 1 << 20;
const ACTION: &str = "pulling a blob";

/// A file that is being filled and hashed.
pub(crate) struct Sink<'a> {
    path: &'a Path,
    file: BufWriter<File>,
    hasher: Hasher,
    progress: &'a SharedProgress,
}

impl<'a> Sink<'a> {
    pub(crate) async fn create(path: &'a Path, progress: &'a SharedProgress) -> Result<Self> {
        let file = File::create(path).await.map_err(|e| Error::storage(path, e))?;
        Ok(Self { path, file: BufWriter::with_capacity(WRITE_BUFFER, file), hasher: Hasher::new(), progress })
    }

    pub(crate) const fn length(&self) -> u64 {
        self.hasher.length()
    }

    /// Throws away what came, because the next bytes are the first ones again.
    pub(crate) async fn restart(&mut self) -> Result<()> {
        let storage = |e| Error::storage(self.path, e);
        self.file.flush().await.map_err(storage)?;
        self.file.seek(SeekFrom::Start(0)).await.map_err(storage)?;
        self.file.get_mut().set_len(0).await.map_err(storage)?;
        self.hasher = Hasher::new();
        Ok(())
    }

    pub(crate) async fn take(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).await.map_err(|e| Error::storage(self.path, e))?;
        self.hasher.update(bytes);
        self.progress.advance(bytes.len() as u64);
        Ok(())
    }

    pub(crate) async fn finish(mut self) -> Result<(Digest, u64)> {
        self.file.flush().await.map_err(|e| Error::storage(self.path, e))?;
        Ok(self.hasher.finish())
    }
}

impl Registry {
    /// Whether this repository has a blob.
    ///
    /// # Errors
    /// As every request: [`Error::Unreachable`], [`Error::Unauthorized`], [`Error::Protocol`].
    pub async fn has_blob(&self, digest: &Digest) -> Result<bool> {
        const ACTION: &str = "looking for a blob";
        let url = self.url(&format!("blobs/{digest}"))?;
        let response = self.send(ACTION, || self.request(Method::HEAD, url.clone())).await?;
        match response.status() {
            StatusCode::OK => Ok(true),
            StatusCode::NOT_FOUND => Ok(false),
            _ => Err(self.refusal(ACTION, &format!("blob {digest}"), response).await),
        }
    }

    /// Downloads a blob of known length into a new file and verifies both; on failure the file is worthless.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::DigestMismatch`], [`Error::SizeMismatch`] for other, more or less bytes, and as
    /// every request.
    pub async fn pull_blob(
        &self,
        digest: &Digest,
        size: u64,
        to: &Path,
        progress: &SharedProgress,
    ) -> Result<()> {
        let mut sink = Sink::create(to, progress).await?;
        let mut retry = self.retry(ACTION);
        while let Err(fault) = self.pull_some(digest, size, &mut sink).await {
            retry.after(fault).await?;
        }
        let (got, length) = sink.finish().await?;
        check_content(&format!("blob {digest} from {}", self.host()), (digest, size), (&got, length))
    }

    /// One attempt, beginning where the last one ended.
    async fn pull_some(
        &self,
        digest: &Digest,
        size: u64,
        sink: &mut Sink<'_>,
    ) -> std::result::Result<(), Fault> {
        let (from, what) = (sink.length(), format!("blob {digest}"));
        if from == size && from > 0 {
            return Ok(());
        }
        let url = self.url(&format!("blobs/{digest}"))?;
        let make = || {
            let request = self.request(Method::GET, url.clone());
            if from > 0 { request.header(RANGE, format!("bytes={from}-")) } else { request }
        };
        let mut response = self.send_once(ACTION, &make).await?;
        match response.status() {
            StatusCode::OK if from > 0 => sink.restart().await?,
            StatusCode::OK => {}
            StatusCode::PARTIAL_CONTENT if starts_at(&response, from) => {}
            StatusCode::PARTIAL_CONTENT => {
                return Err(self.protocol(ACTION, "it sent another range than asked").into());
            }
            _ => return Err(self.refusal(ACTION, &what, response).await.into()),
        }
        let stall = self.shared.retry.stall;
        while let Some(chunk) = http::next_chunk(&mut response, stall).await? {
            let got = sink.length() + chunk.len() as u64;
            if got > size {
                return Err(Error::SizeMismatch { what, wanted: size, got }.into());
            }
            sink.take(&chunk).await?;
        }
        let got = sink.length();
        if got < size {
            let finally = Some(Box::new(Error::SizeMismatch { what, wanted: size, got }));
            return Err(Fault::Transient {
                reason: format!("{got} of {size} bytes came"),
                after: None,
                finally,
            });
        }
        Ok(())
    }
}

fn starts_at(response: &Response, offset: u64) -> bool {
    let range = response.headers().get(CONTENT_RANGE).and_then(|value| value.to_str().ok());
    range.is_some_and(|range| range.starts_with(&format!("bytes {offset}-")))
}
