//! The gRPC form of the Open Inference Protocol, version 2.

mod contents;
pub mod proto;

use std::sync::Arc;

use bytes::Bytes;
use tonic::{Code, Request, Response, Status};

use crate::app::{App, EXTENSIONS, SERVER_NAME, SERVER_VERSION};
use crate::backend::TensorSpec;
use crate::binding::{Offered, bind, decode_binary, output_index};
use crate::error::{ApiError, unsupported};
use crate::metrics::Protocol;
use crate::rest::platform;
use crate::tensor::Tensor;
use proto::grpc_inference_service_server::{GrpcInferenceService, GrpcInferenceServiceServer};
use proto::model_infer_response::InferOutputTensor;
use proto::model_metadata_response::TensorMetadata;
use proto::{
    InferTensorContents, ModelInferRequest, ModelInferResponse, ModelMetadataRequest, ModelMetadataResponse,
    ModelReadyRequest, ModelReadyResponse, ServerLiveRequest, ServerLiveResponse, ServerMetadataRequest,
    ServerMetadataResponse, ServerReadyRequest, ServerReadyResponse,
};

/// The service, ready to be called with HTTP/2 requests.
pub(crate) fn service(app: &Arc<App>) -> GrpcInferenceServiceServer<Inference> {
    let limit = app.limits.body_bytes;
    GrpcInferenceServiceServer::new(Inference(Arc::clone(app)))
        .max_decoding_message_size(limit)
        .max_encoding_message_size(usize::MAX)
}

/// An answer to a method that is not there says which ones are.
pub(crate) fn explained<B>(mut answer: http::Response<B>) -> http::Response<B> {
    let is_mute = |status: &Status| status.code() == Code::Unimplemented && status.message().is_empty();
    if Status::from_header_map(answer.headers()).as_ref().is_some_and(is_mute) {
        // Plain text always fits a header.
        let _fits = Status::unimplemented(METHODS).add_header(answer.headers_mut());
    }
    answer
}

const METHODS: &str = "this server has no such method: it has ServerLive, ServerReady, ServerMetadata, ModelReady, \
    ModelMetadata and ModelInfer of inference.GRPCInferenceService";

/// Refuses what would change the answer and is not done here; other parameters are ignored, as the protocol asks.
fn check_parameters(request: &ModelInferRequest) -> Result<(), ApiError> {
    let inputs = request.inputs.iter().map(|input| &input.parameters);
    let outputs = request.outputs.iter().map(|output| &output.parameters);
    for name in inputs.chain(outputs).chain([&request.parameters]).flat_map(|parameters| parameters.keys()) {
        match name.as_str() {
            "classification" => return Err(unsupported("classification")),
            "shared_memory_region" => return Err(unsupported("shared memory")),
            _ => {}
        }
    }
    Ok(())
}

/// The methods, over the state that REST uses too.
#[derive(Debug, Clone)]
pub(crate) struct Inference(Arc<App>);

#[tonic::async_trait]
impl GrpcInferenceService for Inference {
    async fn server_live(
        &self,
        _: Request<ServerLiveRequest>,
    ) -> Result<Response<ServerLiveResponse>, Status> {
        Ok(Response::new(ServerLiveResponse { live: self.0.health.get().is_live() }))
    }

    async fn server_ready(
        &self,
        _: Request<ServerReadyRequest>,
    ) -> Result<Response<ServerReadyResponse>, Status> {
        Ok(Response::new(ServerReadyResponse { ready: self.0.not_ready().is_none() }))
    }

    async fn model_ready(
        &self,
        request: Request<ModelReadyRequest>,
    ) -> Result<Response<ModelReadyResponse>, Status> {
        let ModelReadyRequest { name, version } = request.into_inner();
        self.0.check_model(&name, given(&version))?;
        Ok(Response::new(ModelReadyResponse { ready: self.0.not_ready().is_none() }))
    }

    async fn server_metadata(
        &self,
        _: Request<ServerMetadataRequest>,
    ) -> Result<Response<ServerMetadataResponse>, Status> {
        Ok(Response::new(ServerMetadataResponse {
            name: SERVER_NAME.to_owned(),
            version: SERVER_VERSION.to_owned(),
            extensions: EXTENSIONS.map(str::to_owned).to_vec(),
        }))
    }

    async fn model_metadata(
        &self,
        request: Request<ModelMetadataRequest>,
    ) -> Result<Response<ModelMetadataResponse>, Status> {
        let ModelMetadataRequest { name, version } = request.into_inner();
        self.0.check_model(&name, given(&version))?;
        Ok(Response::new(ModelMetadataResponse {
            name,
            versions: self.0.revision.iter().cloned().collect(),
            platform: platform(self.0.engine.name()),
            inputs: metadata(self.0.engine.inputs()),
            outputs: metadata(self.0.engine.outputs()),
        }))
    }

