//! What rten computes, held against ONNX's own node cases and against drawn cases of every form (`tests/forms/cases.py`).

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use base64::Engine as _;
use prost::Message;
use rten::{ModelOptions, RunOptions, ThreadPool, Value, ValueOrView};
use rten_tensor::{Layout, Tensor};
use serde::Deserialize;
use slipway_model::onnx::DataType;
use slipway_model::onnx::proto::{ModelProto, TensorProto};

use super::values::{self, Values};
use super::{Prepared, proven};

/// Fewest cases that prove a form.
const FEWEST: usize = 3;
/// Draws that `make forms` does not make.
const OTHERS: [&str; 4] = ["--samples", "1", "--first", "1000"];

/// One line of cases.
#[derive(Deserialize)]
struct Case {
    name: String,
    model: String,
    inputs: BTreeMap<String, Option<String>>,
    outputs: BTreeMap<String, Option<String>>,
    rtol: f64,
    atol: f64,
    bounded: Vec<String>,
    random: bool,
}

/// What came of a case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    Right,
    Wrong(String),
    Failed(String),
    /// Not of tensors that the engine exchanges.
    Foreign,
}

fn bytes(text: &str) -> Vec<u8> {
    base64::engine::general_purpose::STANDARD.decode(text).unwrap()
}

fn tensor(text: &str) -> TensorProto {
    TensorProto::decode(bytes(text).as_slice()).unwrap()
}

fn shape(tensor: &TensorProto) -> Vec<usize> {
    tensor.dims.iter().map(|size| usize::try_from(*size).unwrap()).collect()
}

/// The elements as numbers, whatever their type; nothing for text.
fn numbers(tensor: &TensorProto) -> Option<Vec<f64>> {
    let raw = tensor.raw_data.clone().unwrap_or_default();
    let data_type = DataType::from_code(tensor.data_type())?;
    Some(match data_type {
        DataType::FLOAT if raw.is_empty() => {
            tensor.float_data.iter().map(|value| f64::from(*value)).collect()
        }
        DataType::FLOAT => {
            raw.as_chunks().0.iter().map(|word| f64::from(f32::from_le_bytes(*word))).collect()
        }
        DataType::FLOAT16 => {
            raw.as_chunks().0.iter().map(|word| half::f16::from_le_bytes(*word).to_f64()).collect()
        }
        DataType::INT64 | DataType::INT32 => {
            values::integers(tensor)?.into_iter().map(|value| value as f64).collect()
        }
        DataType::INT8 => raw.iter().map(|byte| f64::from(byte.cast_signed())).collect(),
        DataType::UINT8 | DataType::BOOL => raw.iter().map(|byte| f64::from(*byte)).collect(),
        _ => return None,
    })
}

fn value(tensor: &TensorProto) -> Option<Value> {
    let (shape, numbers) = (shape(tensor), numbers(tensor)?);
    let count: usize = shape.iter().product();
    if numbers.len() != count {
        return None;
    }
    Some(match DataType::from_code(tensor.data_type())? {
        DataType::FLOAT | DataType::FLOAT16 => {
            Tensor::from_data(&shape, numbers.iter().map(|value| *value as f32).collect::<Vec<_>>()).into()
        }
        DataType::INT64 | DataType::INT32 | DataType::BOOL => {
            if numbers.iter().any(|value| i32::try_from(*value as i64).is_err()) {
                return None;
            }
            Tensor::from_data(&shape, numbers.iter().map(|value| *value as i32).collect::<Vec<_>>()).into()
        }
        DataType::INT8 => {
            Tensor::from_data(&shape, numbers.iter().map(|value| *value as i8).collect::<Vec<_>>()).into()
        }
        DataType::UINT8 => {
            Tensor::from_data(&shape, numbers.iter().map(|value| *value as u8).collect::<Vec<_>>()).into()
        }
        _ => return None,
    })
}

fn given(value: Value) -> Option<(Vec<usize>, Vec<f64>)> {
    let shape = value.shape().to_vec();
    let numbers = match value {
        Value::FloatTensor(tensor) => tensor.into_data().into_iter().map(f64::from).collect(),
        Value::Int32Tensor(tensor) => tensor.into_data().into_iter().map(f64::from).collect(),
        Value::Int8Tensor(tensor) => tensor.into_data().into_iter().map(f64::from).collect(),
        Value::UInt8Tensor(tensor) => tensor.into_data().into_iter().map(f64::from).collect(),
        _ => return None,
    };
    Some((shape, numbers))
}

