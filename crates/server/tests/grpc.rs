//! The gRPC protocol over real sockets, on the same port.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper that cannot work fails its test")]

mod common;

use common::{doubling, start};
use slipway_server::BackendChoice;
use slipway_server::proto::grpc_inference_service_client::GrpcInferenceServiceClient;
use slipway_server::proto::infer_parameter::ParameterChoice;
use slipway_server::proto::model_infer_request::{InferInputTensor, InferRequestedOutputTensor};
use slipway_server::proto::{
    InferParameter, InferTensorContents, ModelInferRequest, ModelMetadataRequest, ModelReadyRequest,
    ServerLiveRequest, ServerLiveResponse, ServerMetadataRequest, ServerReadyRequest,
};
use tonic::Code;
use tonic::transport::Channel;

for_each_engine!(
    describes_server_and_model,
    raw_requests_get_raw_answers_and_typed_ones_typed,
    wrong_requests_are_told_what_is_wrong,
    a_method_that_is_not_there_is_answered_in_words,
    draining_server_finishes_calls_and_says_goodbye,
);

async fn client(server: &common::Server) -> GrpcInferenceServiceClient<Channel> {
    GrpcInferenceServiceClient::connect(format!("http://{}", server.running.addr)).await.unwrap()
}

fn request(shape: &[i64]) -> ModelInferRequest {
    ModelInferRequest {
        model_name: "doubler".to_owned(),
        id: "g1".to_owned(),
        inputs: vec![InferInputTensor {
            name: "x".to_owned(),
            datatype: "FP32".to_owned(),
            shape: shape.to_vec(),
            ..Default::default()
        }],
        ..Default::default()
    }
}

fn raw(values: &[f32]) -> bytes::Bytes {
    values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>().into()
}

async fn describes_server_and_model(backend: BackendChoice) {
    let server = start(backend, &doubling(), |_| {}).await;
    let mut client = client(&server).await;
    assert!(client.server_live(ServerLiveRequest {}).await.unwrap().into_inner().live);
    assert!(client.server_ready(ServerReadyRequest {}).await.unwrap().into_inner().ready);
    let ready = ModelReadyRequest { name: "doubler".to_owned(), version: String::new() };
    assert!(client.model_ready(ready).await.unwrap().into_inner().ready);
    assert_eq!(client.server_metadata(ServerMetadataRequest {}).await.unwrap().into_inner().name, "slipway");
    let name = ModelMetadataRequest { name: "doubler".to_owned(), version: String::new() };
    let metadata = client.model_metadata(name).await.unwrap().into_inner();
    assert_eq!(metadata.platform, format!("onnx_{}", common::name(backend)));
    assert_eq!(metadata.inputs[0].shape, [-1, 2]);
    assert_eq!(metadata.outputs[0].datatype, "FP32");
    let other = ModelMetadataRequest { name: "other".to_owned(), version: String::new() };
    assert_eq!(client.model_metadata(other).await.unwrap_err().code(), Code::NotFound);
    server.ended().await;
}

async fn raw_requests_get_raw_answers_and_typed_ones_typed(backend: BackendChoice) {
    let server = start(backend, &doubling(), |_| {}).await;
    let mut client = client(&server).await;
    let mut raw_request = request(&[1, 2]);
    raw_request.raw_input_contents = vec![raw(&[1.0, 2.0])];
    raw_request.outputs = vec![InferRequestedOutputTensor { name: "y".to_owned(), ..Default::default() }];
    let answer = client.model_infer(raw_request).await.unwrap().into_inner();
    assert_eq!(answer.raw_output_contents, [raw(&[2.0, 4.0])]);
    assert_eq!((answer.id.as_str(), &answer.outputs[0].contents), ("g1", &None));

    let mut typed = request(&[1, 2]);
    let contents = InferTensorContents { fp32_contents: vec![1.0, 2.0], ..Default::default() };
    typed.inputs[0].contents = Some(contents.clone());
    let answer = client.model_infer(typed).await.unwrap().into_inner();
    assert!(answer.raw_output_contents.is_empty());
    assert_eq!(answer.outputs[0].contents.as_ref().unwrap().fp32_contents, [2.0, 4.0]);

    let mut both = request(&[1, 2]);
    both.inputs[0].contents = Some(contents);
    both.raw_input_contents = vec![raw(&[1.0, 2.0])];
    assert_eq!(client.model_infer(both).await.unwrap_err().code(), Code::InvalidArgument);
    server.ended().await;
}

