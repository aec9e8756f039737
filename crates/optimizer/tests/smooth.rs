//! The same model, with ranges that are easier to quantize.
#![allow(
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    clippy::cast_possible_wrap,
    reason = "these are tests, helpers included"
)]

mod common;

use std::sync::Arc;

use common::{Case, noise, run, tensor};
use slipway_model::onnx::build::{ModelBuilder, int};
use slipway_model::onnx::proto::TensorProto;
use slipway_model::onnx::{DataType, OnnxError};
use slipway_optimizer::calibrate::Data;
use slipway_optimizer::progress::Silent;
use slipway_optimizer::stage::quantize::{
    Granularity, Method, Options as Quantize, QuantizeError, quantizable, quantize,
};
use slipway_optimizer::stage::smooth::{Options, SmoothError, SmoothReport, smooth};
use slipway_server::{BackendChoice, Tensor, TensorData};

const DEPTH: usize = 64;
const WIDTH: usize = 32;

/// Rows of which every sixteenth channel is a hundred times larger than the others.
fn rows(seed: u64, count: usize) -> Vec<f32> {
    let larger = |index: usize| if index.is_multiple_of(16) { 100.0 } else { 1.0 };
    noise(seed, count * DEPTH).iter().enumerate().map(|(index, value)| value * larger(index)).collect()
}

fn data() -> Data {
    let sample = |seed| vec![Tensor::new(vec![8, DEPTH], TensorData::Fp32(rows(seed, 8))).unwrap()];
    let mut data = Data::new(Arc::new((0..16).map(sample).collect::<Vec<_>>()), "sha256:d");
    // ONNX Runtime refuses the models here that count channels wrongly.
    data.capture.engine.backend = BackendChoice::Rten;
    data
}

/// Two products of one input, of which one has its weight the other way round, and one that is another's.
fn model() -> ModelBuilder {
    let (depth, width) = (DEPTH as i64, WIDTH as i64);
    ModelBuilder::new()
        .input("x", &[-1, depth])
        .output("y", &[-1, width])
        .floats("w0", &[depth, width], &noise(1, DEPTH * WIDTH))
        .floats("w1", &[width, depth], &noise(2, DEPTH * WIDTH))
        .floats("b1", &[width], &noise(3, WIDTH))
        .floats("w2", &[width, width], &noise(4, WIDTH * WIDTH))
        .node("MatMul", &["x", "w0"], &["left"])
        .node_with("Gemm", &["x", "w1", "b1"], &["right"], vec![int("transB", 1)])
        .node("Add", &["left", "right"], &["sum"])
        .node("Relu", &["sum"], &["h"])
        .node("MatMul", &["h", "w2"], &["y"])
}

/// Two products of one input that cannot share its factors, and another behind them that can be smoothed.
fn apart(second: &[i64], turned: bool) -> ModelBuilder {
    let (depth, count) = (DEPTH as i64, second.iter().product::<i64>());
    let right = if turned { "w" } else { "v" };
    ModelBuilder::new()
        .input("x", &[-1, depth])
        .output("y", &[-1, depth])
        .floats("w", &[depth, depth], &noise(1, DEPTH * DEPTH))
        .floats("v", second, &noise(2, usize::try_from(count).unwrap()))
        .floats("u", &[depth, depth], &noise(3, DEPTH * DEPTH))
        .node("MatMul", &["x", "w"], &["left"])
        .node_with("Gemm", &["x", right], &["right"], vec![int("transB", i64::from(turned))])
        .node("Relu", &["left"], &["h"])
        .node("MatMul", &["h", "u"], &["y"])
}

fn smoothed(case: &Case, options: &Options) -> Result<SmoothReport, SmoothError> {
    smooth(&case.input, &case.output, &data(), options, &Silent)
}

/// The distance between the first two outputs of models to rows that were not in the data, as a share of the first.
fn distance(left: &std::path::Path, right: &std::path::Path) -> f64 {
    let x = rows(99, 32);
    let [left, right] = [left, right].map(|path| run(path, &[32, DEPTH], &x));
    let square = |value: f32| f64::from(value).powi(2);
    let apart: f64 = left.iter().zip(&right).map(|(left, right)| square(left - right)).sum();
    (apart / left.iter().map(|value| square(*value)).sum::<f64>()).sqrt()
}

