//! `slipway serve`.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use crate::program::{Room, example};

#[test]
fn a_model_answers_until_it_is_told_to_end() {
    let room = Room::new();
    let model = example("model.onnx");
    let call =
        ["serve", &model, "--name", "net", "--host", "127.0.0.2", "--port", "0", "--metrics-port", "0"];
    let mut server = room.command(&call).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.ends_with("; Ctrl-C ends it\n"), "{line}");
    let mut urls = line.split([' ', ';']).filter(|word| word.starts_with("http://"));
    let (model, metrics) = (urls.next().unwrap(), urls.next().unwrap());
    assert!([model, metrics].iter().all(|url| url.starts_with("http://127.0.0.2:")), "{line}");

    let pixels = json!({ "name": "pixels", "shape": [1, 64], "datatype": "FP32", "data": vec![0.5; 64] });
    let answer = http("POST", &format!("{model}/infer"), &json!({ "inputs": [pixels] }).to_string());
    let answer: Value = serde_json::from_str(&answer).unwrap();
    let scores = answer["outputs"][0]["data"].as_array().unwrap();
    let sum: f64 = scores.iter().map(|score| score.as_f64().unwrap()).sum();
    assert!(scores.len() == 10 && (sum - 1.0).abs() < 1e-4, "{answer}");
    assert!(http("GET", metrics, "").contains("# TYPE "));

    let told = Command::new("kill").args(["-TERM", &server.id().to_string()]).status().unwrap();
    assert!(told.success());
    assert_eq!(server.wait().unwrap().code(), Some(0), "it drained and ended by itself");
}

pub(crate) fn http(method: &str, url: &str, body: &str) -> String {
    let (host, path) = url.trim_start_matches("http://").split_once('/').unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    write!(
        stream,
        "{method} /{path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{answer}");
    body.to_owned()
}

#[test]
fn a_folder_without_a_model_is_told() {
    let room = Room::new();
    std::fs::create_dir(room.path("empty")).unwrap();
    room.slipway(&["serve", "empty"]).fails(1, &["empty holds no .onnx file: name a model"]);
}

#[test]
fn a_port_in_use_is_named() {
    let room = Room::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let _held = TcpListener::bind(taken).unwrap();
    let port = taken.port().to_string();
    room.slipway(&["serve", &example("model.onnx"), "--port", &port, "--metrics-port", "0"])
        .fails(1, &[&format!("cannot listen on {taken}"), "in use", "--port 0 takes any free one"]);
    room.slipway(&["serve", &example("model.onnx"), "--port", "0", "--metrics-port", &port])
        .fails(1, &[&format!("cannot listen on {taken}"), "--metrics-port 0 takes any free one"]);
}

#[test]
fn a_name_is_said_as_it_stands_in_a_url_or_refused() {
    let room = Room::new();
    std::fs::copy(example("model.onnx"), room.path("mein modell.onnx")).unwrap();
    let call = ["serve", "mein modell.onnx", "--port", "0", "--metrics-port", "0"];
    let mut server = room.command(&call).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let url = line.split(' ').next().unwrap();
    assert!(url.ends_with("/v2/models/mein%20modell"), "{line}");
    let model: Value = serde_json::from_str(&http("GET", url, "")).unwrap();
    assert_eq!(model["name"], "mein modell");
    server.kill().unwrap();
    server.wait().unwrap();
    room.slipway(&["serve", &example("model.onnx"), "--name", "a/b"]).fails(2, &["named \"a/b\"", "--name"]);
}

#[test]
fn what_cannot_be_served_is_named() {
    let room = Room::new();
    let serve = |model: &str| room.slipway(&["serve", model, "--port", "0", "--metrics-port", "0"]);
    serve("absent.onnx").fails(1, &["cannot read absent.onnx", "No such file"]);
    let whole = std::fs::read(example("model.onnx")).unwrap();
    room.write("short.onnx", &whole[..whole.len() / 2]);
    serve("short.onnx").fails(1, &["short.onnx: ", "cut short"]);
}
