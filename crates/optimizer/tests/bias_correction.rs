//! Biases that make up for what quantization adds to the outputs of their products on average.
#![allow(
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    clippy::cast_possible_wrap,
    reason = "these are tests, helpers included"
)]

mod common;

use std::sync::Arc;

use common::{Case, count, noise, run, tensor};
use slipway_model::onnx::build::{ModelBuilder, float, int, ints};
use slipway_model::onnx::proto::AttributeProto;
use slipway_optimizer::calibrate::{CalibrateOptions, Calibrator, Data};
use slipway_optimizer::progress::Silent;
use slipway_optimizer::stage::quantize::{
    Fit, Granularity, HalfFloat, Method, Options, QuantizeError, QuantizeReport,
};
use slipway_server::{Tensor, TensorData};

const DEPTH: usize = 32;
const WIDTH: usize = 8;
const SAMPLES: usize = 16;

/// A model of one product, and the shape of one sample.
struct Product {
    name: &'static str,
    model: ModelBuilder,
    dims: Vec<usize>,
}

fn matrix() -> ModelBuilder {
    let (depth, width) = (DEPTH as i64, WIDTH as i64);
    ModelBuilder::new()
        .input("x", &[-1, depth])
        .output("y", &[-1, width])
        .floats("w", &[depth, width], &noise(1, DEPTH * WIDTH))
        .floats("b", &[width], &noise(2, WIDTH))
}

fn kernel(dims: &[i64], channels: i64) -> ModelBuilder {
    kernel_over(dims, channels, 4)
}

/// A kernel over a square.
fn kernel_over(dims: &[i64], channels: i64, side: i64) -> ModelBuilder {
    let elements: i64 = dims.iter().product();
    let outputs = dims[0];
    ModelBuilder::new()
        .input("x", &[-1, channels, side, side])
        .output("y", &[-1, outputs, side, side])
        .floats("w", dims, &noise(3, usize::try_from(elements).unwrap()))
        .floats("b", &[outputs], &noise(4, usize::try_from(outputs).unwrap()))
}

/// What rten wants to read of a convolution.
fn spelled(groups: i64) -> Vec<AttributeProto> {
    padded(groups, 0)
}

fn padded(groups: i64, pad: i64) -> Vec<AttributeProto> {
    let ones = |name| ints(name, &[1, 1]);
    vec![int("group", groups), ones("strides"), ones("dilations"), ints("pads", &[pad; 4])]
}

fn products() -> Vec<Product> {
    let rows = |name, model| Product { name, model, dims: vec![4, DEPTH] };
    let planes = |name, model, channels| Product { name, model, dims: vec![1, channels, 4, 4] };
    let turned = ModelBuilder::new()
        .input("x", &[-1, DEPTH as i64])
        .output("y", &[-1, WIDTH as i64])
        .floats("w", &[WIDTH as i64, DEPTH as i64], &noise(1, DEPTH * WIDTH))
        .node_with("Gemm", &["x", "w"], &["y"], vec![int("transB", 1)]);
    vec![
        rows("Gemm", matrix().node("Gemm", &["x", "w", "b"], &["y"])),
        rows(
            "Gemm with alpha",
            matrix().node_with("Gemm", &["x", "w", "b"], &["y"], vec![float("alpha", 0.5)]),
        ),
        rows("Gemm without a bias, the other way round", turned),
        rows("MatMul and Add", matrix().node("MatMul", &["x", "w"], &["m"]).node("Add", &["b", "m"], &["y"])),
        planes(
            "Conv",
            kernel(&[8, 16, 1, 1], 16).node_with("Conv", &["x", "w", "b"], &["y"], spelled(1)),
            16,
        ),
        planes(
            "Conv without a bias",
            kernel(&[8, 16, 1, 1], 16).node_with("Conv", &["x", "w"], &["y"], spelled(1)),
            16,
        ),
        planes(
            "Conv in groups",
            kernel(&[32, 4, 1, 1], 16).node_with("Conv", &["x", "w", "b"], &["y"], spelled(4)),
            16,
        ),
        Product {
            name: "Conv of which one tap in nine meets the input",
            model: kernel_over(&[8, 16, 3, 3], 16, 1).node_with(
                "Conv",
                &["x", "w", "b"],
                &["y"],
                padded(1, 1),
            ),
            dims: vec![1, 16, 1, 1],
        },
    ]
}

/// Inputs whose means are far from zero, each channel's from the others'.
fn values(dims: &[usize], seed: u64) -> Vec<f32> {
    let elements: usize = dims.iter().product();
    let points: usize = dims[2..].iter().product();
    let mean = |index: usize| 1.0 + (index / points % dims[1]) as f32 / 8.0;
    noise(seed, elements).iter().enumerate().map(|(index, value)| mean(index) + 0.5 * value).collect()
}

