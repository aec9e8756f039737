//! Classifiers from scikit-learn: trees, maps from class to probability, strings in and out, and what scikit-learn itself
//! answered to the same inputs (see `models/make.py`).
#![cfg(not(target_feature = "crt-static"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper that cannot work fails its test")]

mod common;

use std::path::PathBuf;

use bytes::Bytes;
use common::{Client, Server, engine, post, serve_file};
use http::StatusCode;
use serde_json::{Value, json};
use slipway_model::onnx::build::{ModelBuilder, node};
use slipway_model::onnx::proto::{AttributeProto, OperatorSetIdProto, TypeProto, type_proto};
use slipway_server::proto::grpc_inference_service_client::GrpcInferenceServiceClient;
use slipway_server::proto::model_infer_request::InferInputTensor;
use slipway_server::proto::{InferTensorContents, ModelInferRequest, ModelInferResponse};
use slipway_server::{BackendChoice, DataType, Engine, Tensor, TensorData};

fn model(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/models").join(name)
}

fn recorded(name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(model(&format!("{name}.json"))).unwrap()).unwrap()
}

fn close(got: &[f32], want: &Value) {
    let want = want.as_array().unwrap();
    assert_eq!(got.len(), want.len());
    for (got, want) in got.iter().zip(want) {
        assert!((f64::from(*got) - want.as_f64().unwrap()).abs() < 1e-5, "{got} is not {want}");
    }
}

fn texts(values: &Value) -> TensorData {
    let text = |value: &Value| Bytes::from(value.as_str().unwrap().to_owned());
    TensorData::Bytes(values.as_array().unwrap().iter().map(text).collect())
}

#[expect(clippy::cast_possible_truncation, reason = "single precision is what the models take")]
fn floats(values: &Value) -> TensorData {
    TensorData::Fp32(values.as_array().unwrap().iter().map(|value| value.as_f64().unwrap() as f32).collect())
}

fn agrees(name: &str, inputs: impl Fn(&Value) -> TensorData, labels: impl Fn(&Value) -> TensorData) {
    let want = recorded(name);
    let engine = Engine::load(&model(&format!("{name}.onnx")), &engine(BackendChoice::Auto)).unwrap();
    let shape: Vec<usize> = serde_json::from_value(want["shape"].clone()).unwrap();
    let classes = usize::try_from(want["classes"].as_u64().unwrap()).unwrap();
    assert_eq!(engine.outputs()[1].protocol_shape(), [-1, i64::try_from(classes).unwrap()]);
    assert!(engine.can_batch());
    let rows = shape[0];
    let outputs = engine.run(vec![Tensor::new(shape, inputs(&want["inputs"])).unwrap()]).unwrap();
    assert_eq!(outputs[0], Tensor::new(vec![rows], labels(&want["labels"])).unwrap());
    assert_eq!(outputs[1].shape(), [rows, classes]);
    let TensorData::Fp32(probabilities) = outputs[1].data() else { panic!("wrong type") };
    close(probabilities, &want["probabilities"]);
}

#[test]
fn forest_with_labels_of_text_answers_as_scikit_learn_did() {
    agrees("iris", floats, texts);
}

#[test]
fn forest_with_labels_of_numbers_answers_as_scikit_learn_did() {
    let numbers = |values: &Value| {
        TensorData::Int64(values.as_array().unwrap().iter().map(|value| value.as_i64().unwrap()).collect())
    };
    agrees("digits", floats, numbers);
}

#[test]
fn pipeline_with_inputs_of_text_answers_as_scikit_learn_did() {
    agrees("shapes", texts, texts);
}

/// Maps lose their order inside the engine, and `b` would come after `a` in any sorted one.
#[test]
fn columns_keep_the_order_of_the_models_classes() {
    const STRINGS: i32 = 8;
    let mut zip = node("ZipMap", &["x"], &["y"], vec![]);
    zip.domain = Some("ai.onnx.ml".to_owned());
    zip.attribute.push(AttributeProto {
        name: Some("classlabels_strings".to_owned()),
        r#type: Some(STRINGS),
        strings: vec!["b".into(), "c".into(), "a".into()],
        ..AttributeProto::default()
    });
    let mut model = ModelBuilder::new().input("x", &[-1, 3]).output("y", &[-1, 3]);
    model
        .proto
        .opset_import
        .push(OperatorSetIdProto { domain: Some("ai.onnx.ml".to_owned()), version: Some(3) });
    let element = TypeProto {
        value: Some(type_proto::Value::TensorType(type_proto::Tensor { elem_type: Some(1), shape: None })),
        ..TypeProto::default()
    };
    let map = type_proto::Map { key_type: Some(STRINGS), value_type: Some(Box::new(element)) };
    let map = TypeProto { value: Some(type_proto::Value::MapType(Box::new(map))), ..TypeProto::default() };
    let sequence = type_proto::Sequence { elem_type: Some(Box::new(map)) };
    model.graph().output[0].r#type = Some(TypeProto {
        value: Some(type_proto::Value::SequenceType(Box::new(sequence))),
        ..TypeProto::default()
    });
    model.graph().node.push(zip);
    let (_folder, path) = common::write(&model, "model.onnx");
    let engine = Engine::load(&path, &engine(BackendChoice::Auto)).unwrap();
    let rows = Tensor::new(vec![2, 3], TensorData::Fp32(vec![0.5, 0.25, 0.125, 1.0, 2.0, 3.0])).unwrap();
    assert_eq!(engine.run(vec![rows.clone()]), Ok(vec![rows]));
}

