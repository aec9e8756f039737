//! Work that is called off at any moment: it ends with an error, without an output, and leaves nothing behind.
#![allow(clippy::unwrap_used, clippy::cast_possible_wrap, reason = "these are tests, helpers included")]

mod common;

use std::cell::Cell;
use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use common::{Case, noise};
use slipway_model::onnx::build::ModelBuilder;
use slipway_optimizer::calibrate::{CalibrateOptions, Calibrator, CaptureOptions, Data};
use slipway_optimizer::progress::Progress;
use slipway_optimizer::sensitivity::{SensitivityOptions, sensitivity};
use slipway_optimizer::stage::quantize::{Fit, Granularity, Method, Options, quantize};
use slipway_optimizer::stage::simplify::{self, simplify};
use slipway_optimizer::stage::smooth::{self, smooth};
use slipway_server::{Tensor, TensorData};

const DEPTH: usize = 32;

/// Progress that says "end" once it was asked so often.
struct Until(Cell<u32>);

impl Progress for Until {
    fn total(&self, _units: u64) {}
    fn advance(&self, _units: u64) {}
    fn message(&self, _what: &str) {}

    fn is_cancelled(&self) -> bool {
        let left = self.0.get();
        self.0.set(left.saturating_sub(1));
        left == 0
    }
}

fn samples() -> Vec<Vec<Tensor>> {
    let sample = |seed| vec![Tensor::new(vec![2, DEPTH], TensorData::Fp32(noise(seed, 2 * DEPTH))).unwrap()];
    (0..3).map(sample).collect()
}

/// A step on a model, with a folder for its copies.
type Step = fn(&Case, &Path, &Until) -> Result<(), Box<dyn Error>>;

fn data(scratch: &Path) -> Data {
    let capture = CaptureOptions { scratch: scratch.to_owned(), ..CaptureOptions::default() };
    Data { capture, ..Data::new(Arc::new(samples()), "sha256:d") }
}

fn options(method: Method) -> Options {
    Options { method, allow_bigger: true, inline_limit: 0, ..Options::default() }
}

fn steps() -> Vec<(&'static str, Step)> {
    vec![
        ("quantize", |case, scratch, until| {
            let method = Method::Dynamic { granularity: Granularity::PerTensor, reduce_range: true };
            let options = Options { bias_correction: Some(data(scratch)), ..options(method) };
            quantize(&case.input, &case.output, &options, until)?;
            Ok(())
        }),
        ("gptq", |case, scratch, until| {
            let method = Method::Four { block: 16, zero_points: false, fit: Fit::Gptq };
            let options = Options { data: Some(data(scratch)), ..options(method) };
            quantize(&case.input, &case.output, &options, until)?;
            Ok(())
        }),
        ("simplify", |case, _, until| {
            let options = simplify::Options { inline_limit: 0, ..simplify::Options::default() };
            simplify(&case.input, &case.output, &options, until)?;
            Ok(())
        }),
        ("smooth", |case, scratch, until| {
            let options = smooth::Options { inline_limit: 0, ..smooth::Options::default() };
            smooth(&case.input, &case.output, &data(scratch), &options, until)?;
            Ok(())
        }),
        ("calibrate", |case, scratch, until| {
            let capture = data(scratch).capture;
            let options = CalibrateOptions { capture, ..CalibrateOptions::default() };
            let calibration = Calibrator::open(&case.input, &options)?.run(&samples(), "sha256:d", until)?;
            Ok(std::fs::write(&case.output, calibration.to_json())?)
        }),
        ("sensitivity", |case, scratch, until| {
            let method = Method::Dynamic { granularity: Granularity::PerTensor, reduce_range: true };
            let options = SensitivityOptions {
                scratch: scratch.to_owned(),
                ..SensitivityOptions::new(options(method), 1.0)
            };
            let found = sensitivity(&case.input, &samples(), &options, until)?;
            Ok(std::fs::write(&case.output, serde_json::to_string(&found)?)?)
        }),
    ]
}

fn case() -> Case {
    let dims = [DEPTH as i64, DEPTH as i64];
    let model = ModelBuilder::new()
        .input("x", &[-1, DEPTH as i64])
        .output("y", &[-1, DEPTH as i64])
        .floats("w", &dims, &noise(1, DEPTH * DEPTH))
        .floats("v", &dims, &noise(2, DEPTH * DEPTH))
        .node("MatMul", &["x", "w"], &["h"])
        .node("Identity", &["h"], &["i"])
        .node("Tanh", &["i"], &["t"])
        .node("MatMul", &["t", "v"], &["y"]);
    Case::new(&model)
}

#[test]
fn whatever_is_called_off_leaves_nothing_behind() {
    for (name, step) in steps() {
        let (case, scratch) = (case(), tempfile::tempdir().unwrap());
        let mut ended = 0;
        while let Err(error) = step(&case, scratch.path(), &Until(Cell::new(ended))) {
            let mut causes = std::iter::successors(Some(&*error), |cause| (*cause).source());
            assert!(causes.any(|cause| cause.to_string() == "called off"), "{name}, {ended}: {error}");
            assert_eq!(case.files(), ["input.onnx"], "{name}, {ended}");
            assert_eq!(scratch.path().read_dir().unwrap().count(), 0, "{name}, {ended}");
            ended += 1;
        }
        assert!(ended > 2, "{name} ended at {ended} places");
        assert!(case.output.exists(), "{name}");
        assert_eq!(scratch.path().read_dir().unwrap().count(), 0, "{name}");
    }
}
