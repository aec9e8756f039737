//! Hard models, quantized in every way and held against everything that others say about them:
//! the ONNX checker, the reference evaluator, ONNX Runtime, and the engine that serves.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests, helpers included")]

mod common;

use std::collections::BTreeSet;
use std::path::Path;

use common::oracle::{answers, feeds, names, python};
use serde::Deserialize;
use slipway_model::npz::{Array, Dtype, NpzFile};
use slipway_optimizer::calibrate::{CalibrateError, CalibrateOptions, Calibration, Calibrator, Range};
use slipway_optimizer::progress::Silent;
use slipway_optimizer::stage::quantize::{Engine, Fit, Granularity, HalfFloat, Method, Options, quantize};

use slipway_server::{DataType, Tensor, TensorData};

/// What has to become of a model; see `oracle/models.py`.
#[derive(Clone, Deserialize)]
struct Facts {
    weights: BTreeSet<String>,
    refused: Option<String>,
    #[serde(default)]
    inner: usize,
    #[serde(default = "yes")]
    rten: bool,
}

fn yes() -> bool {
    true
}

/// Every method, with the engine that it is for.
fn methods() -> Vec<(&'static str, Method, Engine)> {
    let dynamic = |granularity| Method::Dynamic { granularity, reduce_range: true };
    let fixed = |granularity| Method::Static { granularity, reduce_range: true };
    vec![
        ("dynamic-channel", dynamic(Granularity::PerChannel), Engine::Rten),
        ("dynamic-tensor", dynamic(Granularity::PerTensor), Engine::Rten),
        ("dynamic-ort", dynamic(Granularity::PerChannel), Engine::OnnxRuntime),
        ("eight-channel", Method::Eight { granularity: Granularity::PerChannel }, Engine::Rten),
        ("blocks", Method::EightInBlocks { block: 16, fit: Fit::default() }, Engine::Rten),
        ("blocks-ort", Method::EightInBlocks { block: 32, fit: Fit::Nearest }, Engine::OnnxRuntime),
        ("four", Method::Four { block: 16, zero_points: false, fit: Fit::default() }, Engine::Rten),
        ("half", Method::Half { float: HalfFloat::Float16 }, Engine::Rten),
        (
            "four-ort",
            Method::Four { block: 32, zero_points: true, fit: Fit::HalfQuadratic },
            Engine::OnnxRuntime,
        ),
        ("brain-ort", Method::Half { float: HalfFloat::Bfloat16 }, Engine::OnnxRuntime),
        ("static-channel", fixed(Granularity::PerChannel), Engine::Rten),
        ("static-tensor", fixed(Granularity::PerTensor), Engine::Rten),
    ]
}

/// Models whose channels differ so much that one scale for all is no use, whoever does it; the report has to say so.
const ONLY_PER_CHANNEL: [&str; 3] =
    ["depthwise_with_unequal_channels", "three_dimensions", "tables_of_many_kinds"];

/// Why a method refuses a model that others take.
fn refusal(method: &str, name: &str) -> Option<&'static str> {
    match (method, name) {
        ("dynamic-tensor" | "static-tensor", "one_outlier_among_small_weights") => {
            Some("most channels to zero")
        }
        ("half", "tiny_weights_and_a_large_bias") => Some("too small for 16-bit floats"),
        ("brain-ort", "opset_7" | "opset_9_that_cannot_be_raised" | "opset_11_with_all_that_13_changed") => {
            Some("bfloat16 needs opset 13")
        }
        _ => None,
    }
}

/// Models without a multiplication in the main graph that could compute in integers.
const NOTHING_STATIC: [&str; 10] = [
    "a_constant_on_the_left",
    "doubles_stay",
    "gru",
    "half_floats",
    "inside_a_loop",
    "inside_an_if",
    "lstm",
    "tables_of_many_kinds",
    "three_dimensions",
    "transposed_convolution",
];

/// A model that the built-in engine cannot run, and so not calibrate: it says which type it lacks.
const NOT_RUN: &str = "brain_floats_in_storage";

#[test]
fn hard_models_come_out_right() {
    let folder = tempfile::tempdir().unwrap();
    let (models, outputs) = (folder.path().join("models"), folder.path().join("outputs"));
    std::fs::create_dir(&models).unwrap();
    std::fs::create_dir(&outputs).unwrap();
    python("models.py", &[&models]).unwrap();
    let (mut problems, mut for_rten) = (Vec::new(), Vec::new());
    let mut seen = 0;
    for name in names(&models) {
        let facts = std::fs::read(models.join(format!("{name}.json"))).unwrap();
        let facts: Facts = serde_json::from_slice(&facts).unwrap();
        seen += 1;
        for (method, how, engine) in methods() {
            let output = outputs.join(format!("{name}.{method}.onnx"));
            let options = match options(how, engine, &models, &name) {
                Ok(options) => options,
                Err(CalibrateError::NothingToCalibrate) if NOTHING_STATIC.contains(&name.as_str()) => {
                    continue;
                }
                Err(error) if name == NOT_RUN && format!("{error:?}").contains("BFLOAT16") => continue,
                Err(error) => {
                    problems.push(format!("{name} {method}: {error:?}"));
                    continue;
                }
            };
            if how.granularity() == Granularity::PerTensor && ONLY_PER_CHANNEL.contains(&name.as_str()) {
                assert!(tells_of_channels(&models.join(format!("{name}.onnx")), &options), "{name}");
                continue;
            }
            let facts = Facts {
                refused: refusal(method, &name).map(str::to_owned).or(facts.refused.clone()),
                ..facts.clone()
            };
            match one(&models, &name, &options, &facts, &output) {
                Ok(()) if output.exists() && facts.rten && engine == Engine::Rten => {
                    for_rten.push((name.clone(), output));
                }
                Ok(()) => {}
                Err(problem) => problems.push(format!("{name} {method}: {problem}")),
            }
        }
    }
    if let Err(told) = python("check.py", &[&models, &outputs]) {
        problems.extend(told.lines().map(str::to_owned));
    }
    for (name, output) in &for_rten {
        if let Err(problem) = same_in_rten(&models, name, output) {
            problems.push(format!("{}: {problem}", output.display()));
        }
    }
    assert!(for_rten.len() >= 27 * 4, "{} models for the engine that serves", for_rten.len());
    assert!(seen >= 27, "{seen} models");
    assert!(problems.is_empty(), "of {seen} models\n{}", problems.join("\n"));
}

