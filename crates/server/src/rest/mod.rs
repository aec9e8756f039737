//! The REST form of the Open Inference Protocol, version 2.

mod elements;
mod nesting;
mod raw;
mod request;
mod response;
mod route;
mod syntax;

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::json;

pub(crate) use response::ModelName;
pub use route::{WrongName, check_name, escaped};

use crate::app::{App, EXTENSIONS, SERVER_NAME, SERVER_VERSION};
use crate::backend::TensorSpec;
use crate::error::ApiError;
use crate::metrics::Protocol;
use route::{Route, Target, route};

/// Answers one request.
pub(crate) async fn handle<B>(app: &Arc<App>, request: Request<B>) -> Response<Bytes>
where
    B: http_body::Body<Data = Bytes> + Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (parts, body) = request.into_parts();
    let Some(route) = route(parts.uri.path()) else {
        return response::error(&ApiError::NotFound(format!("there is nothing at {:?}", parts.uri.path())));
    };
    if let Route::Infer(target) = route {
        if parts.method != Method::POST {
            return response::error(&ApiError::MethodNotAllowed("POST"));
        }
        let measured = app.metrics.begin(Protocol::Rest);
        let answer = infer(app, target, &parts.headers, body).await;
        measured.end(answer.as_ref().map_or_else(ApiError::code, |_| "200"));
        return answer.unwrap_or_else(|failure| response::error(&failure));
    }
    if parts.method != Method::GET && parts.method != Method::HEAD {
        return response::error(&ApiError::MethodNotAllowed("GET, HEAD"));
    }
    describe(app, route).unwrap_or_else(|failure| response::error(&failure))
}

async fn infer<B>(
    app: &Arc<App>,
    target: Target<'_>,
    headers: &HeaderMap,
    body: B,
) -> Result<Response<Bytes>, ApiError>
where
    B: http_body::Body<Data = Bytes> + Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    app.check_model(&target.name, target.version.as_deref())?;
    app.check_answers()?;
    let header_length = header_length(headers)?;
    let body = read(app, headers, body).await?;
    let request = match header_length {
        Some(0) => raw::parse(&app.engine, &body)?,
        _ => request::parse(&app.engine, &body, header_length)?,
    };
    drop(body);
    let outputs = app.infer(request.inputs).await?;
    response::infer(app.model(), request.id.as_deref(), &app.engine, &outputs, &request.outputs)
}

fn header_length(headers: &HeaderMap) -> Result<Option<usize>, ApiError> {
    let Some(value) = headers.get(response::HEADER_LENGTH) else { return Ok(None) };
    let length = value.to_str().ok().and_then(|text| text.trim().parse().ok());
    let invalid =
        || ApiError::BadRequest("Inference-Header-Content-Length is not a number of bytes".to_owned());
    length.map(Some).ok_or_else(invalid)
}

async fn read<B>(app: &App, headers: &HeaderMap, body: B) -> Result<Bytes, ApiError>
where
    B: http_body::Body<Data = Bytes> + Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    if headers.get(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
        return Err(ApiError::UnsupportedMedia("compressed requests are not supported".to_owned()));
    }
    let limit = app.limits.body_bytes;
    let announced = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| usize::try_from(length).map_or(true, |length| length > limit)) {
        return Err(ApiError::TooLarge(limit));
    }
    let whole = tokio::time::timeout(app.limits.read_timeout, Limited::new(body, limit).collect());
    match whole.await {
        Err(_) => Err(ApiError::SlowBody),
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(ApiError::TooLarge(limit)),
        Ok(Err(error)) if error.is::<ApiError>() => Err(ApiError::Overloaded),
        Ok(Err(_)) => Err(ApiError::BadRequest("the request body did not arrive whole".to_owned())),
    }
}

fn describe(app: &App, route: Route<'_>) -> Result<Response<Bytes>, ApiError> {
    let body = match route {
        Route::Server => json!({ "name": SERVER_NAME, "version": SERVER_VERSION, "extensions": EXTENSIONS }),
        Route::Live => {
            return Ok(state("live", app.health.get().is_live().then_some(()).ok_or("the engine crashed")));
        }
        Route::Ready => return Ok(state("ready", app.not_ready().map_or(Ok(()), Err))),
        Route::Model(target) => {
            app.check_model(&target.name, target.version.as_deref())?;
            model_metadata(app)
        }
        Route::ModelReady(target) => {
            app.check_model(&target.name, target.version.as_deref())?;
            return Ok(state("ready", app.not_ready().map_or(Ok(()), Err)));
        }
        Route::Versions(name) => {
            app.check_model(&name, None)?;
            json!({ "name": app.name, "versions": app.revision.iter().collect::<Vec<_>>() })
        }
        Route::Infer(_) => return Err(ApiError::MethodNotAllowed("POST")),
    };
    Ok(response::json(StatusCode::OK, &body))
}

/// A probe's answer: 200, or 503 with the reason.
fn state(name: &str, outcome: Result<(), impl ToString>) -> Response<Bytes> {
    match outcome {
        Ok(()) => response::json(StatusCode::OK, &json!({ name: true })),
        Err(reason) => {
            let body = json!({ name: false, "error": reason.to_string() });
            response::json(StatusCode::SERVICE_UNAVAILABLE, &body)
        }
    }
}

fn model_metadata(app: &App) -> serde_json::Value {
    let tensors = |specs: &[TensorSpec]| -> Vec<serde_json::Value> {
        let describe = |spec: &TensorSpec| json!({ "name": spec.name, "datatype": spec.datatype.name(), "shape": spec.protocol_shape() });
        specs.iter().map(describe).collect()
    };
    let mut body = json!({
        "name": app.name,
        "platform": platform(app.engine.name()),
        "inputs": tensors(app.engine.inputs()),
        "outputs": tensors(app.engine.outputs()),
    });
    if let (Some(version), Some(fields)) = (&app.revision, body.as_object_mut()) {
        fields.insert("versions".to_owned(), json!([version]));
    }
    body
}

/// The protocol's name for a format and the engine that runs it.
pub(crate) fn platform(engine: &str) -> String {
    format!("onnx_{engine}")
}