impl Case {
    /// rten multiplies by the reciprocal of a divisor of one element, as the docs say.
    fn quantizes_one_element(&self) -> bool {
        let elements = |text: &Option<String>| text.as_deref().map(|text| values::elements(&tensor(text)));
        self.name.starts_with("QuantizeLinear")
            && self.outputs.values().all(|output| elements(output) == Some(1))
    }

    fn model(&self) -> ModelProto {
        ModelProto::decode(bytes(&self.model).as_slice()).unwrap()
    }

    /// Computes the case in the engine, whatever is proven.
    fn run(&self, model: &ModelProto, optimizes: bool) -> Outcome {
        let run = std::panic::AssertUnwindSafe(|| self.compute(model, optimizes));
        std::panic::catch_unwind(run).unwrap_or_else(|_| Outcome::Failed("crashed".to_owned()))
    }

    fn compute(&self, model: &ModelProto, optimizes: bool) -> Outcome {
        let mut inputs = Vec::new();
        for (name, text) in &self.inputs {
            let Some(value) = text.as_deref().and_then(|text| value(&tensor(text))) else {
                return Outcome::Foreign;
            };
            inputs.push((name, value));
        }
        // A crash while loading is a refusal, and nothing is answered.
        let mut engine = ModelOptions::with_all_ops();
        engine.enable_optimization(optimizes);
        let load = || engine.load(model.encode_to_vec());
        let loaded = match std::panic::catch_unwind(std::panic::AssertUnwindSafe(load)) {
            Ok(Ok(loaded)) => loaded,
            Ok(Err(error)) => return Outcome::Failed(format!("load: {error}")),
            Err(_) => return Outcome::Foreign,
        };
        let inputs = inputs
            .into_iter()
            .map(|(name, value)| (loaded.node_id(name).unwrap(), ValueOrView::Value(value)));
        let ids: Vec<_> = self.outputs.keys().map(|name| loaded.node_id(name).unwrap()).collect();
        let options = RunOptions::default().with_thread_pool(Some(Arc::new(ThreadPool::with_num_threads(1))));
        match loaded.run(inputs.collect(), &ids, Some(options)) {
            Ok(outputs) => self.compare(outputs),
            Err(error) => Outcome::Failed(error.to_string()),
        }
    }

    fn compare(&self, outputs: Vec<Value>) -> Outcome {
        for ((name, wanted), got) in self.outputs.iter().zip(outputs) {
            let Some(wanted) = wanted.as_deref().map(tensor) else { return Outcome::Foreign };
            let (Some(numbers), Some((got_shape, got))) = (numbers(&wanted), given(got)) else {
                return Outcome::Foreign;
            };
            if shape(&wanted) != got_shape {
                return Outcome::Wrong(format!("{name} has shape {got_shape:?}, not {:?}", shape(&wanted)));
            }
            let is_float =
                matches!(DataType::from_code(wanted.data_type()), Some(DataType::FLOAT | DataType::FLOAT16));
            let largest = numbers
                .iter()
                .filter(|value| value.is_finite())
                .fold(1.0, |most: f64, value| most.max(value.abs()));
            let close = |want: f64, got: f64| {
                let slack = self.atol.max(1e-5) * largest.min(1e6) + self.rtol.max(1e-4) * want.abs();
                let both_finite = want.is_finite() && got.is_finite();
                want == got
                    || (want.is_nan() && got.is_nan())
                    || (is_float && both_finite && (want - got).abs() <= slack)
            };
            if let Some(place) = numbers.iter().zip(&got).position(|(want, got)| !close(*want, *got)) {
                return Outcome::Wrong(format!("{name}[{place}] is {}, not {}", got[place], numbers[place]));
            }
        }
        Outcome::Right
    }
}

fn python() -> Option<PathBuf> {
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache/slipway");
    let cache = std::env::var_os("SLIPWAY_CACHE").map_or_else(home, PathBuf::from);
    Some(cache.join("venv-oracle/bin/python")).filter(|python| python.exists())
}

/// Makes cases, or takes those that lie where an environment variable says.
fn cases(what: &str, arguments: &[&str]) -> Option<Vec<Case>> {
    let folder = tempfile::tempdir().unwrap();
    let file = match std::env::var_os(format!("SLIPWAY_CASES_{}", what.to_uppercase())) {
        Some(file) => PathBuf::from(file),
        None => {
            let file = folder.path().join("cases.jsonl");
            let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/forms/cases.py");
            let Some(python) = python() else {
                println!("skipped: scripts/setup.sh has not installed the oracle's Python");
                return None;
            };
            let made =
                Command::new(python).arg(program).arg(what).arg(&file).args(arguments).output().unwrap();
            assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
            file
        }
    };
    let lines = BufReader::new(std::fs::File::open(file).unwrap()).lines();
    Some(lines.map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect())
}

