//! What answers a request: a running server, or a stand-in for tests.

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use reqwest::{Client, Response};
use serde::Deserialize;
use slipway_server::NamedTensor;

use super::scores::check_scores;
use super::wire::{HEADER_LENGTH, answer};
use super::{PredictError, Request, TensorSpec};

/// How long a server may take to compute one sample.
const TIMEOUT: Duration = Duration::from_mins(2);
/// How much of a server's error is repeated.
const MAX_MESSAGE: usize = 300;

/// A model that answers one request after the other.
pub trait Predictor {
    /// Every output for one sample.
    fn predict(
        &mut self,
        request: &Request,
    ) -> impl Future<Output = Result<Vec<NamedTensor>, PredictError>> + Send;
}

/// A model behind the Open Inference Protocol on HTTP.
#[derive(Debug, Clone)]
pub struct HttpPredictor {
    client: Client,
    url: String,
    role: &'static str,
    inputs: Vec<TensorSpec>,
    platform: String,
}

#[derive(Deserialize)]
struct Metadata {
    #[serde(default)]
    platform: String,
    inputs: Vec<TensorSpec>,
    outputs: Vec<TensorSpec>,
}

#[derive(Deserialize)]
struct Refusal {
    error: String,
}

/// A body, and how much of it is JSON where it says so.
struct Body {
    bytes: Bytes,
    header_length: Option<usize>,
}

impl HttpPredictor {
    /// Asks a running server what its model takes, and checks that `output` can hold the scores that are judged.
    ///
    /// `base` is scheme, host and port, such as `http://127.0.0.1:8080`; `role` is what errors call this server:
    /// `candidate` or `baseline`. The connection is kept between requests and never goes through a proxy.
    ///
    /// # Errors
    /// Where the server does not answer, has no such model, or the model no such output.
    pub async fn connect(
        base: &str,
        model: &str,
        role: &'static str,
        output: &str,
    ) -> Result<Self, PredictError> {
        let (predictor, outputs) = Self::described(base, model, role).await?;
        check_scores(&outputs, role, output)?;
        Ok(predictor)
    }

    /// Asks a running server what its model takes, for requests whose answers nobody looks into.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub async fn connect_to_all(base: &str, model: &str, role: &'static str) -> Result<Self, PredictError> {
        Ok(Self::described(base, model, role).await?.0)
    }

    async fn described(
        base: &str,
        model: &str,
        role: &'static str,
    ) -> Result<(Self, Vec<TensorSpec>), PredictError> {
        // Fails only where another provider is installed already, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder().no_proxy().timeout(TIMEOUT).tcp_nodelay(true).build();
        let client = client.map_err(|source| PredictError::Unreachable { role, source })?;
        let url = format!("{}/v2/models/{model}", base.trim_end_matches('/'));
        let Body { bytes, .. } = read(role, client.get(&url).send().await).await?;
        let Metadata { platform, inputs, outputs } = serde_json::from_slice(&bytes).map_err(|error| {
            PredictError::Protocol { role, reason: format!("its metadata cannot be read: {error}") }
        })?;
        Ok((Self { client, url: format!("{url}/infer"), role, inputs, platform }, outputs))
    }

    /// The engine that computes, as the server's metadata names it.
    pub fn engine(&self) -> &str {
        self.platform.strip_prefix("onnx_").unwrap_or(&self.platform)
    }

    /// What the model takes, in its order.
    pub fn inputs(&self) -> &[TensorSpec] {
        &self.inputs
    }
}

impl Predictor for HttpPredictor {
    async fn predict(&mut self, request: &Request) -> Result<Vec<NamedTensor>, PredictError> {
        let Request { body, header_length } = request;
        let post = self.client.post(&self.url).header(HEADER_LENGTH, *header_length).body(body.clone());
        let Body { bytes, header_length } = read(self.role, post.send().await).await?;
        answer(&bytes, header_length).map_err(|reason| PredictError::Protocol { role: self.role, reason })
    }
}

/// The body of an answer, where the server did answer and agreed.
async fn read(role: &'static str, response: Result<Response, reqwest::Error>) -> Result<Body, PredictError> {
    let unreachable = |source| PredictError::Unreachable { role, source };
    let response = response.map_err(unreachable)?;
    let status = response.status();
    let header = response.headers().get(HEADER_LENGTH).and_then(|length| length.to_str().ok());
    let header_length = header.and_then(|length| length.parse().ok());
    let bytes = response.bytes().await.map_err(unreachable)?;
    if !status.is_success() {
        let message = serde_json::from_slice::<Refusal>(&bytes)
            .map_or_else(|_| String::from_utf8_lossy(&bytes).into_owned(), |refusal| refusal.error);
        let message = message.chars().take(MAX_MESSAGE).collect();
        return Err(PredictError::Refused { role, status: status.as_u16(), message });
    }
    Ok(Body { bytes, header_length })
}
