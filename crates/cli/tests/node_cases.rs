//! ONNX's own node cases through `slipway serve` in both engines: no answer that is wrong, no ready server that answers only
//! errors, and `slipway inspect` that says of each what `serve` does.

#![expect(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "tests")]

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use half::f16;
use prost::Message;
use serde::Deserialize;
use serde_json::{Value, json};
use slipway_model::onnx::proto::TensorProto;

/// Cases in which ONNX Runtime answers otherwise than ONNX's recorded outputs, or not at all.
const OF_ONNX_RUNTIME: [&str; 5] = [
    // The size that a scale gives is cut to a whole one before the corners are aligned.
    "test_resize_downsample_scales_cubic_align_corners",
    "test_resize_downsample_scales_linear_align_corners",
    // An error, and its server was ready: ones that are not empty are computed.
    "test_reduce_max_empty_set_bool",
    // Scores that are masked are the least number, not -∞.
    "test_attention_4d_with_past_and_present_qk_matmul_bias_3d_mask_causal",
    "test_attention_4d_with_past_and_present_qk_matmul_bias_4d_mask_causal",
];
/// Of the largest number of an output, what rounding in another order may change.
const ROUNDING: f64 = 1e-5;
/// What one place of half precision is of a number, twice.
const HALF: f64 = 2e-3;

/// Cases at once.
const WORKERS: usize = 3;

#[derive(Deserialize)]
struct Case {
    name: String,
    model: String,
    inputs: BTreeMap<String, Option<String>>,
    outputs: BTreeMap<String, Option<String>>,
    rtol: f64,
    atol: f64,
    random: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    Right,
    /// Answered with 200 and not as recorded.
    Wrong(String),
    /// Ready, and an error as the answer.
    Error(String),
    /// Never ready.
    Refused,
    /// Ready, but the case has no outputs that two runs share, or inputs that the protocol has no type for.
    Untold,
}

fn cache() -> PathBuf {
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache/slipway");
    std::env::var_os("SLIPWAY_CACHE").map_or_else(home, PathBuf::from)
}

fn slipway() -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_slipway"));
    program.env("SLIPWAY_ONNXRUNTIME", cache().join("onnxruntime"));
    program
}

fn decoded(text: &str) -> Vec<u8> {
    base64::engine::general_purpose::STANDARD.decode(text).unwrap()
}

fn tensor(text: &str) -> TensorProto {
    TensorProto::decode(decoded(text).as_slice()).unwrap()
}

/// The protocol's name of a type and the bytes of the elements; nothing for types that the protocol lacks.
fn wire(tensor: &TensorProto) -> Option<(&'static str, Vec<u8>)> {
    let name = match tensor.data_type() {
        1 => "FP32",
        2 => "UINT8",
        3 => "INT8",
        6 => "INT32",
        7 => "INT64",
        8 => "BYTES",
        9 => "BOOL",
        10 => "FP16",
        11 => "FP64",
        _ => return None,
    };
    let text =
        |value: &bytes::Bytes| [&u32::try_from(value.len()).unwrap().to_le_bytes()[..], value].concat();
    let bytes = match name {
        "BYTES" => tensor.string_data.iter().flat_map(text).collect(),
        _ => tensor.raw_data.clone().unwrap_or_default().to_vec(),
    };
    Some((name, bytes))
}

/// Elements as numbers; strings as the bytes that they are.
fn numbers(datatype: &str, bytes: &[u8]) -> Vec<f64> {
    match datatype {
        "FP32" => bytes.as_chunks().0.iter().map(|word| f32::from_le_bytes(*word).into()).collect(),
        "FP64" => bytes.as_chunks().0.iter().map(|word| f64::from_le_bytes(*word)).collect(),
        "FP16" => bytes.as_chunks().0.iter().map(|word| f16::from_le_bytes(*word).to_f64()).collect(),
        "INT32" => bytes.as_chunks().0.iter().map(|word| i32::from_le_bytes(*word).into()).collect(),
        #[expect(clippy::cast_precision_loss, reason = "both sides lose the same")]
        "INT64" => bytes.as_chunks().0.iter().map(|word| i64::from_le_bytes(*word) as f64).collect(),
        "INT8" => bytes.iter().map(|byte| byte.cast_signed().into()).collect(),
        _ => bytes.iter().map(|byte| (*byte).into()).collect(),
    }
}