#[test]
fn answers_stay_and_integers_get_closer_to_them() {
    let case = Case::new(&model());
    let report = smoothed(&case, &Options::default()).unwrap();
    let activations: Vec<_> = report.smoothed.iter().map(|one| one.activation.as_str()).collect();
    assert_eq!((activations, report.samples), (vec!["x", "h"], 16));
    assert_eq!(report.smoothed[0].nodes, ["node_left", "node_right"]);
    assert!(report.smoothed[0].most > 5.0 * report.smoothed[0].least, "{report:?}");
    let apart = distance(&case.input, &case.output);
    assert!(apart > 0.0 && apart < 1e-6, "{apart}");

    let method = Method::Dynamic { granularity: Granularity::PerChannel, reduce_range: true };
    let options = Quantize { method, allow_bigger: true, ..Quantize::default() };
    let error = |from: &std::path::Path| {
        let to = case.folder.path().join("quantized.onnx");
        quantize(from, &to, &options, &Silent).unwrap();
        distance(&case.input, &to)
    };
    let (rough, even) = (error(&case.input), error(&case.output));
    assert!(even < 0.7 * rough, "{even} {rough}");
}

#[test]
fn names_stay_and_the_same_work_gives_the_same_bytes() {
    let case = Case::new(&model());
    smoothed(&case, &Options::default()).unwrap();
    let output = case.output_model();
    for weight in ["w0", "w1", "w2"] {
        assert!(tensor(&output, weight).is_some(), "{weight}");
    }
    let bytes = std::fs::read(&case.output).unwrap();
    smoothed(&case, &Options::default()).unwrap();
    assert!(std::fs::read(&case.output).unwrap() == bytes);
    smoothed(&case, &Options { alpha: 0.8, ..Options::default() }).unwrap();
    assert!(std::fs::read(&case.output).unwrap() != bytes, "alpha is heard");
}

#[test]
fn all_of_the_range_moves_or_none_of_it() {
    let case = Case::new(&model());
    smoothed(&case, &Options { alpha: 1.0, ..Options::default() }).unwrap();
    // What reaches the product is divided by its largest magnitude.
    let bytes = common::tensor_bytes(&case.output_model(), "x_smoothing");
    let (words, _) = bytes.as_chunks::<4>();
    let largest = |channel: usize| {
        let all = (0..16).flat_map(|seed| rows(seed, 8).into_iter().skip(channel).step_by(DEPTH));
        all.fold(0.0, |most: f32, value| most.max(value.abs()))
    };
    for (channel, word) in words.iter().enumerate() {
        let product = f32::from_le_bytes(*word) * largest(channel);
        assert!((product - 1.0).abs() < 1e-5, "{channel}: {product}");
    }
}

#[test]
fn what_cannot_be_smoothed_is_named_with_the_reason() {
    let (depth, width) = (DEPTH as i64, WIDTH as i64);
    let shared = ModelBuilder::new()
        .input("x", &[-1, depth])
        .output("y", &[-1, width])
        .floats("w", &[depth, width], &noise(1, DEPTH * WIDTH))
        .node("Relu", &["x"], &["h"])
        .node("MatMul", &["x", "w"], &["left"])
        .node("MatMul", &["h", "w"], &["right"])
        .node("Add", &["left", "right"], &["y"]);
    let SmoothError::NothingChanged { skipped } =
        smoothed(&Case::new(&shared), &Options::default()).unwrap_err()
    else {
        unreachable!("nothing can change")
    };
    assert_eq!(skipped.len(), 2);
    assert!(skipped.iter().all(|skipped| skipped.reason.contains("something else")), "{skipped:?}");
    let case = Case::new(&model());
    let error = smoothed(&case, &Options { alpha: 1.5, ..Options::default() }).unwrap_err().to_string();
    assert!(error.contains("alpha is 1.5"), "{error}");
    let infinite =
        vec![vec![Tensor::new(vec![1, DEPTH], TensorData::Fp32(vec![f32::INFINITY; DEPTH])).unwrap()]];
    let infinite = Data::new(Arc::new(infinite), "sha256:i");
    let error = smooth(&case.input, &case.output, &infinite, &Options::default(), &Silent).unwrap_err();
    assert!(error.to_string().contains("its input is inf on a sample"), "{error}");
    assert_eq!(case.files(), ["input.onnx"]);
}