fn samples(dims: &[usize]) -> Vec<Vec<Tensor>> {
    let one =
        |seed: usize| vec![Tensor::new(dims.to_vec(), TensorData::Fp32(values(dims, seed as u64))).unwrap()];
    (0..SAMPLES).map(one).collect()
}

fn data(dims: &[usize]) -> Data {
    Data::new(Arc::new(samples(dims)), "sha256:d")
}

/// By how much the mean of each output channel over the samples is off, at most, in steps of the largest output.
fn shift(case: &Case, product: &Product) -> f64 {
    let mut sums: Vec<f64> = Vec::new();
    let mut largest = 0.0_f32;
    for seed in 0..SAMPLES {
        let x = values(&product.dims, seed as u64);
        let (wanted, found) = (run(&case.input, &product.dims, &x), run(&case.output, &product.dims, &x));
        let points: usize = product.dims[2..].iter().product();
        let channels = wanted.len() / product.dims[0] / points;
        sums.resize(channels, 0.0);
        for (index, (wanted, found)) in wanted.iter().zip(&found).enumerate() {
            sums[index / points % channels] += f64::from(found - wanted);
            largest = largest.max(wanted.abs());
        }
    }
    let worst = sums.iter().map(|sum| sum.abs()).fold(0.0, f64::max);
    worst / SAMPLES as f64 / f64::from(largest)
}

fn methods() -> Vec<Method> {
    let (granularity, fit) = (Granularity::PerChannel, Fit::LeastSquares);
    vec![
        Method::Eight { granularity },
        Method::Eight { granularity: Granularity::PerTensor },
        Method::EightInBlocks { block: 16, fit },
        Method::Four { block: 16, zero_points: false, fit },
    ]
}

fn quantized(product: &Product, method: Method, corrects: bool) -> (Case, QuantizeReport) {
    let case = Case::new(&product.model);
    let bias_correction = corrects.then(|| data(&product.dims));
    let options =
        Options { method, bias_correction, allow_bigger: true, least_elements: 1, ..Options::default() };
    let report = case.quantize(&options).unwrap();
    (case, report)
}

#[test]
fn the_mean_of_every_output_is_that_of_the_floats() {
    for product in products() {
        for method in methods() {
            let (plain, report) = quantized(&product, method, false);
            assert!(report.tensors.iter().all(|tensor| !tensor.bias_corrected));
            let (corrected, report) = quantized(&product, method, true);
            assert!(
                report.tensors.iter().all(|tensor| tensor.bias_corrected),
                "{}: {report:?}",
                product.name
            );
            assert!(report.notes.is_empty(), "{}: {:?}", product.name, report.notes);
            let (before, after) = (shift(&plain, &product), shift(&corrected, &product));
            assert!(after < 2e-5, "{} by {method:?}: {after}, {before} before", product.name);
            assert!(before > 10.0 * after, "{} by {method:?}: {after}, {before} before", product.name);
        }
    }
}

#[test]
fn integer_arithmetic_is_corrected_for_its_weights_too() {
    for product in products() {
        let method = Method::Dynamic { granularity: Granularity::PerTensor, reduce_range: true };
        let [before, after] =
            [false, true].map(|corrects| shift(&quantized(&product, method, corrects).0, &product));
        assert!(after < before / 2.0, "{}: {after}, {before} before", product.name);
    }
}

#[test]
fn an_integer_bias_of_static_quantization_is_corrected() {
    for product in products() {
        let case = Case::new(&product.model);
        let calibrator = Calibrator::open(&case.input, &CalibrateOptions::default()).unwrap();
        let calibration = calibrator.run(&samples(&product.dims), "sha256:d", &Silent).unwrap();
        let method = Method::Static { granularity: Granularity::PerTensor, reduce_range: true };
        let [before, after] = [None, Some(data(&product.dims))].map(|bias_correction| {
            let options = Options {
                method,
                calibration: Some(calibration.clone()),
                bias_correction,
                allow_bigger: true,
                least_elements: 1,
                ..Options::default()
            };
            case.quantize(&options).unwrap();
            shift(&case, &product)
        });
        assert!(after < before / 2.0, "{}: {after}, {before} before", product.name);
    }
}

#[test]
fn the_old_bias_goes_and_one_that_others_use_stays() {
    let method = Method::Eight { granularity: Granularity::PerChannel };
    let of = |model: ModelBuilder| {
        let product = Product { name: "", model, dims: vec![4, DEPTH] };
        quantized(&product, method, true).0.output_model()
    };
    let alone = of(matrix().node("Gemm", &["x", "w", "b"], &["y"]));
    assert!(tensor(&alone, "b").is_none() && tensor(&alone, "y_bias").is_some());
    let shared = matrix().node("Gemm", &["x", "w", "b"], &["g"]).node("Mul", &["g", "b"], &["y"]);
    let shared = of(shared);
    assert!(tensor(&shared, "b").is_some() && tensor(&shared, "g_bias").is_some());
    assert_eq!(count(&alone, "Add") + count(&shared, "Add"), 0, "no node more");
}