async fn wrong_requests_are_told_what_is_wrong(backend: BackendChoice) {
    let server = start(backend, &doubling(), |_| {}).await;
    let mut client = client(&server).await;
    let with_raw = |shape: &[i64], values: &[f32]| {
        let mut request = request(shape);
        request.raw_input_contents = vec![raw(values)];
        request
    };
    let mut other = with_raw(&[1, 2], &[1.0, 2.0]);
    "other".clone_into(&mut other.model_name);
    let mut too_many = with_raw(&[1, 2], &[1.0, 2.0]);
    too_many.raw_input_contents.push(raw(&[]));
    let mut classified = with_raw(&[1, 2], &[1.0, 2.0]);
    let parameter = InferParameter { parameter_choice: Some(ParameterChoice::Int64Param(2)) };
    classified.outputs = vec![InferRequestedOutputTensor {
        name: "y".to_owned(),
        parameters: [("classification".to_owned(), parameter)].into(),
    }];
    for (request, code, words) in [
        (classified, Code::InvalidArgument, "the classification extension is not supported"),
        (with_raw(&[1, 3], &[1.0, 2.0, 3.0]), Code::InvalidArgument, "expects shape"),
        (with_raw(&[1, 2], &[1.0]), Code::InvalidArgument, "needs 2 elements"),
        (with_raw(&[i64::MAX, 2], &[1.0]), Code::InvalidArgument, "needs 18446744073709551614 elements"),
        (request(&[1, 2]), Code::InvalidArgument, "no contents"),
        (too_many, Code::InvalidArgument, "has 2 elements"),
        (other, Code::NotFound, "no model \"other\""),
    ] {
        let status = client.model_infer(request).await.unwrap_err();
        assert!(status.code() == code && status.message().contains(words), "{status:?}");
    }
    server.ended().await;
}

async fn a_method_that_is_not_there_is_answered_in_words(backend: BackendChoice) {
    let server = start(backend, &doubling(), |_| {}).await;
    let channel =
        Channel::from_shared(format!("http://{}", server.running.addr)).unwrap().connect().await.unwrap();
    let mut client = tonic::client::Grpc::new(channel);
    for method in ["ModelConfig", "ModelStatistics", "RepositoryIndex"] {
        client.ready().await.unwrap();
        let path = format!("/inference.GRPCInferenceService/{method}").parse().unwrap();
        let codec = tonic_prost::ProstCodec::<ServerLiveRequest, ServerLiveResponse>::default();
        let status = client.unary(tonic::Request::new(ServerLiveRequest {}), path, codec).await.unwrap_err();
        assert!(
            status.code() == Code::Unimplemented && status.message().contains("ModelInfer"),
            "{status:?}"
        );
    }
    server.ended().await;
}

async fn draining_server_finishes_calls_and_says_goodbye(backend: BackendChoice) {
    let server = start(backend, &doubling(), |_| {}).await;
    let mut client = client(&server).await;
    client.server_live(ServerLiveRequest {}).await.unwrap();
    let begin = std::time::Instant::now();
    server.ended().await;
    // An idle HTTP/2 connection is told to go at once and does not hold the drain up.
    assert!(begin.elapsed() < std::time::Duration::from_secs(5));
    assert_eq!(client.server_live(ServerLiveRequest {}).await.unwrap_err().code(), Code::Unavailable);
}