/// A factor for each of its rows and one for each of its columns: only one of them could be multiplied in.
#[test]
fn a_weight_that_is_taken_both_ways_stays_with_the_reason() {
    let mut model = apart(&[1, 1], true);
    // The product that the wrong factors would reach is the one whose answers are compared.
    "right".clone_into(&mut model.graph().node[2].input[0]);
    for _ in 0..2 {
        let case = Case::new(&model);
        let report = smoothed(&case, &Options::default()).unwrap();
        let left: Vec<_> = report.skipped.iter().map(|skipped| skipped.node.as_str()).collect();
        assert_eq!((left.len(), report.smoothed.len()), (2, 1), "{report:?}");
        assert!(left.contains(&"node_left") && left.contains(&"node_right"), "{left:?}");
        assert!(report.skipped.iter().all(|skipped| skipped.reason.contains("transposed")), "{report:?}");
        let apart = distance(&case.input, &case.output);
        assert!(apart < 1e-6, "{apart}");
        model.graph().node.swap(0, 1);
    }
}

/// No engine asks for a product that no output depends on, so such a model runs.
#[test]
fn a_product_that_counts_other_channels_of_its_input_stays_with_the_reason() {
    for rows in [DEPTH / 2, DEPTH * 2] {
        let case = Case::new(&apart(&[rows as i64, 3], false));
        let report = smoothed(&case, &Options::default()).unwrap();
        let activations: Vec<_> = report.smoothed.iter().map(|one| one.activation.as_str()).collect();
        assert_eq!((activations, report.skipped.len()), (vec!["x", "h"], 1));
        let skipped = &report.skipped[0];
        assert_eq!(skipped.node, "node_right");
        assert!(skipped.reason.contains(&format!("{rows} channels")), "{}", skipped.reason);
        assert!(distance(&case.input, &case.output) < 1e-6);
    }
}

#[test]
fn an_opset_before_broadcasting_is_refused() {
    let case = Case::new(&model().opset(6));
    let error = smoothed(&case, &Options::default()).unwrap_err();
    assert!(error.to_string().contains("opset 6, and 7 is needed"), "{error}");
    assert!(!error.is_retryable());
    assert_eq!(case.files(), ["input.onnx"]);
}

/// As in every stage that streams: integers in typed fields cannot be read in place.
#[test]
fn values_that_cannot_be_streamed_are_bounded() {
    const COUNT: usize = 3 << 20;
    let big = TensorProto {
        name: Some("big".to_owned()),
        dims: vec![COUNT as i64],
        data_type: Some(DataType::INT64.code()),
        int64_data: vec![1; COUNT],
        ..TensorProto::default()
    };
    let case = Case::new(&model().initializer(big));
    let error = smoothed(&case, &Options::default()).unwrap_err();
    assert!(matches!(error, SmoothError::Model(OnnxError::TooManyValues { .. })), "{error}");
    let error = quantizable(&case.input, &Quantize::default()).unwrap_err();
    assert!(matches!(error, QuantizeError::Model(OnnxError::TooManyValues { .. })), "{error}");
}

#[test]
fn the_output_names_its_input_whether_or_not_it_is_told() {
    let case = Case::new(&model());
    let named = |options: &Options| {
        smoothed(&case, options).unwrap();
        let output = case.output_model();
        let entry = output.proto().metadata_props.iter().find(|entry| entry.key() == "slipway.source");
        entry.map(|entry| entry.value().to_owned())
    };
    let input = std::fs::read(&case.input).unwrap();
    assert_eq!(named(&Options::default()), Some(slipway_artifacts::Digest::of(&input).to_string()));
    let told = Options { source: Some("sha256:told".to_owned()), ..Options::default() };
    assert_eq!(named(&told).as_deref(), Some("sha256:told"));
}

#[test]
fn without_samples_there_is_nothing_to_smooth_by() {
    let case = Case::new(&model());
    let none = Data { samples: 0, ..data() };
    let error = smooth(&case.input, &case.output, &none, &Options::default(), &Silent).unwrap_err();
    assert!(error.to_string().contains("no samples"), "{error}");
    assert_eq!(case.files(), ["input.onnx"]);
}
