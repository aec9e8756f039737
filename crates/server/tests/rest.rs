//! The REST protocol over real sockets.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a function that cannot work fails its test")]

mod common;

use bytes::Bytes;
use common::{Client, doubling, post, row, start};
use http::StatusCode;
use serde_json::{Value, json};
use slipway_server::BackendChoice;

for_each_engine!(
    describes_server_and_model,
    answers_json_with_the_id_and_without_a_version,
    binary_tensors_go_both_ways,
    wrong_requests_are_told_what_is_wrong,
    binary_lengths_that_disagree_are_refused,
    paths_methods_sizes_and_encodings_have_their_own_status,
    a_body_may_be_nothing_but_the_elements_of_the_one_input,
    an_infinite_answer_is_sent_in_the_binary_form_alone,
    a_name_is_found_as_clients_escape_it,
);

const INFER: &str = "/v2/models/doubler/infer";

fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

async fn describes_server_and_model(backend: BackendChoice) {
    let server = start(backend, &doubling(), |config| config.revision = Some("r7".to_owned())).await;
    let mut client = Client::connect(server.running.addr).await;
    let (status, body) = client.get("/v2").await;
    assert_eq!((status, &body["name"]), (StatusCode::OK, &json!("slipway")));
    assert_eq!(body["extensions"], json!(["binary_tensor_data"]));
    assert_eq!(client.get("/v2/health/live").await, (StatusCode::OK, json!({ "live": true })));
    assert_eq!(client.get("/v2/health/ready").await, (StatusCode::OK, json!({ "ready": true })));
    assert_eq!(client.get("/v2/models/doubler/ready").await.0, StatusCode::OK);
    let expected = json!({
        "name": "doubler", "versions": ["r7"], "platform": format!("onnx_{}", common::name(backend)),
        "inputs": [{ "name": "x", "datatype": "FP32", "shape": [-1, 2] }],
        "outputs": [{ "name": "y", "datatype": "FP32", "shape": [-1, 2] }],
    });
    assert_eq!(client.get("/v2/models/doubler").await, (StatusCode::OK, expected.clone()));
    assert_eq!(client.get("/v2/models/doubler/versions/r7").await, (StatusCode::OK, expected));
    let versions = json!({ "name": "doubler", "versions": ["r7"] });
    assert_eq!(client.get("/v2/models/doubler/versions").await, (StatusCode::OK, versions));
    assert_eq!(client.get("/v2/models/doubler/versions/r8").await.0, StatusCode::NOT_FOUND);
    server.ended().await;
}

async fn answers_json_with_the_id_and_without_a_version(backend: BackendChoice) {
    let server = start(backend, &doubling(), |_| {}).await;
    let mut client = Client::connect(server.running.addr).await;
    let request = json!({
        "id": "q\"1", "parameters": { "trace": true },
        "inputs": [{ "name": "x", "datatype": "FP32", "shape": [2, 2], "data": [[1, 2.5], [-3, null]] }],
    });
    let (status, body) = client.infer(request.to_string()).await;
    assert_eq!(status, StatusCode::OK);
    let outputs =
        json!([{ "name": "y", "datatype": "FP32", "shape": [2, 2], "data": [2.0, 5.0, -6.0, null] }]);
    assert_eq!(body, json!({ "model_name": "doubler", "id": "q\"1", "outputs": outputs }));
    server.ended().await;
}

async fn binary_tensors_go_both_ways(backend: BackendChoice) {
    let server = start(backend, &doubling(), |_| {}).await;
    let mut client = Client::connect(server.running.addr).await;
    let head = json!({
        "inputs": [{
            "name": "x", "datatype": "FP32", "shape": [1, 2], "parameters": { "binary_data_size": 8 },
        }],
        "outputs": [{ "name": "y", "parameters": { "binary_data": true } }],
    })
    .to_string();
    let mut body = head.clone().into_bytes();
    body.extend(floats(&[1.0, f32::NAN]));
    let length = head.len().to_string();
    let request = post(INFER, &[("inference-header-content-length", &length)], body);
    let (status, headers, body) = client.try_send(request).await.unwrap();
    assert_eq!(status, StatusCode::OK);
    assert_eq!(headers["content-type"], "application/octet-stream");
    let json_length: usize = headers["inference-header-content-length"].to_str().unwrap().parse().unwrap();
    let answer: Value = serde_json::from_slice(&body[..json_length]).unwrap();
    assert_eq!(answer["outputs"][0]["parameters"]["binary_data_size"], 8);
    let values: Vec<f32> =
        body[json_length..].chunks(4).map(|word| f32::from_le_bytes(word.try_into().unwrap())).collect();
    assert!(values[0].to_bits() == 2.0_f32.to_bits() && values[1].is_nan(), "{values:?}");
    server.ended().await;
}

