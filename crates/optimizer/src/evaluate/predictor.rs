//! What answers a request: a running server, or a stand-in for tests.

use std::future::Future;
use std::time::Duration;

use reqwest::{Client, Response};
use serde::{Deserialize, Serialize};

use super::{Datatype, PredictError, TensorSpec, WireTensor};

/// How long a server may take to compute one sample.
const TIMEOUT: Duration = Duration::from_mins(2);
/// How much of a server's error is repeated.
const MAX_MESSAGE: usize = 300;

/// A model that answers one request after the other.
pub trait Predictor {
    /// The answer to one sample.
    fn predict(
        &mut self,
        inputs: &[WireTensor],
    ) -> impl Future<Output = Result<WireTensor, PredictError>> + Send;
}

/// A model behind the Open Inference Protocol on HTTP.
#[derive(Debug, Clone)]
pub struct HttpPredictor {
    client: Client,
    url: String,
    role: &'static str,
    output: Option<String>,
    inputs: Vec<TensorSpec>,
}

#[derive(Deserialize)]
struct Metadata {
    inputs: Vec<TensorSpec>,
    outputs: Vec<TensorSpec>,
}

impl Metadata {
    /// Refuses an output that the model does not give, or that can hold no score; others may be of any type.
    fn check_output(&self, role: &'static str, output: &str) -> Result<(), PredictError> {
        let names = |wanted: fn(&TensorSpec) -> bool| {
            self.outputs.iter().filter(|spec| wanted(spec)).map(|spec| spec.name.clone()).collect()
        };
        let output = output.to_owned();
        match self.outputs.iter().find(|spec| spec.name == output) {
            Some(spec) if spec.datatype == Datatype::Bytes => Err(PredictError::Text {
                role,
                output,
                numbers: names(|spec| spec.datatype != Datatype::Bytes),
            }),
            Some(_) => Ok(()),
            None => Err(PredictError::NoOutput { role, output, known: names(|_| true) }),
        }
    }
}

#[derive(Serialize)]
struct Request<'a> {
    inputs: &'a [WireTensor],
    #[serde(skip_serializing_if = "Option::is_none")]
    outputs: Option<[Wanted<'a>; 1]>,
}

#[derive(Serialize)]
struct Wanted<'a> {
    name: &'a str,
}

#[derive(Deserialize)]
struct Answer {
    outputs: Vec<WireTensor>,
}

#[derive(Deserialize)]
struct Refusal {
    error: String,
}

impl HttpPredictor {
    /// Asks a running server what its model takes, and checks that it gives `output`.
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
        let (all, metadata) = Self::described(base, model, role).await?;
        metadata.check_output(role, output)?;
        Ok(Self { output: Some(output.to_owned()), ..all })
    }

    /// Asks a running server what its model takes, for requests whose answers nobody looks into: all outputs are asked
    /// for, and the first is given.
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
    ) -> Result<(Self, Metadata), PredictError> {
        // Fails only where another provider is installed already, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder().no_proxy().timeout(TIMEOUT).tcp_nodelay(true).build();
        let client = client.map_err(|source| PredictError::Unreachable { role, source })?;
        let url = format!("{}/v2/models/{model}", base.trim_end_matches('/'));
        let response = client.get(&url).send().await;
        let metadata: Metadata = read(role, response).await?;
        let inputs = metadata.inputs.clone();
        Ok((Self { client, url: format!("{url}/infer"), role, output: None, inputs }, metadata))
    }

    /// What the model takes, in its order.
    pub fn inputs(&self) -> &[TensorSpec] {
        &self.inputs
    }
}

impl Predictor for HttpPredictor {
    async fn predict(&mut self, inputs: &[WireTensor]) -> Result<WireTensor, PredictError> {
        let outputs = self.output.as_deref().map(|name| [Wanted { name }]);
        let response = self.client.post(&self.url).json(&Request { inputs, outputs }).send().await;
        let answer: Answer = read(self.role, response).await?;
        let wanted = |tensor: &WireTensor| self.output.as_ref().is_none_or(|output| tensor.name == *output);
        answer.outputs.into_iter().find(wanted).ok_or_else(|| {
            let output = self.output.as_deref().unwrap_or_default();
            PredictError::Protocol { role: self.role, reason: format!("the answer lacks output {output:?}") }
        })
    }
}

/// The body of an answer, where the server did answer and agreed.
async fn read<T: for<'de> Deserialize<'de>>(
    role: &'static str,
    response: Result<Response, reqwest::Error>,
) -> Result<T, PredictError> {
    let unreachable = |source| PredictError::Unreachable { role, source };
    let response = response.map_err(unreachable)?;
    let status = response.status();
    let body = response.bytes().await.map_err(unreachable)?;
    if !status.is_success() {
        let message = serde_json::from_slice::<Refusal>(&body)
            .map_or_else(|_| String::from_utf8_lossy(&body).into_owned(), |refusal| refusal.error);
        let message = message.chars().take(MAX_MESSAGE).collect();
        return Err(PredictError::Refused { role, status: status.as_u16(), message });
    }
    serde_json::from_slice(&body).map_err(|error| PredictError::Protocol {
        role,
        reason: format!("its answer cannot be read: {error}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the server says of a classifier from scikit-learn.
    fn forest() -> Metadata {
        let text = r#"{
            "name": "iris", "versions": ["1"], "platform": "onnx",
            "inputs": [{ "name": "input", "datatype": "FP32", "shape": [-1, 4] }],
            "outputs": [
                { "name": "output_label", "datatype": "BYTES", "shape": [-1] },
                { "name": "output_probability", "datatype": "FP32", "shape": [-1, 3] }
            ]
        }"#;
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn an_output_of_words_is_in_nobodys_way_beside_the_scores() {
        forest().check_output("candidate", "output_probability").unwrap();
        let answer = r#"{ "model_name": "iris", "outputs": [
            { "name": "output_label", "datatype": "BYTES", "shape": [1], "data": ["setosa"] },
            { "name": "output_probability", "datatype": "FP32", "shape": [1, 3], "data": [1.0, 0.0, 0.0] }
        ]}"#;
        let answer: Answer = serde_json::from_str(answer).unwrap();
        assert_eq!(answer.outputs[1].values().unwrap(), [1.0, 0.0, 0.0]);
    }

    #[test]
    fn an_output_of_words_holds_no_scores_and_those_that_do_are_named() {
        let error = forest().check_output("candidate", "output_label").unwrap_err();
        let words = "output \"output_label\" of the candidate holds text (BYTES), not scores: name one of numbers; \
                     it gives output_probability";
        assert_eq!(error.to_string(), words);
        let error = forest().check_output("baseline", "scores").unwrap_err();
        let words = "the baseline has no output \"scores\"; it gives output_label, output_probability";
        assert_eq!(error.to_string(), words);
    }
}