/// How many cases of a form are right, and what is wrong with others.
type Found = BTreeMap<String, (usize, BTreeSet<String>)>;

/// Computes every case, whatever is proven, on all processors.
fn computed(cases: &[Case]) -> Found {
    let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let parts = cases.chunks(cases.len().div_ceil(workers).max(1));
    let parts: Vec<Found> = std::thread::scope(|scope| {
        let running: Vec<_> = parts.map(|part| scope.spawn(|| computed_in_turn(part))).collect();
        running.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let mut found = Found::new();
    for (form, (right, faults)) in parts.into_iter().flatten() {
        let (all_right, all_faults) = found.entry(form).or_default();
        *all_right += right;
        all_faults.extend(faults);
    }
    found
}

fn computed_in_turn(cases: &[Case]) -> Found {
    let mut found = Found::new();
    for case in cases.iter().filter(|case| !case.name.starts_with("chain-")) {
        let mut model = case.model();
        let Prepared { optimizes, .. } = super::prepare(&mut model, &case.bounded);
        let graph = model.graph.as_ref().unwrap();
        let forms = proven::forms(graph, proven::opset(&model), &Values::of(graph, &case.bounded));
        let [form] = forms.as_slice() else { continue };
        let (right, faults) = found.entry(form.to_string()).or_default();
        match case.run(&model, optimizes) {
            Outcome::Right => *right += 1,
            Outcome::Foreign => {}
            Outcome::Wrong(words) | Outcome::Failed(words) => drop(faults.insert(words)),
        }
    }
    found
}

fn write_report(path: &Path, found: &Found) {
    let line = |(form, (right, faults)): (&String, &(usize, BTreeSet<String>))| {
        format!("{form}\t{right}\t{}\t{}\n", faults.len(), faults.first().map_or("", String::as_str))
    };
    std::fs::write(path, found.iter().map(line).collect::<String>()).unwrap();
}

/// Writes the table: every form with cases of its own, all of which are right.
fn write_table(path: &Path, found: &Found) {
    let head = format!(
        "# Forms in which rten {} was shown to compute what ONNX says; written by `make forms`.\n",
        super::VERSION
    );
    let proven = found.iter().filter(|(_, (right, faults))| *right >= FEWEST && faults.is_empty());
    std::fs::write(path, head + &proven.map(|(form, _)| format!("{form}\n")).collect::<String>()).unwrap();
}

/// Holds the table against cases that it was not made of; with `SLIPWAY_WRITE_FORMS` writes it anew.
#[test]
fn forms_of_the_table_are_computed_right() {
    let Some(cases) = cases("drawn", &OTHERS) else { return };
    let found = computed(&cases);
    if let Some(report) = std::env::var_os("SLIPWAY_FORMS_REPORT") {
        write_report(report.as_ref(), &found);
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/backend/rten/forms.txt");
    if std::env::var_os("SLIPWAY_WRITE_FORMS").is_some() {
        return write_table(&path, &found);
    }
    let table = std::fs::read_to_string(path).unwrap();
    let seen = table.lines().filter_map(|form| found.get_key_value(form));
    let refuted: Vec<_> = seen.filter(|(_, (_, faults))| !faults.is_empty()).collect();
    assert!(refuted.is_empty(), "{refuted:#?}");
}

/// What rten takes, by the table and by what is known of its fusions, it computes right: ONNX's node cases, and chains of
/// nodes that it replaces by one.
#[test]
fn every_model_that_is_taken_is_computed_right() {
    let (Some(nodes), Some(drawn)) = (cases("node", &[]), cases("drawn", &OTHERS)) else {
        return;
    };
    let mut wrong = Vec::new();
    let mut taken: BTreeMap<&str, usize> = BTreeMap::new();
    let is_told = |case: &&Case| !case.random && !case.quantizes_one_element();
    for case in nodes.iter().chain(&drawn).filter(is_told) {
        let mut model = case.model();
        let Prepared { refusals, optimizes } = super::prepare(&mut model, &case.bounded);
        if !refusals.is_empty() {
            continue;
        }
        match case.run(&model, optimizes) {
            Outcome::Right => *taken.entry(case.name.split('-').next().unwrap()).or_default() += 1,
            Outcome::Foreign => {}
            Outcome::Wrong(words) | Outcome::Failed(words) => wrong.push(format!("{}: {words}", case.name)),
        }
    }
    assert!(taken.len() > 500 && taken["chain"] > 100, "{taken:?}");
    assert!(wrong.is_empty(), "{wrong:#?}");
}