    async fn model_infer(
        &self,
        request: Request<ModelInferRequest>,
    ) -> Result<Response<ModelInferResponse>, Status> {
        let measured = self.0.metrics.begin(Protocol::Grpc);
        let answer = infer(&self.0, request.into_inner()).await;
        measured.end(answer.as_ref().map_or_else(ApiError::code, |_| "200"));
        Ok(Response::new(answer?))
    }
}

async fn infer(app: &App, request: ModelInferRequest) -> Result<ModelInferResponse, ApiError> {
    app.check_model(&request.model_name, given(&request.model_version))?;
    app.check_answers()?;
    check_parameters(&request)?;
    let raw = !request.raw_input_contents.is_empty();
    let inputs = inputs(app.engine.inputs(), &request)?;
    let wanted = wanted_outputs(app.engine.outputs(), &request)?;
    let ModelInferRequest { model_name, id, .. } = request;
    let outputs = app.infer(inputs).await?;
    let mut answer = ModelInferResponse {
        model_name,
        model_version: app.revision.clone().unwrap_or_default(),
        id,
        ..ModelInferResponse::default()
    };
    for index in wanted {
        if let Some((spec, tensor)) = app.engine.outputs().get(index).zip(outputs.get(index)) {
            add_output(&mut answer, spec, tensor, raw)?;
        }
    }
    Ok(answer)
}

fn given(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

enum Content<'a> {
    Raw(&'a Bytes),
    Typed(Option<&'a InferTensorContents>),
}

fn inputs(specs: &[TensorSpec], request: &ModelInferRequest) -> Result<Vec<Tensor>, ApiError> {
    let raw = &request.raw_input_contents;
    if !raw.is_empty() && raw.len() != request.inputs.len() {
        let (inputs, contents) = (request.inputs.len(), raw.len());
        return Err(ApiError::BadRequest(format!(
            "{inputs} inputs are described, but raw_input_contents has {contents} elements"
        )));
    }
    let mut offered = Vec::with_capacity(request.inputs.len());
    for (index, input) in request.inputs.iter().enumerate() {
        let content = match raw.get(index) {
            Some(_) if input.contents.is_some() => {
                let name = &input.name;
                return Err(ApiError::BadRequest(format!(
                    "input {name:?} has both contents and raw_input_contents"
                )));
            }
            Some(bytes) => Content::Raw(bytes),
            None => Content::Typed(input.contents.as_ref()),
        };
        offered.push(Offered { name: &input.name, datatype: &input.datatype, shape: &input.shape, content });
    }
    bind(specs, offered, |name, datatype, shape, content| match content {
        Content::Raw(bytes) => decode_binary(name, datatype, shape, bytes),
        Content::Typed(contents) => contents::decode(name, datatype, shape, contents),
    })
}

fn wanted_outputs(specs: &[TensorSpec], request: &ModelInferRequest) -> Result<Vec<usize>, ApiError> {
    if request.outputs.is_empty() {
        return Ok((0..specs.len()).collect());
    }
    let mut wanted = Vec::with_capacity(specs.len());
    for output in &request.outputs {
        let index = output_index(specs, &output.name)?;
        if wanted.contains(&index) {
            return Err(ApiError::BadRequest(format!("output {:?} is asked for twice", output.name)));
        }
        wanted.push(index);
    }
    Ok(wanted)
}

fn add_output(
    answer: &mut ModelInferResponse,
    spec: &TensorSpec,
    tensor: &Tensor,
    raw: bool,
) -> Result<(), ApiError> {
    // FP16 has no typed field: it only exists raw.
    let contents = if raw { None } else { contents::encode(tensor.data()) };
    if raw {
        let mut bytes = Vec::new();
        tensor.data().write_le_bytes(&mut bytes);
        answer.raw_output_contents.push(bytes.into());
    } else if contents.is_none() {
        let name = &spec.name;
        return Err(ApiError::BadRequest(format!(
            "output {name:?} is FP16: send raw_input_contents to get it"
        )));
    }
    answer.outputs.push(InferOutputTensor {
        name: spec.name.clone(),
        datatype: tensor.datatype().name().to_owned(),
        shape: tensor.shape().iter().map(|&size| i64::try_from(size).unwrap_or(i64::MAX)).collect(),
        contents,
        ..InferOutputTensor::default()
    });
    Ok(())
}

fn metadata(specs: &[TensorSpec]) -> Vec<TensorMetadata> {
    let describe = |spec: &TensorSpec| TensorMetadata {
        name: spec.name.clone(),
        datatype: spec.datatype.name().to_owned(),
        shape: spec.protocol_shape(),
    };
    specs.iter().map(describe).collect()
}
