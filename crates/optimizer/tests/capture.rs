//! Values inside a model, seen while it runs.
#![allow(clippy::unwrap_used, clippy::panic, clippy::float_cmp, reason = "these are tests, helpers included")]

mod common;

use std::collections::BTreeMap;

use common::{Case, noise};
use slipway_model::onnx::build::{ModelBuilder, external_tensor};
use slipway_optimizer::calibrate::{Capture, CaptureError, CaptureOptions, Refusal};
use slipway_optimizer::progress::Silent;
use slipway_server::{Tensor, TensorData};

/// Every shown value by name and sample, with its shape.
type Seen = BTreeMap<(String, usize), (Vec<usize>, Vec<f32>)>;

/// An activation that engines fuse, and one behind it.
fn model() -> ModelBuilder {
    ModelBuilder::new()
        .input("x", &[-1, 8])
        .output("y", &[-1, 8])
        .floats("w", &[8, 8], &noise(1, 64))
        .node("MatMul", &["x", "w"], &["m"])
        .node("Sigmoid", &["m"], &["s"])
        .node("Mul", &["m", "s"], &["swish"])
        .node("Relu", &["swish"], &["y"])
}

fn samples() -> Vec<Vec<Tensor>> {
    let sample = |rows: usize| {
        let data = TensorData::Fp32(noise(rows as u64, rows * 8));
        vec![Tensor::new(vec![rows, 8], data).unwrap()]
    };
    [2, 1, 5].map(sample).to_vec()
}

fn seen(case: &Case, names: &[&str], budget: u64) -> Result<Seen, CaptureError> {
    let scratch = tempfile::tempdir().unwrap();
    let options = CaptureOptions { budget, scratch: scratch.path().to_owned(), ..CaptureOptions::default() };
    let names = names.iter().map(ToString::to_string).collect();
    let capture = Capture::open(&case.input, names, &options)?;
    let mut seen = Seen::new();
    capture.run(&samples(), &Silent, &mut |shown| {
        let value = (shown.shape.to_vec(), shown.values.to_vec());
        let again = seen.insert((shown.name.to_owned(), shown.sample), value);
        assert_eq!(again, None, "{} of {} was shown twice", shown.name, shown.sample);
        Ok(())
    })?;
    drop(capture);
    assert_eq!(scratch.path().read_dir().unwrap().count(), 0, "nothing is left behind");
    Ok(seen)
}

fn close(left: &[f32], right: &[f32]) {
    assert_eq!(left.len(), right.len());
    let worst = left.iter().zip(right).map(|(left, right)| (left - right).abs()).fold(0.0, f32::max);
    assert!(worst < 1e-5, "{worst}");
}

#[test]
fn values_are_those_of_the_model_whatever_the_budget() {
    let case = Case::new(&model());
    let names = ["x", "m", "s", "swish", "y"];
    let all = seen(&case, &names, u64::MAX).unwrap();
    assert_eq!(all.len(), names.len() * 3);
    for budget in [0, 100, 64 * 4] {
        assert_eq!(seen(&case, &names, budget).unwrap(), all, "{budget}");
    }
    for (sample, rows) in [2_usize, 1, 5].into_iter().enumerate() {
        let value = |name: &str| &all[&(name.to_owned(), sample)];
        assert_eq!(value("y").0, [rows, 8]);
        // The engine fuses what is not shown, which moves last bits.
        close(&value("y").1, &common::run(&case.input, &[rows, 8], &value("x").1));
        let m = &value("m").1;
        let sigmoid: Vec<f32> = m.iter().map(|m| 1.0 / (1.0 + (-m).exp())).collect();
        close(&value("s").1, &sigmoid);
        close(&value("swish").1, &m.iter().zip(&sigmoid).map(|(m, s)| m * s).collect::<Vec<_>>());
    }
}

/// Whether the two values were shown in one run: then they come sample by sample, else one after the other.
fn shown_together(samples: &Vec<Vec<Tensor>>, budget: u64) -> bool {
    let case = Case::new(&model());
    let options = CaptureOptions { budget, ..CaptureOptions::default() };
    let names = vec!["m".to_owned(), "swish".to_owned()];
    let capture = Capture::open(&case.input, names, &options).unwrap();
    let mut order = Vec::new();
    capture
        .run(samples, &Silent, &mut |shown| {
            order.push((shown.sample, shown.value));
            Ok(())
        })
        .unwrap();
    order.is_sorted()
}

#[test]
fn the_budget_holds_for_the_longest_sample_wherever_it_comes() {
    let sample =
        |rows: usize| vec![Tensor::new(vec![rows, 8], TensorData::Fp32(noise(1, rows * 8))).unwrap()];
    // Two values of 8 floats a row.
    let budget = 2 * 8 * 4 * 4;
    assert!(shown_together(&vec![sample(1), sample(4), sample(2)], budget));
    for samples in [[5, 1, 1], [1, 5, 1], [1, 1, 5]] {
        assert!(!shown_together(&samples.map(sample).to_vec(), budget), "{samples:?}");
    }
}

#[test]
fn weights_beside_the_model_are_found() {
    let mut model = model();
    model.graph().initializer.clear();
    let place = [("location", "elsewhere.bin"), ("offset", "0"), ("length", "256")];
    let case = Case::new(&model.initializer(external_tensor("w", &[8, 8], &place)));
    let bytes: Vec<u8> = noise(1, 64).iter().flat_map(|value| value.to_le_bytes()).collect();
    std::fs::write(case.folder.path().join("elsewhere.bin"), bytes).unwrap();
    let inline = Case::new(&self::model());
    assert_eq!(seen(&case, &["y"], 1 << 20).unwrap(), seen(&inline, &["y"], 1 << 20).unwrap());
}

#[test]
fn what_cannot_be_shown_is_named() {
    let case = Case::new(&model());
    for name in ["w", "absent"] {
        let error = seen(&case, &["m", name], 0).unwrap_err();
        assert!(matches!(&error, CaptureError::NoValue { value } if value == name), "{error}");
        assert!(error.to_string().contains(name), "{error}");
    }
    let integers = model().node("Shape", &["m"], &["dims"]);
    let error = seen(&Case::new(&integers), &["dims"], 0).unwrap_err();
    assert!(error.to_string().contains("\"dims\""), "{error}");
}

#[test]
fn a_sample_that_does_not_fit_and_a_refusal_end_it_with_the_sample() {
    let case = Case::new(&model());
    let capture = Capture::open(&case.input, vec!["m".to_owned()], &CaptureOptions::default()).unwrap();
    let wrong = vec![Tensor::new(vec![1, 7], TensorData::Fp32(vec![0.0; 7])).unwrap()];
    let samples = vec![samples()[0].clone(), wrong];
    let error = capture.run(&samples, &Silent, &mut |_| Ok(())).unwrap_err();
    assert!(matches!(&error, CaptureError::Run { sample: 1, .. }), "{error}");
    let refuse = &mut |_: slipway_optimizer::calibrate::Shown<'_>| Err(Refusal("too red".to_owned()));
    let error = capture.run(&samples, &Silent, refuse).unwrap_err();
    assert_eq!(error.to_string(), "value \"m\" of sample 0: too red");
}