async fn shapes() -> Server {
    serve_file(BackendChoice::Auto, model("shapes.onnx"), |_| {}).await
}

#[tokio::test]
async fn strings_go_both_ways_in_json() {
    let server = shapes().await;
    let mut client = Client::connect(server.running.addr).await;
    let (_, metadata) = client.get("/v2/models/doubler").await;
    assert_eq!(metadata["inputs"][0], json!({ "name": "input", "datatype": "BYTES", "shape": [-1, 2] }));
    assert_eq!(metadata["outputs"][0]["datatype"], "BYTES");
    let input = json!({ "name": "input", "datatype": "BYTES", "shape": [1, 2], "data": ["red", "round"] });
    let (status, body) = client.infer(json!({ "inputs": [input] }).to_string()).await;
    assert_eq!((status, &body["outputs"][0]["data"]), (StatusCode::OK, &json!(["round red"])), "{body}");
    let odd = json!({ "name": "input", "datatype": "BYTES", "shape": [1, 2], "data": ["red", "a\0b"] });
    let (status, body) = client.infer(json!({ "inputs": [odd] }).to_string()).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(body["error"], "input \"input\" has a string that is not UTF-8 text without zero bytes");
    server.ended().await;
}

#[tokio::test]
async fn strings_go_both_ways_in_binary() {
    let server = shapes().await;
    let mut client = Client::connect(server.running.addr).await;
    let mut words = Vec::new();
    TensorData::Bytes(vec!["blue".into(), "square".into()]).write_le_bytes(&mut words);
    let head = json!({
        "inputs": [{
            "name": "input", "datatype": "BYTES", "shape": [1, 2], "parameters": { "binary_data_size": words.len() },
        }],
        "outputs": [{ "name": "output_label", "parameters": { "binary_data": true } }],
    })
    .to_string();
    let length = head.len().to_string();
    let headers = [("inference-header-content-length", length.as_str())];
    let body = [head.into_bytes(), words].concat();
    let (status, headers, body) =
        client.try_send(post("/v2/models/doubler/infer", &headers, body)).await.unwrap();
    assert_eq!(status, StatusCode::OK, "{}", String::from_utf8_lossy(&body));
    let json_length: usize = headers["inference-header-content-length"].to_str().unwrap().parse().unwrap();
    let answer = TensorData::from_le_bytes(DataType::Bytes, &body[json_length..]);
    assert_eq!(answer, Some(TensorData::Bytes(vec!["square blue".into()])));
    server.ended().await;
}

async fn call(server: &Server, raw: bool) -> ModelInferResponse {
    let url = format!("http://{}", server.running.addr);
    let mut client = GrpcInferenceServiceClient::connect(url).await.unwrap();
    let words = vec![Bytes::from("green"), Bytes::from("round")];
    let mut raw_words = Vec::new();
    TensorData::Bytes(words.clone()).write_le_bytes(&mut raw_words);
    let contents = InferTensorContents { bytes_contents: words, ..Default::default() };
    let request = ModelInferRequest {
        model_name: "doubler".to_owned(),
        inputs: vec![InferInputTensor {
            name: "input".to_owned(),
            datatype: "BYTES".to_owned(),
            shape: vec![1, 2],
            contents: (!raw).then_some(contents),
            ..Default::default()
        }],
        raw_input_contents: if raw { vec![raw_words.into()] } else { vec![] },
        ..Default::default()
    };
    client.model_infer(request).await.unwrap().into_inner()
}

#[tokio::test]
async fn strings_go_both_ways_over_grpc() {
    let server = shapes().await;
    let typed = call(&server, false).await;
    assert_eq!(typed.outputs[0].contents.as_ref().unwrap().bytes_contents, ["round green"]);
    let raw = call(&server, true).await;
    let label = TensorData::from_le_bytes(DataType::Bytes, &raw.raw_output_contents[0]);
    assert_eq!(label, Some(TensorData::Bytes(vec!["round green".into()])));
    server.ended().await;
}