/// Whether channels that became zeros are counted, or the weight that has too many of them stays float.
fn tells_of_channels(input: &Path, options: &Options) -> bool {
    let folder = tempfile::tempdir().unwrap();
    match quantize(input, &folder.path().join("output.onnx"), options, &Silent) {
        Ok(report) => {
            report.tensors.iter().any(|tensor| tensor.lost_channels > 0)
                || report.skipped.iter().any(|skipped| skipped.reason.contains("most channels to zero"))
        }
        Err(error) => error.to_string().contains("most channels to zero"),
    }
}

/// The options of one method, with the calibration where it needs one.
fn options(method: Method, engine: Engine, models: &Path, name: &str) -> Result<Options, CalibrateError> {
    let calibration = match method {
        Method::Static { .. } => {
            let feeds = feeds(&models.join(format!("{name}.npz")));
            Some(calibrated(&models.join(format!("{name}.onnx")), &feeds)?)
        }
        _ => None,
    };
    Ok(Options { method, engine, calibration, allow_bigger: true, ..Options::default() })
}

/// The ranges of a model's activations on its own inputs.
fn calibrated(model: &Path, feeds: &[(String, Array)]) -> Result<Calibration, CalibrateError> {
    let options = CalibrateOptions { range: Range::MinMax, ..CalibrateOptions::default() };
    let calibrator = Calibrator::open(model, &options)?;
    let tensor = |spec: slipway_optimizer::evaluate::TensorSpec| {
        let (_, array) = feeds.iter().find(|(name, _)| *name == spec.name).unwrap();
        tensor_of(array)
    };
    let sample: Vec<Tensor> = calibrator.inputs().into_iter().map(tensor).collect();
    calibrator.run(&vec![sample], "sha256:feeds", &Silent)
}

fn tensor_of(array: &Array) -> Tensor {
    let datatype = match array.dtype() {
        Dtype::Bool => DataType::Bool,
        Dtype::I64 => DataType::Int64,
        Dtype::F16 => DataType::Fp16,
        Dtype::F32 => DataType::Fp32,
        other => panic!("no hard model takes {other}"),
    };
    Tensor::new(array.shape().to_vec(), TensorData::from_le_bytes(datatype, array.bytes()).unwrap()).unwrap()
}

/// Quantizes one model, and looks whether every weight was found.
fn one(models: &Path, name: &str, options: &Options, facts: &Facts, output: &Path) -> Result<(), String> {
    let input = models.join(format!("{name}.onnx"));
    let result = quantize(&input, output, options, &Silent);
    let report = match (result, &facts.refused) {
        (Err(error), Some(words)) if error.to_string().contains(words.as_str()) => return Ok(()),
        (Err(error), _) => return Err(format!("refused: {error}")),
        (Ok(_), Some(words)) => return Err(format!("it should have been refused: {words}")),
        (Ok(report), None) => report,
    };
    let found: BTreeSet<String> = report.tensors.iter().map(|tensor| tensor.name.clone()).collect();
    let missed: Vec<_> = facts.weights.difference(&found).collect();
    if !missed.is_empty() {
        return Err(format!("left as they were: {missed:?}, said {:?}", report.skipped));
    }
    let more = found.difference(&facts.weights).count();
    if more != facts.inner {
        return Err(format!("quantized {found:?}, wanted {:?}", facts.weights));
    }
    Ok(())
}

/// Holds the engine that serves against what the definition of the operators gives with the same file.
fn same_in_rten(models: &Path, name: &str, output: &Path) -> Result<(), String> {
    let feeds = feeds(&models.join(format!("{name}.npz")));
    let found = answers(output, &feeds).map_err(|error| format!("rten: {error}"))?;
    let wanted = expected(&output.with_extension("npz"));
    wanted.iter().zip(&found).try_for_each(|(wanted, found)| close(wanted, found))
}

/// A step of an activation may be rounded the other way, no more.
fn close(wanted: &[f64], found: &[f64]) -> Result<(), String> {
    const LOOSE: f64 = 0.005;
    let largest = wanted.iter().fold(0.0_f64, |largest, value| largest.max(value.abs()));
    let worst = wanted.iter().zip(found).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    if wanted.len() != found.len() || !worst.is_finite() || worst > LOOSE * largest {
        return Err(format!("rten is off the reference by {worst} of {largest}"));
    }
    Ok(())
}

/// The answers that `check.py` left.
fn expected(path: &Path) -> Vec<Vec<f64>> {
    let mut file = NpzFile::open(path).unwrap();
    let outputs = file.names().count();
    let values = |index| {
        let array = file.array(&format!("arr_{index}")).unwrap();
        array.bytes().as_chunks().0.iter().map(|word| f64::from_le_bytes(*word)).collect()
    };
    (0..outputs).map(values).collect()
}
