//! Integers of four bits that are chosen by what goes into their products.
#![allow(
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    clippy::cast_possible_wrap,
    reason = "these are tests, helpers included"
)]

mod common;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use common::{Case, noise, run};
use slipway_model::onnx::build::{ModelBuilder, int};
use slipway_optimizer::calibrate::{Data, Feeds};
use slipway_optimizer::stage::quantize::{Fit, Form, Method, Options, QuantizeError, QuantizeReport};
use slipway_server::{Tensor, TensorData};

const DEPTH: usize = 64;
const WIDTH: usize = 24;

fn method(fit: Fit) -> Method {
    Method::Four { block: 16, zero_points: false, fit }
}

fn options(fit: Fit, data: Option<Data>) -> Options {
    Options { method: method(fit), data, allow_bigger: true, ..Options::default() }
}

/// Rows whose values depend on each other: a shared part, and a little of their own.
fn rows(seed: u64, count: usize) -> Vec<f32> {
    let own = noise(seed, count * DEPTH);
    let shared = noise(seed + 1000, count * 4);
    let mix = noise(7, 4 * DEPTH);
    let value = |index: usize| {
        let (row, column) = (index / DEPTH, index % DEPTH);
        let common: f32 = (0..4).map(|part| shared[row * 4 + part] * mix[part * DEPTH + column]).sum();
        common + 0.2 * own[index]
    };
    (0..count * DEPTH).map(value).collect()
}

fn sample(rows: &[f32]) -> Vec<Tensor> {
    let shape = vec![rows.len() / DEPTH, DEPTH];
    vec![Tensor::new(shape, TensorData::Fp32(rows.to_vec())).unwrap()]
}

fn data() -> Data {
    let samples: Vec<_> = (0..32).map(|index| sample(&rows(index, 8))).collect();
    Data::new(Arc::new(samples), "sha256:d")
}

/// Two products of one input, the second with its weight the other way round, and one behind them.
fn model() -> ModelBuilder {
    let turned: Vec<f32> = noise(2, DEPTH * DEPTH);
    ModelBuilder::new()
        .input("x", &[-1, DEPTH as i64])
        .output("y", &[-1, WIDTH as i64])
        .output("z", &[-1, WIDTH as i64])
        .floats("w0", &[DEPTH as i64, WIDTH as i64], &noise(1, DEPTH * WIDTH))
        .floats("w1", &[DEPTH as i64, DEPTH as i64], &turned)
        .floats("w2", &[DEPTH as i64, WIDTH as i64], &noise(3, DEPTH * WIDTH))
        .node("MatMul", &["x", "w0"], &["y"])
        .node_with("Gemm", &["x", "w1"], &["g"], vec![int("transB", 1)])
        .node("Relu", &["g"], &["h"])
        .node("MatMul", &["h", "w2"], &["z"])
}

/// The squared distance between the answers to rows that nobody calibrated on, as a share of the answers.
fn error(case: &Case) -> f32 {
    let x = rows(500, 64);
    let (wanted, found) = (run(&case.input, &[64, DEPTH], &x), run(&case.output, &[64, DEPTH], &x));
    let square = |values: &mut dyn Iterator<Item = f32>| values.map(|value| value * value).sum::<f32>();
    square(&mut wanted.iter().zip(&found).map(|(a, b)| a - b)) / square(&mut wanted.iter().copied())
}

fn quantized(model: &ModelBuilder, options: &Options) -> (Case, QuantizeReport) {
    let case = Case::new(model);
    let report = case.quantize(options).unwrap();
    (case, report)
}

fn bytes(model: &ModelBuilder, options: &Options) -> Vec<u8> {
    std::fs::read(quantized(model, options).0.output).unwrap()
}

#[test]
fn answers_to_other_rows_change_less_than_without_data() {
    let (nearest, _) = quantized(&model(), &options(Fit::Nearest, None));
    let (squares, report) = quantized(&model(), &options(Fit::LeastSquares, None));
    assert!(report.tensors.iter().all(|tensor| !tensor.on_data));
    let (gptq, report) = quantized(&model(), &options(Fit::Gptq, Some(data())));
    assert!(report.notes.is_empty() && report.tensors.iter().all(|tensor| tensor.on_data), "{report:?}");
    assert!(report.tensors.iter().all(|tensor| tensor.form == Form::MatMulNBits), "{report:?}");
    let [nearest, squares, gptq] = [nearest, squares, gptq].map(|case| error(&case));
    assert!(gptq < 0.5 * squares && squares < nearest, "{gptq} {squares} {nearest}");
}

#[test]
fn a_weight_that_lies_the_other_way_round_becomes_the_same() {
    let weight = noise(4, DEPTH * WIDTH);
    let turned: Vec<f32> =
        (0..DEPTH * WIDTH).map(|index| weight[index % DEPTH * WIDTH + index / DEPTH]).collect();
    let (depth, width) = (DEPTH as i64, WIDTH as i64);
    let model = |dims: [i64; 2], values: &[f32], turned: i64| {
        ModelBuilder::new()
            .input("x", &[-1, depth])
            .output("y", &[-1, width])
            .floats("w", &dims, values)
            .node_with("Gemm", &["x", "w"], &["y"], vec![int("transB", turned)])
    };
    let of = |model: &ModelBuilder| {
        let (case, _) = quantized(model, &options(Fit::Gptq, Some(data())));
        let output = case.output_model();
        ["w_quantized", "w_scale"].map(|name| common::tensor_bytes(&output, name))
    };
    assert!(of(&model([depth, width], &weight, 0)) == of(&model([width, depth], &turned, 1)));
}

