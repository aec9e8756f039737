//! Writing the answers of the REST protocol.

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{HeaderName, Response, StatusCode};
use serde::Serialize;

use super::request::WantedOutput;
use crate::engine::Engine;
use crate::error::ApiError;
use crate::tensor::{Tensor, TensorData};

/// How much of a body is JSON; the binary tensors follow.
pub(crate) const HEADER_LENGTH: HeaderName = HeaderName::from_static("inference-header-content-length");

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const BINARY: HeaderValue = HeaderValue::from_static("application/octet-stream");
/// Seconds after which an overloaded or starting server is worth another try.
const RETRY_SECONDS: HeaderValue = HeaderValue::from_static("1");

#[derive(Serialize)]
struct Answer<'a> {
    model_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    model_version: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    outputs: Vec<AnswerOutput<'a>>,
}

#[derive(Serialize)]
struct AnswerOutput<'a> {
    name: &'a str,
    datatype: &'static str,
    shape: &'a [usize],
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<BinarySize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a TensorData>,
}

#[derive(Serialize)]
struct BinarySize {
    binary_data_size: usize,
}

/// Which model answers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ModelName<'a> {
    pub(crate) name: &'a str,
    pub(crate) version: Option<&'a str>,
}

/// An inference's answer, with binary tensors behind the JSON where they are wanted.
pub(crate) fn infer(
    model: ModelName<'_>,
    id: Option<&str>,
    engine: &Engine,
    outputs: &[Tensor],
    wanted: &[WantedOutput],
) -> Result<Response<Bytes>, ApiError> {
    let chosen = || {
        wanted.iter().filter_map(|want| {
            let (spec, tensor) = engine.outputs().get(want.index).zip(outputs.get(want.index))?;
            Some((spec, tensor, want.binary))
        })
    };
    if let Some((spec, ..)) = chosen().find(|(_, tensor, binary)| !binary && has_infinity(tensor.data())) {
        return Err(ApiError::BadRequest(format!(
            "output {:?} has an infinite value, which JSON cannot hold: ask for it in the binary form (parameters: \
             binary_data), or for other outputs alone",
            spec.name
        )));
    }
    let described = chosen().map(|(spec, tensor, binary)| AnswerOutput {
        name: &spec.name,
        datatype: tensor.datatype().name(),
        shape: tensor.shape(),
        parameters: binary.then(|| BinarySize { binary_data_size: tensor.size_bytes() }),
        data: (!binary).then(|| tensor.data()),
    });
    let ModelName { name, version } = model;
    let answer = Answer { model_name: name, model_version: version, id, outputs: described.collect() };
    let mut body = to_json(&answer)?;
    if !wanted.iter().any(|want| want.binary) {
        return Ok(respond(StatusCode::OK, JSON, body.into()));
    }
    let json_length = body.len();
    for (_, tensor, binary) in chosen() {
        if binary {
            tensor.data().write_le_bytes(&mut body);
        }
    }
    let mut response = respond(StatusCode::OK, BINARY, body.into());
    response.headers_mut().insert(HEADER_LENGTH, HeaderValue::from(json_length));
    Ok(response)
}

/// Whether an element is infinite; NaN has a form in JSON, `null`.
fn has_infinity(data: &TensorData) -> bool {
    match data {
        TensorData::Fp16(values) => values.iter().any(|value| value.is_infinite()),
        TensorData::Fp32(values) => values.iter().any(|value| value.is_infinite()),
        TensorData::Fp64(values) => values.iter().any(|value| value.is_infinite()),
        TensorData::Bool(_)
        | TensorData::Int8(_)
        | TensorData::UInt8(_)
        | TensorData::Int32(_)
        | TensorData::Int64(_)
        | TensorData::Bytes(_) => false,
    }
}

/// Any value as a JSON answer.
pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Response<Bytes> {
    match to_json(value) {
        Ok(body) => respond(status, JSON, body.into()),
        Err(failure) => error(&failure),
    }
}

/// An error in the protocol's form.
pub(crate) fn error(failure: &ApiError) -> Response<Bytes> {
    let body = serde_json::json!({ "error": failure.to_string() }).to_string();
    let mut response = respond(failure.status(), JSON, body.into());
    match failure {
        ApiError::MethodNotAllowed(allowed) => {
            response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
        }
        ApiError::Overloaded | ApiError::NotReady(_) => {
            response.headers_mut().insert(RETRY_AFTER, RETRY_SECONDS);
        }
        ApiError::BadRequest(_)
        | ApiError::NotFound(_)
        | ApiError::SlowBody
        | ApiError::TooLarge(_)
        | ApiError::UnsupportedMedia(_)
        | ApiError::Internal => {}
    }
    response
}

fn to_json(value: &impl Serialize) -> Result<Vec<u8>, ApiError> {
    serde_json::to_vec(value).map_err(|_| ApiError::Internal)
}

fn respond(status: StatusCode, content_type: HeaderValue, body: Bytes) -> Response<Bytes> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}