#[test]
fn what_cannot_be_corrected_is_named_with_the_reason() {
    let reason = |model: ModelBuilder| {
        let product = Product { name: "", model, dims: vec![4, DEPTH] };
        let (case, report) =
            quantized(&product, Method::Eight { granularity: Granularity::PerChannel }, true);
        assert!(!report.tensors[0].bias_corrected);
        assert!(shift(&case, &product) < 0.1, "it computes as without");
        report.notes.join("; ")
    };
    let alone = reason(matrix().node("MatMul", &["x", "w"], &["y"]));
    assert_eq!(
        alone,
        "the bias of \"node_y\" is not corrected: no constant of one float a channel is added to it"
    );
    let twice = matrix().node("MatMul", &["x", "w"], &["m"]).node("Add", &["m", "b"], &["a"]);
    assert!(reason(twice.node("Mul", &["a", "m"], &["y"])).contains("no constant"));
    let computed = matrix().node("Abs", &["b"], &["c"]).node("MatMul", &["x", "w"], &["m"]);
    assert!(!reason(computed.node("ReduceMax", &["x"], &["r"]).node("Add", &["m", "r"], &["y"])).is_empty());
    let beta = matrix().node_with("Gemm", &["x", "w", "b"], &["y"], vec![float("beta", 2.0)]);
    assert!(reason(beta).contains("its bias is multiplied"));
}

#[test]
fn inputs_that_are_no_numbers_correct_nothing_and_the_note_says_so() {
    let product = Product {
        name: "",
        model: matrix().node("Log", &["x"], &["l"]).node("Gemm", &["l", "w", "b"], &["y"]),
        dims: vec![4, DEPTH],
    };
    let mut zero = values(&product.dims, 0);
    zero[5] = 0.0;
    let sample = vec![Tensor::new(product.dims.clone(), TensorData::Fp32(zero)).unwrap()];
    let data = Data::new(Arc::new(vec![sample]), "sha256:z");
    let case = Case::new(&product.model);
    let method = Method::Eight { granularity: Granularity::PerChannel };
    let options = Options { method, bias_correction: Some(data), allow_bigger: true, ..Options::default() };
    let report = case.quantize(&options).unwrap();
    assert_eq!(report.notes, ["the bias of \"node_y\" is not corrected: its input holds -inf in sample 0"]);
}

#[test]
fn the_same_data_gives_the_same_bytes_and_stands_in_the_metadata() {
    let product = &products()[0];
    let bytes = || {
        let (case, _) = quantized(product, Method::Eight { granularity: Granularity::PerChannel }, true);
        std::fs::read(case.output).unwrap()
    };
    let once = bytes();
    assert_eq!(once, bytes());
    let text = String::from_utf8_lossy(&once);
    assert!(text.contains(r#""biasCorrection":{"digest":"sha256:d","samples":16}"#), "{text}");
}

#[test]
fn where_there_are_no_integers_to_make_up_for_it_is_refused() {
    for method in [
        Method::Half { float: HalfFloat::Float16 },
        Method::Four { block: 16, zero_points: false, fit: Fit::Gptq },
    ] {
        let product = &products()[0];
        let options = Options {
            method,
            data: Some(data(&product.dims)),
            bias_correction: Some(data(&product.dims)),
            ..Options::default()
        };
        let error = Case::new(&product.model).quantize(&options).unwrap_err();
        assert!(matches!(&error, QuantizeError::Options { reason } if reason.contains("bias correction")));
    }
}

#[test]
fn groups_that_no_convolution_has_are_named() {
    for groups in [0, -1, 3, 1 << 45, i64::MAX] {
        let model = kernel(&[8, 16, 1, 1], 16).node_with("Conv", &["x", "w", "b"], &["y"], spelled(groups));
        let product = Product { name: "Conv", model, dims: vec![1, 16, 4, 4] };
        let case = Case::new(&product.model);
        let options = Options {
            method: Method::Eight { granularity: Granularity::PerChannel },
            bias_correction: Some(data(&product.dims)),
            least_elements: 1,
            ..Options::default()
        };
        // Whether the engine takes the model or not: nothing is reserved for channels that cannot be.
        if let Ok(report) = case.quantize(&options) {
            assert!(
                report.notes.iter().any(|note| note.contains("its groups do not divide")),
                "{:?}",
                report.notes
            );
        }
    }
}