fn binary(json: &Value, tail: &[u8]) -> (String, Bytes) {
    let head = json.to_string();
    let body = [head.as_bytes(), tail].concat();
    (head.len().to_string(), body.into())
}

async fn wrong_requests_are_told_what_is_wrong(backend: BackendChoice) {
    let server = start(backend, &doubling(), |_| {}).await;
    let mut client = Client::connect(server.running.addr).await;
    let input = |changes: Value| {
        let mut input = json!({ "name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1, 2] });
        input.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        json!({ "inputs": [input] })
    };
    let twice = input(json!({}))["inputs"][0].clone();
    for (request, words) in [
        (input(json!({ "datatype": "FP64" })), "expects FP32, got FP64"),
        (input(json!({ "shape": [1, 3] })), "expects shape [-1, 2] (-1 is any size), got [1, 3]"),
        (input(json!({ "shape": [2] })), "expects shape"),
        (input(json!({ "shape": [-1, 2] })), "negative dimension"),
        (input(json!({ "shape": [i64::MAX, 2] })), "needs 18446744073709551614 elements"),
        (input(json!({ "shape": [4_000_000_000_i64, 2] })), "needs 8000000000 elements by its shape, got 2"),
        (input(json!({ "shape": [2, 2] })), "needs 4 elements by its shape, got 2"),
        (input(json!({ "data": [1, 2, 3] })), "more than the 2 elements"),
        (input(json!({ "data": ["a", 2] })), "number of single precision"),
        (input(json!({ "data": null })), "has no data"),
        (input(json!({ "name": "z" })), "no input \"z\"; it has \"x\""),
        (input(json!({ "parameters": { "binary_data_size": 8 } })), "both data and binary_data_size"),
        (input(json!({ "parameters": { "shared_memory_region": "r" } })), "shared memory"),
        (json!({ "inputs": [] }), "input \"x\" is missing"),
        (json!({ "inputs": [twice, twice] }), "given twice"),
        (json!({}), "missing field `inputs`"),
        (json!([]), "no JSON object with \"inputs\""),
        (json!([null, {}, [twice]]), "no JSON object with \"inputs\""),
        (
            input(json!({ "shape": [3, 2], "data": [[1, 2, 3], [4, 5, 6]] })),
            "an array of 3 at depth 1, and its shape is [3, 2]",
        ),
    ] {
        let (status, body) = client.infer(request.to_string()).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{request}");
        let message = body["error"].as_str().unwrap();
        assert!(message.contains(words), "{request}: {message}");
    }
    let not_a_number = input(json!({})).to_string().replace("[1,2]", "[1,NaN]");
    assert!(not_a_number.contains("NaN"), "{not_a_number}");
    for (body, words) in [(not_a_number.as_str(), "NaN is no JSON: send null"), ("", "the body is empty")] {
        let (status, answer) = client.infer(body.to_owned()).await;
        let message = answer["error"].as_str().unwrap();
        assert!(status == StatusCode::BAD_REQUEST && message.contains(words), "{message}");
    }
    let (status, body) = client.infer("{\"inputs\": [").await;
    assert!(status == StatusCode::BAD_REQUEST && body["error"].is_string(), "{body}");
    let mut wrong_output = input(json!({}));
    wrong_output["outputs"] = json!([{ "name": "z" }]);
    assert!(
        client.infer(wrong_output.to_string()).await.1["error"].as_str().unwrap().contains("no output \"z\"")
    );
    server.ended().await;
}

async fn binary_lengths_that_disagree_are_refused(backend: BackendChoice) {
    let server = start(backend, &doubling(), |_| {}).await;
    let mut client = Client::connect(server.running.addr).await;
    let head = |size: u64| {
        json!({ "inputs": [{
            "name": "x", "datatype": "FP32", "shape": [1, 2], "parameters": { "binary_data_size": size },
        }] })
    };
    for (json, tail, words) in [
        (head(8), 4, "says 8 bytes of binary data, but 4 are left"),
        (head(8), 12, "4 bytes follow"),
        (head(4), 4, "needs 2 elements of FP32 by its shape, got 4 bytes"),
        (head(u64::MAX), 4, "are left"),
    ] {
        let (length, body) = binary(&json, &vec![0; tail]);
        let request = post(INFER, &[("inference-header-content-length", &length)], body);
        let (status, _, body) = client.try_send(request).await.unwrap();
        let text = String::from_utf8_lossy(&body).into_owned();
        assert!(status == StatusCode::BAD_REQUEST && text.contains(words), "{text}");
    }
    for length in ["99999", "-1", "x"] {
        let request = post(INFER, &[("inference-header-content-length", length)], row(1.0, 2.0));
        let (status, _, body) = client.try_send(request).await.unwrap();
        assert_eq!(status, StatusCode::BAD_REQUEST, "{}", String::from_utf8_lossy(&body));
    }
    server.ended().await;
}

async fn paths_methods_sizes_and_encodings_have_their_own_status(backend: BackendChoice) {
    let server = start(backend, &doubling(), |config| config.limits.body_bytes = 200).await;
    let mut client = Client::connect(server.running.addr).await;
    assert_eq!(client.get("/v2/models/other").await.0, StatusCode::NOT_FOUND);
    assert_eq!(client.get("/metrics").await.0, StatusCode::NOT_FOUND);
    assert_eq!(client.get(INFER).await.0, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(client.post("/v2", "").await.0, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(client.post("/v2/models/other/infer", row(1.0, 2.0)).await.0, StatusCode::NOT_FOUND);
    let zipped = post(INFER, &[("content-encoding", "gzip")], row(1.0, 2.0));
    assert_eq!(client.try_send(zipped).await.unwrap().0, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let (status, body) = client.infer(vec![b' '; 201]).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(body["error"], "the request body is larger than 200 bytes");
    server.ended().await;
}

async fn a_body_may_be_nothing_but_the_elements_of_the_one_input(backend: BackendChoice) {
    let server = start(backend, &doubling(), |_| {}).await;
    let mut client = Client::connect(server.running.addr).await;
    let request = post(INFER, &[("inference-header-content-length", "0")], floats(&[1.0, 2.0, 3.0, 4.0]));
    let (status, headers, body) = client.try_send(request).await.unwrap();
    assert_eq!(status, StatusCode::OK, "{}", String::from_utf8_lossy(&body));
    let json_length: usize = headers["inference-header-content-length"].to_str().unwrap().parse().unwrap();
    let answer: Value = serde_json::from_slice(&body[..json_length]).unwrap();
    assert_eq!(answer["outputs"][0]["shape"], json!([2, 2]), "both rows");
    assert_eq!(body[json_length..], floats(&[2.0, 4.0, 6.0, 8.0]));

    let odd = post(INFER, &[("inference-header-content-length", "0")], vec![0; 9]);
    let (status, _, body) = client.try_send(odd).await.unwrap();
    let text = String::from_utf8_lossy(&body);
    assert!(
        status == StatusCode::BAD_REQUEST && text.contains("9 bytes are no whole number of rows of 8"),
        "{text}"
    );
    server.ended().await;
}

async fn an_infinite_answer_is_sent_in_the_binary_form_alone(backend: BackendChoice) {
    let server = start(backend, &doubling(), |_| {}).await;
    let mut client = Client::connect(server.running.addr).await;
    let largest = json!({ "name": "x", "datatype": "FP32", "shape": [1, 2], "data": [3e38, -3e38] });
    let (status, body) = client.infer(json!({ "inputs": [largest] }).to_string()).await;
    let message = body["error"].as_str().unwrap();
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(
        message.contains("output \"y\" has an infinite value") && message.contains("binary"),
        "{message}"
    );

    let wanted = json!([{ "name": "y", "parameters": { "binary_data": true } }]);
    let request = json!({ "inputs": [largest], "outputs": wanted }).to_string();
    let (status, headers, body) = client.try_send(post(INFER, &[], request)).await.unwrap();
    assert_eq!(status, StatusCode::OK);
    let json_length: usize = headers["inference-header-content-length"].to_str().unwrap().parse().unwrap();
    assert_eq!(body[json_length..], floats(&[f32::INFINITY, f32::NEG_INFINITY]));
    server.ended().await;
}

async fn a_name_is_found_as_clients_escape_it(backend: BackendChoice) {
    let server = start(backend, &doubling(), |config| "bert:base v2".clone_into(&mut config.name)).await;
    let mut client = Client::connect(server.running.addr).await;
    for path in ["/v2/models/bert%3Abase%20v2", "/v2/models/bert:base%20v2"] {
        let (status, body) = client.get(path).await;
        assert_eq!((status, &body["name"]), (StatusCode::OK, &json!("bert:base v2")), "{path}");
    }
    let (status, body) = client.post("/v2/models/bert%3Abase%20v2/infer", row(1.0, 2.0)).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let (status, body) = client.post("/v2/models/bert%3Abase%20v2/versions/1/infer", row(1.0, 2.0)).await;
    let message = body["error"].as_str().unwrap();
    assert!(status == StatusCode::NOT_FOUND && message.contains("leave the version out"), "{message}");
    server.ended().await;
}