#[test]
fn parts_that_fit_less_memory_give_the_same_bytes() {
    let wide = bytes(&model(), &options(Fit::Gptq, Some(data())));
    let one = Data { memory: (DEPTH * DEPTH * 8) as u64, ..data() };
    assert!(bytes(&model(), &options(Fit::Gptq, Some(one))) == wide);
    assert!(bytes(&model(), &options(Fit::Gptq, Some(data()))) == wide, "again");
    let fewer = Data { samples: 1, ..data() };
    assert!(bytes(&model(), &options(Fit::Gptq, Some(fewer))) != wide, "the samples are heard");
}

/// Samples that note which copies of the model there are whenever one is asked for.
struct Watching {
    samples: Vec<Vec<Tensor>>,
    scratch: PathBuf,
    copies: Mutex<BTreeSet<OsString>>,
}

impl Feeds for Watching {
    fn count(&self) -> usize {
        self.samples.len()
    }

    fn sample(&self, index: usize) -> Option<Vec<Tensor>> {
        let entries = self.scratch.read_dir().unwrap().map(|entry| entry.unwrap().file_name());
        self.copies.lock().unwrap().extend(entries);
        self.samples.get(index).cloned()
    }
}

#[test]
fn the_model_is_copied_once_however_many_parts_there_are() {
    let folder = tempfile::tempdir().unwrap();
    let samples = (0..4).map(|index| sample(&rows(index, 8))).collect();
    let scratch = folder.path().to_owned();
    let feeds = Arc::new(Watching { samples, scratch: scratch.clone(), copies: Mutex::default() });
    let mut one = Data { memory: (DEPTH * DEPTH * 8) as u64, ..Data::new(feeds.clone(), "sha256:d") };
    one.capture.scratch = scratch;
    let (_, report) = quantized(&model(), &options(Fit::Gptq, Some(one)));
    assert!(report.tensors.iter().all(|tensor| tensor.on_data), "{report:?}");
    let copies = feeds.copies.lock().unwrap();
    assert_eq!(copies.len(), 1, "{copies:?}");
}

#[test]
fn what_cannot_be_seen_is_fitted_without_data_and_told() {
    let told = |model: &ModelBuilder, data: Data, words: &[&str]| {
        let (case, report) = quantized(model, &options(Fit::Gptq, Some(data)));
        assert_eq!(report.notes.len(), words.len(), "{:?}", report.notes);
        for (note, words) in report.notes.iter().zip(words) {
            assert!(note.contains("least squares") && note.contains(words), "{note}");
        }
        let (other, _) = quantized(model, &options(Fit::LeastSquares, None));
        let [left, right] =
            [case, other].map(|case| common::tensor_bytes(&case.output_model(), "w0_quantized"));
        assert!(left == right);
    };
    let small = Data { memory: (DEPTH * DEPTH * 8) as u64 - 1, ..data() };
    told(&model(), small, &["\"w0\"", "\"w1\"", "\"w2\""]);
    let mut infinite = rows(1, 8);
    infinite[5 * DEPTH + 3] = f32::INFINITY;
    let samples = vec![sample(&rows(0, 8)), sample(&infinite)];
    let infinite = Data::new(Arc::new(samples), "sha256:i");
    told(&model(), infinite, &["input 3 of calibration row 5 is inf", "", ""]);
    let turned = ModelBuilder::new()
        .input("x", &[DEPTH as i64, -1])
        .output("y", &[-1, WIDTH as i64])
        .floats("w0", &[DEPTH as i64, WIDTH as i64], &noise(1, DEPTH * WIDTH))
        .node_with("Gemm", &["x", "w0"], &["y"], vec![int("transA", 1)]);
    told(&turned, data(), &["transposed"]);
}

#[test]
fn without_data_it_is_refused_and_a_sample_that_does_not_fit_leaves_no_file() {
    let case = Case::new(&model());
    let refused = case.quantize(&options(Fit::Gptq, None)).unwrap_err();
    assert!(matches!(&refused, QuantizeError::Options { reason } if reason.contains("data")), "{refused}");
    let wrong = vec![vec![Tensor::new(vec![1, 7], TensorData::Fp32(vec![0.0; 7])).unwrap()]];
    let wrong = Data::new(Arc::new(wrong), "sha256:w");
    let refused = case.quantize(&options(Fit::Gptq, Some(wrong))).unwrap_err();
    assert!(refused.to_string().contains("sample 0"), "{refused}");
    let none = Data::new(Arc::new(Vec::<Vec<Tensor>>::new()), "sha256:n");
    let refused = case.quantize(&options(Fit::Gptq, Some(none))).unwrap_err();
    assert!(refused.to_string().contains("no samples"), "{refused}");
    assert_eq!(case.files(), ["input.onnx"]);
}