impl Case {
    /// The request's JSON and the tensors behind it; nothing where the protocol has no type for an input.
    fn request(&self) -> Option<(Vec<u8>, usize)> {
        let mut described = Vec::new();
        let mut tail = Vec::new();
        for (name, text) in &self.inputs {
            let tensor = tensor(text.as_deref()?);
            let (datatype, bytes) = wire(&tensor)?;
            described.push(json!({
                "name": name, "datatype": datatype, "shape": tensor.dims,
                "parameters": { "binary_data_size": bytes.len() },
            }));
            tail.extend(bytes);
        }
        let json = json!({ "inputs": described, "parameters": { "binary_data_output": true } }).to_string();
        let length = json.len();
        Some(([json.into_bytes(), tail].concat(), length))
    }

    fn ask(&self, address: &str) -> Outcome {
        let Some((body, length)) = self.request() else { return Outcome::Untold };
        let head = format!(
            "POST /v2/models/m/infer HTTP/1.1\r\nHost: m\r\nConnection: close\r\nContent-Length: {}\r\n\
             Inference-Header-Content-Length: {length}\r\n\r\n",
            body.len()
        );
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(&[head.into_bytes(), body].concat()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
        let head = String::from_utf8_lossy(&answer[..end]).to_lowercase();
        let body = &answer[end..];
        let status = head.split(' ').nth(1).unwrap().to_owned();
        if status != "200" {
            return Outcome::Error(format!("{status} {}", String::from_utf8_lossy(body)));
        }
        let header = head.lines().find_map(|line| line.strip_prefix("inference-header-content-length: "));
        let length = header.map_or(body.len(), |length| length.trim().parse().unwrap());
        self.compare(&serde_json::from_slice(&body[..length]).unwrap(), &body[length..])
    }

    fn compare(&self, answer: &Value, mut tail: &[u8]) -> Outcome {
        if self.random {
            return Outcome::Untold;
        }
        let mut compared = 0;
        for output in answer["outputs"].as_array().unwrap() {
            let (name, datatype) = (output["name"].as_str().unwrap(), output["datatype"].as_str().unwrap());
            let size = usize::try_from(output["parameters"]["binary_data_size"].as_u64().unwrap()).unwrap();
            let (bytes, rest) = tail.split_at(size);
            tail = rest;
            let Some(wanted) = self.outputs.get(name).and_then(Option::as_deref).map(tensor) else {
                return Outcome::Untold;
            };
            let Some((wanted_type, wanted_bytes)) = wire(&wanted) else { return Outcome::Untold };
            compared += 1;
            if datatype != wanted_type || output["shape"] != json!(wanted.dims) {
                return Outcome::Wrong(format!(
                    "{name} is {datatype} {}, not {wanted_type} {:?}",
                    output["shape"], wanted.dims
                ));
            }
            let (got, want) = (numbers(datatype, bytes), numbers(wanted_type, &wanted_bytes));
            let is_float = datatype.starts_with("FP");
            let largest = want
                .iter()
                .filter(|value| value.is_finite())
                .fold(0.0, |most: f64, value| most.max(value.abs()));
            let relative = if datatype == "FP16" { self.rtol.max(HALF) } else { self.rtol };
            let slack = |want: f64| self.atol + relative * want.abs() + ROUNDING * largest;
            let close = |want: f64, got: f64| {
                let both_finite = want.is_finite() && got.is_finite();
                want == got
                    || (want.is_nan() && got.is_nan())
                    || (is_float && both_finite && (want - got).abs() <= slack(want))
            };
            if got.len() != want.len() {
                return Outcome::Wrong(format!("{name} has {} elements, not {}", got.len(), want.len()));
            }
            if let Some(place) = want.iter().zip(&got).position(|(want, got)| !close(*want, *got)) {
                return Outcome::Wrong(format!("{name}[{place}] is {}, not {}", got[place], want[place]));
            }
        }
        if compared < self.outputs.len() {
            return Outcome::Wrong(format!("{compared} of {} outputs came", self.outputs.len()));
        }
        Outcome::Right
    }

    /// Serves the case's model in an engine and asks once.
    fn serve(&self, model: &Path, engine: &str) -> Outcome {
        let mut program = slipway();
        program.args([
            "serve",
            "--name",
            "m",
            "--port",
            "0",
            "--metrics-port",
            "0",
            "--json",
            "--engine",
            engine,
        ]);
        let mut server = program.arg(model).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let told =
            serde_json::Deserializer::from_reader(server.stdout.take().unwrap()).into_iter::<Value>().next();
        let outcome = match told {
            Some(told) => {
                let told = told.unwrap();
                let url = told["url"].as_str().unwrap().to_owned();
                self.ask(url.trim_start_matches("http://").split('/').next().unwrap())
            }
            None => Outcome::Refused,
        };
        server.kill().unwrap();
        server.wait().unwrap();
        outcome
    }
}

/// Whether `slipway inspect` says that each engine runs a model: ONNX Runtime, then rten.
fn inspected(model: &Path) -> [bool; 2] {
    let done = slipway().args(["inspect", "--json"]).arg(model).output().unwrap();
    let told: Value = serde_json::from_slice(&done.stdout).unwrap_or_default();
    [0, 1].map(|engine| told["engines"][engine]["runs"].as_bool().unwrap_or_default())
}

fn cases() -> Option<Vec<Case>> {
    let folder = tempfile::tempdir().unwrap();
    let (file, python) = (folder.path().join("cases.jsonl"), cache().join("venv-oracle/bin/python"));
    if !python.exists() {
        println!("skipped: scripts/setup.sh has not installed the oracle's Python");
        return None;
    }
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../server/tests/forms/cases.py");
    let made = Command::new(python).arg(program).arg("node").arg(&file).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let lines = fs::read_to_string(file).unwrap();
    Some(lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

#[test]
fn no_node_case_gets_a_wrong_answer_and_inspect_says_what_serve_does() {
    let Some(cases) = cases() else { return };
    let (next, found) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                let folder = tempfile::tempdir().unwrap();
                let model = folder.path().join("model.onnx");
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::SeqCst)) {
                    fs::write(&model, decoded(&case.model)).unwrap();
                    let told = inspected(&model);
                    for (engine, runs) in ["onnxruntime", "rten"].into_iter().zip(told) {
                        let outcome = case.serve(&model, engine);
                        found.lock().unwrap().push((engine, case.name.clone(), outcome, runs));
                    }
                }
            });
        }
    });
    let found = found.into_inner().unwrap();
    let mut counts: BTreeMap<(&str, String), usize> = BTreeMap::new();
    let mut faults = Vec::new();
    for (engine, name, outcome, runs) in &found {
        let kind = format!("{outcome:?}");
        *counts.entry((engine, kind.split('(').next().unwrap().to_owned())).or_default() += 1;
        let is_known = *engine == "onnxruntime" && OF_ONNX_RUNTIME.contains(&name.as_str());
        if matches!(outcome, Outcome::Wrong(_) | Outcome::Error(_)) && !is_known {
            faults.push(format!("{engine} {name}: {outcome:?}"));
        }
        if *runs == (*outcome == Outcome::Refused) {
            faults.push(format!("{engine} {name}: inspect says {runs}, and serve is {outcome:?}"));
        }
    }
    println!("{counts:#?}");
    for (engine, least) in [("onnxruntime", 1250), ("rten", 350)] {
        let right = counts.get(&(engine, "Right".to_owned())).copied().unwrap_or_default();
        assert!(right >= least, "{engine} answers {right} cases, and {least} are known: {counts:#?}");
    }
    faults.sort();
    assert_eq!(found.len(), 2 * cases.len());
    assert!(faults.is_empty(), "{} faults: {faults:#?}", faults.len());
}
