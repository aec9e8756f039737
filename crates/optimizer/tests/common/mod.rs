//! What the tests of the stages share: deterministic numbers, a folder, and rten.
#![allow(dead_code, reason = "each test binary uses its part")]
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    reason = "these are tests, helpers included"
)]

pub mod chains;
pub mod oracle;

use std::path::{Path, PathBuf};

use rten::{Model, ValueOrView};
use rten_tensor::Tensor;
use rten_tensor::prelude::*;
use slipway_model::onnx::OnnxModel;
use slipway_model::onnx::build::ModelBuilder;
use slipway_model::onnx::proto::TensorProto;
use slipway_optimizer::progress::Silent;
use slipway_optimizer::stage::quantize::{
    Granularity, Method, Options, QuantizeError, QuantizeReport, quantize,
};
use tempfile::TempDir;

/// Numbers between -1 and 1 that are the same on every machine.
pub fn noise(seed: u64, count: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1_u64 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

/// One multiplication with a weight of 16 by 16.
pub fn layer() -> ModelBuilder {
    ModelBuilder::new()
        .input("x", &[-1, 16])
        .output("y", &[-1, 16])
        .floats("w", &[16, 16], &noise(1, 256))
        .node("MatMul", &["x", "w"], &["y"])
}

/// A model file, and where its quantized form goes.
pub struct Case {
    pub folder: TempDir,
    pub input: PathBuf,
    pub output: PathBuf,
}

impl Case {
    pub fn new(model: &ModelBuilder) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let input = folder.path().join("input.onnx");
        let output = folder.path().join("output.onnx");
        model.write(&input).unwrap();
        Self { folder, input, output }
    }

    pub fn quantize(&self, options: &Options) -> Result<QuantizeReport, QuantizeError> {
        quantize(&self.input, &self.output, options, &Silent)
    }

    /// Quantizes, and holds both models' answers to `x` against each other.
    pub fn check(&self, dims: &[usize], granularity: Granularity) -> QuantizeReport {
        let report = self.quantize(&options(granularity)).unwrap();
        self.check_answers(dims);
        report
    }

    pub fn check_answers(&self, dims: &[usize]) {
        let x = noise(99, dims.iter().product());
        let wanted = run(&self.input, dims, &x);
        let found = run(&self.output, dims, &x);
        assert_eq!(wanted.len(), found.len());
        let largest = wanted.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
        let worst = wanted.iter().zip(&found).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(largest > 0.0, "a model of zeros proves nothing");
        assert!(worst <= largest * 0.05, "off by {worst} of {largest}");
    }

    pub fn output_model(&self) -> OnnxModel {
        OnnxModel::open(&self.output).unwrap()
    }

    pub fn files(&self) -> Vec<String> {
        let entries = self.folder.path().read_dir().unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

/// Options that keep a bigger result, since test models are small.
pub fn options(granularity: Granularity) -> Options {
    let method = Method::Dynamic { granularity, reduce_range: true };
    Options { method, allow_bigger: true, ..Options::default() }
}

/// The first output of a model for its first input.
pub fn run(path: &Path, dims: &[usize], x: &[f32]) -> Vec<f32> {
    let model = Model::load_file(path).unwrap();
    let x: ValueOrView = Tensor::from_data(dims, x.to_vec()).into();
    let outputs = model.run(vec![(model.input_ids()[0], x)], &model.output_ids()[..1], None).unwrap();
    let y: Tensor<f32> = outputs.into_iter().next().unwrap().try_into().unwrap();
    y.to_vec()
}

/// How often an operator occurs in a model.
pub fn count(model: &OnnxModel, op: &str) -> u64 {
    model.facts().operators.get(op).copied().unwrap_or_default()
}

/// An initializer by name.
pub fn tensor<'a>(model: &'a OnnxModel, name: &str) -> Option<&'a TensorProto> {
    model.graph().initializer.iter().find(|tensor| tensor.name() == name)
}

/// The bytes of an initializer, wherever they lie.
pub fn tensor_bytes(model: &OnnxModel, name: &str) -> Vec<u8> {
    let payload = model.payload(tensor(model, name).unwrap()).unwrap();
    let mut bytes = vec![0; usize::try_from(payload.len()).unwrap()];
    payload.open().unwrap().read_at(&mut bytes, 0).unwrap();
    bytes
}
