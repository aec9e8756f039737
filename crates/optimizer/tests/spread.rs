//! Fewer samples than there are: they are taken from all of the data, whatever runs the model.
#![allow(
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    clippy::cast_possible_wrap,
    reason = "these are tests, helpers included"
)]

mod common;

use std::sync::Arc;

use common::{Case, noise};
use slipway_model::onnx::build::ModelBuilder;
use slipway_optimizer::calibrate::{CalibrateError, CalibrateOptions, Calibrator, Data, Feeds, Range};
use slipway_optimizer::progress::Silent;
use slipway_optimizer::sensitivity::{SensitivityOptions, sensitivity};
use slipway_optimizer::stage::quantize::{Fit, Granularity, Method, Options, quantize};
use slipway_optimizer::stage::smooth::{self, smooth};
use slipway_server::{Tensor, TensorData};

const DEPTH: usize = 32;

type Samples = Vec<Vec<Tensor>>;

fn case() -> Case {
    let dims = [DEPTH as i64, DEPTH as i64];
    let model = ModelBuilder::new()
        .input("x", &[-1, DEPTH as i64])
        .output("y", &[-1, DEPTH as i64])
        .floats("w", &dims, &noise(1, DEPTH * DEPTH))
        .floats("b", &[DEPTH as i64], &noise(2, DEPTH))
        .node("Gemm", &["x", "w", "b"], &["h"])
        .node("Tanh", &["h"], &["y"]);
    Case::new(&model)
}

/// Samples sorted by size, as folders of one class after the other are.
fn sorted() -> Samples {
    let sample = |index: usize| {
        let values = noise(index as u64, DEPTH).iter().map(|value| value * (1 + index) as f32).collect();
        vec![Tensor::new(vec![1, DEPTH], TensorData::Fp32(values)).unwrap()]
    };
    (0..9).map(sample).collect()
}

/// Of nine samples the first, third, fifth and seventh: `i · 9 / 4`, rounded down.
fn evenly(samples: &Samples) -> Samples {
    [0, 2, 4, 6].map(|index| samples[index].clone()).to_vec()
}

/// What comes of four samples of some.
type Work = fn(Samples) -> String;

fn data(samples: Samples) -> Data {
    Data { samples: 4, ..Data::new(Arc::new(samples), "sha256:d") }
}

fn quantized(options: &Options) -> String {
    let case = case();
    quantize(&case.input, &case.output, options, &Silent).unwrap();
    digest(&case)
}

fn digest(case: &Case) -> String {
    slipway_api::sha256_hex(std::fs::read(&case.output).unwrap())
}

fn options(method: Method) -> Options {
    Options { method, allow_bigger: true, ..Options::default() }
}

fn ways() -> Vec<(&'static str, Work)> {
    vec![
        ("static", |samples| {
            let options =
                CalibrateOptions { samples: 4, range: Range::MinMax, ..CalibrateOptions::default() };
            let case = case();
            let calibrator = Calibrator::open(&case.input, &options).unwrap();
            calibrator.run(&samples, "sha256:d", &Silent).unwrap().to_json()
        }),
        ("gptq", |samples| {
            let method = Method::Four { block: 16, zero_points: false, fit: Fit::Gptq };
            quantized(&Options { data: Some(data(samples)), ..options(method) })
        }),
        ("bias correction", |samples| {
            let method = Method::Dynamic { granularity: Granularity::PerTensor, reduce_range: true };
            quantized(&Options { bias_correction: Some(data(samples)), ..options(method) })
        }),
        ("smooth", |samples| {
            let case = case();
            smooth(&case.input, &case.output, &data(samples), &smooth::Options::default(), &Silent).unwrap();
            digest(&case)
        }),
        ("sensitivity", |samples| {
            let method = Method::Dynamic { granularity: Granularity::PerTensor, reduce_range: true };
            let options = SensitivityOptions { samples: 4, ..SensitivityOptions::new(options(method), 1.0) };
            let case = case();
            serde_json::to_string(&sensitivity(&case.input, &samples, &options, &Silent).unwrap()).unwrap()
        }),
    ]
}

#[test]
fn fewer_samples_are_spread_evenly_over_all() {
    for (name, work) in ways() {
        let spread = work(sorted());
        assert_eq!(spread, work(evenly(&sorted())), "{name}");
        assert_ne!(spread, work(sorted()[..4].to_vec()), "{name}");
    }
}

#[test]
fn a_sample_is_named_by_its_place_in_the_data() {
    struct Broken(Samples);
    impl Feeds for Broken {
        fn count(&self) -> usize {
            self.0.len()
        }
        fn sample(&self, index: usize) -> Option<Vec<Tensor>> {
            self.0.get(index).filter(|_| index < 6).cloned()
        }
    }
    let options = CalibrateOptions { samples: 4, ..CalibrateOptions::default() };
    let case = case();
    let calibrator = Calibrator::open(&case.input, &options).unwrap();
    let error = calibrator.run(&Broken(sorted()), "sha256:d", &Silent).unwrap_err();
    assert!(
        matches!(error, CalibrateError::Capture(_)) && error.to_string().contains("sample 6 "),
        "{error}"
    );
    let method = Method::Dynamic { granularity: Granularity::PerTensor, reduce_range: true };
    let options = SensitivityOptions { samples: 4, ..SensitivityOptions::new(self::options(method), 1.0) };
    let error = sensitivity(&case.input, &Broken(sorted()), &options, &Silent).unwrap_err();
    assert!(error.to_string().contains("sample 6 "), "{error}");
    // The seventh sample holds what no range can be made of.
    let mut samples = sorted();
    let values = [vec![f32::NAN], vec![0.0; DEPTH - 1]].concat();
    samples[6] = vec![Tensor::new(vec![1, DEPTH], TensorData::Fp32(values)).unwrap()];
    let error = calibrator.run(&samples, "sha256:d", &Silent).unwrap_err();
    assert!(error.to_string().contains("sample 6:"), "{error}");
}
