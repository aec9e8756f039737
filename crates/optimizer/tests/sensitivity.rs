//! Which operators stay float so that a budget is kept.
#![allow(
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    clippy::cast_possible_wrap,
    reason = "these are tests, helpers included"
)]

mod common;

use std::cell::Cell;

use common::{Case, noise, run};
use slipway_model::onnx::build::{ModelBuilder, int};
use slipway_optimizer::progress::{Progress, Silent};
use slipway_optimizer::sensitivity::{
    Deviation, Measure, Sensitivity, SensitivityError, SensitivityOptions, sensitivity,
};
use slipway_optimizer::stage::quantize::{Granularity, Method, Options, Rule, quantize};
use slipway_server::{Tensor, TensorData};

const WIDTH: usize = 64;
const LAYERS: usize = 5;

/// A chain of named layers, of which some have a weight in each channel that takes the whole range for itself.
fn model(hurt: &[usize], last: &str) -> ModelBuilder {
    let dims = [WIDTH as i64, WIDTH as i64];
    let mut model = ModelBuilder::new().input("x", &[-1, WIDTH as i64]).output("y", &[-1, WIDTH as i64]);
    for layer in 0..LAYERS {
        let mut values: Vec<f32> =
            noise(layer as u64, WIDTH * WIDTH).iter().map(|value| value / 5.0).collect();
        if hurt.contains(&layer) {
            // No input of this row is ever there.
            values[..WIDTH].fill(60.0);
        }
        let name = |part: &str, layer: usize| format!("{part}{layer}");
        let dead = mask();
        model = model
            .floats(&name("w", layer), &dims, &values)
            .floats(&name("mask", layer), &[WIDTH as i64], &dead)
            .node("Mul", &[&name("v", layer), &name("mask", layer)], &[&name("alive", layer)])
            .node("MatMul", &[&name("alive", layer), &name("w", layer)], &[&name("v", layer + 1)]);
    }
    let first = model.graph();
    "x".clone_into(&mut first.node[0].input[0]);
    for (index, node) in first.node.iter_mut().enumerate() {
        node.name = Some(format!("/layer.{}/{}", index / 2, node.op_type()));
    }
    let from = format!("v{LAYERS}");
    match last {
        "Softmax" => model.node_with(last, &[&from], &["y"], vec![int("axis", -1)]),
        _ => model.node(last, &[&from], &["y"]),
    }
}

fn mask() -> Vec<f32> {
    (0..WIDTH).map(|input| if input == 0 { 0.0 } else { 1.0 }).collect()
}

fn samples() -> Vec<Vec<Tensor>> {
    let sample = |seed| vec![Tensor::new(vec![1, WIDTH], TensorData::Fp32(noise(seed, WIDTH))).unwrap()];
    (0..40).map(sample).collect()
}

fn options(budget: f64) -> SensitivityOptions {
    let method = Method::Dynamic { granularity: Granularity::PerChannel, reduce_range: true };
    SensitivityOptions::new(Options { method, ..Options::default() }, budget)
}

fn studied(case: &Case, options: &SensitivityOptions) -> Sensitivity {
    sensitivity(&case.input, &samples(), options, &Silent).unwrap()
}

fn names(rules: &[Rule]) -> Vec<&str> {
    assert!(rules.iter().all(|rule| rule.keep_float));
    rules.iter().map(|rule| rule.matches.as_str()).collect()
}

/// The relative error of a quantized file, measured by other means.
fn error(case: &Case) -> f64 {
    let (mut distance, mut size) = (0.0, 0.0);
    for seed in 0..40 {
        let x = noise(seed, WIDTH);
        let [wanted, found] = [&case.input, &case.output].map(|path| run(path, &[1, WIDTH], &x));
        distance += wanted.iter().zip(&found).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>();
        size += wanted.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>();
    }
    (distance / size).sqrt()
}

#[test]
fn what_suffers_most_is_found_and_the_rules_keep_the_budget() {
    let case = Case::new(&model(&[1, 3], "Tanh"));
    let budget = 0.1;
    let study = studied(&case, &options(budget));
    assert_eq!((study.measure, study.output.as_str(), study.samples), (Measure::RelativeError, "y", 40));
    assert_eq!(study.operators.len(), LAYERS);
    let mut worst: Vec<_> = study.operators[..2].iter().map(|harm| harm.node.as_str()).collect();
    worst.sort_unstable();
    assert_eq!(worst, ["/layer.1/MatMul", "/layer.3/MatMul"]);
    assert!(study.operators.is_sorted_by_key(|harm| -harm.alone.value().unwrap()));
    assert!(study.whole.value().unwrap() > budget, "{study:?}");

    let kept = study.kept.unwrap();
    let mut rules = names(&kept.rules);
    rules.sort_unstable();
    assert_eq!(rules, worst);
    let quantized = Options { rules: kept.rules.clone(), ..options(budget).quantize };
    let report = quantize(&case.input, &case.output, &quantized, &Silent).unwrap();
    assert_eq!((report.tensors.len(), report.size_after), (LAYERS - 2, kept.size));
    let error = error(&case);
    assert!(error <= budget && (error - kept.measured).abs() < 1e-5, "{error} {}", kept.measured);
}

#[test]
fn a_budget_that_holds_at_once_keeps_nothing_float() {
    let case = Case::new(&model(&[], "Tanh"));
    let study = studied(&case, &options(0.5));
    let kept = study.kept.unwrap();
    assert_eq!((kept.rules.len(), kept.measured.to_bits()), (0, study.whole.value().unwrap().to_bits()));
}

#[test]
fn rules_that_were_given_stay_and_their_operators_are_not_asked() {
    let case = Case::new(&model(&[1, 3], "Tanh"));
    let mut given = options(0.1);
    given.quantize.rules = vec![Rule::keep_float("/layer.3/*")];
    let study = studied(&case, &given);
    assert_eq!(study.operators.len(), LAYERS - 1);
    assert_eq!(names(&study.kept.unwrap().rules), ["/layer.1/MatMul", "/layer.3/*"]);
}

#[test]
fn probabilities_are_decisions() {
    let case = Case::new(&model(&[1, 3], "Softmax"));
    let study = studied(&case, &options(0.05));
    assert_eq!((study.measure, study.decisions), (Measure::Disagreement, 40));
    assert!(study.whole.value().unwrap() > 0.05 && study.kept.unwrap().measured <= 0.05);
    let chosen = SensitivityOptions { measure: Some(Measure::RelativeError), ..options(0.05) };
    assert_eq!(studied(&case, &chosen).measure, Measure::RelativeError);
}

#[test]
fn where_no_set_keeps_the_budget_the_ranking_is_still_told() {
    let case = Case::new(&model(&[1], "Tanh"));
    let study = studied(&case, &options(1e-9));
    assert_eq!((study.operators.len(), study.kept), (LAYERS, None));
    let one = SensitivityOptions { most_kept: 1, ..options(0.02) };
    let case = Case::new(&model(&[1, 3], "Tanh"));
    assert_eq!(studied(&case, &one).kept, None, "two would be needed");
}

#[test]
fn what_cannot_be_compared_is_named() {
    let case = Case::new(&model(&[], "Tanh"));
    let fails = |options: &SensitivityOptions, words: &str| {
        let error = sensitivity(&case.input, &samples(), options, &Silent).unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
        error
    };
    fails(&SensitivityOptions { output: Some("z".to_owned()), ..options(0.1) }, "no output \"z\"; it has y");
    let mut kept = options(0.1);
    kept.quantize.rules = vec![Rule::keep_float("*")];
    assert!(matches!(fails(&kept, "a rule keeps it"), SensitivityError::Quantize(_)));
    let wrong = vec![vec![Tensor::new(vec![1, 3], TensorData::Fp32(vec![0.0; 3])).unwrap()]];
    let error = sensitivity(&case.input, &wrong, &options(0.1), &Silent).unwrap_err();
    assert!(matches!(error, SensitivityError::Run { sample: 0, .. }), "{error}");
}

/// A model that divides by a sum which quantization turns to zero.
#[test]
fn answers_that_cannot_be_compared_are_said_to_be_and_come_back_from_the_text() {
    let mut weights = noise(1, WIDTH * WIDTH);
    weights.iter_mut().step_by(WIDTH).for_each(|value| *value *= 1e-6);
    let model = ModelBuilder::new()
        .input("x", &[-1, WIDTH as i64])
        .output("y", &[-1, WIDTH as i64])
        .floats("w", &[WIDTH as i64, WIDTH as i64], &weights)
        .floats("v", &[WIDTH as i64, WIDTH as i64], &noise(2, WIDTH * WIDTH))
        .node("MatMul", &["x", "w"], &["m"])
        .node("Reciprocal", &["m"], &["r"])
        .node("Tanh", &["x"], &["t"])
        .node("MatMul", &["t", "v"], &["n"])
        .node("Add", &["r", "n"], &["y"]);
    let case = Case::new(&model);
    let method = Method::Dynamic { granularity: Granularity::PerTensor, reduce_range: true };
    let study = studied(&case, &SensitivityOptions::new(Options { method, ..Options::default() }, 0.5));
    let unknown = Deviation::Unknown { reason: "an answer is NaN or infinite for sample 0".to_owned() };
    assert_eq!((&study.whole, &study.operators[0].alone), (&unknown, &unknown));
    assert!(study.operators[1].alone.value().is_some(), "{study:?}");
    let text = serde_json::to_string(&study).unwrap();
    let again: Sensitivity = serde_json::from_str(&text).unwrap();
    assert_eq!((again.whole, again.operators.len()), (study.whole, study.operators.len()));
}

/// Keeps the worst operators float, whose model is exactly as large as with floats: a rule says nothing, at length.
#[test]
fn a_set_that_gains_no_byte_is_none() {
    let case = Case::new(&model(&[1, 3], "Tanh"));
    let longer = |stars: usize, allow_bigger: bool| {
        let mut options = options(0.1);
        let matches = format!("{}/layer.0/Mul", "*".repeat(stars));
        options.quantize.rules = vec![Rule { matches, keep_float: true }];
        options.quantize.allow_bigger = allow_bigger;
        studied(&case, &options)
    };
    let mut stars = 1;
    loop {
        let study = longer(stars, true);
        let size = study.kept.unwrap().size;
        if size == study.size_before {
            break;
        }
        stars = (stars + usize::try_from(study.size_before).unwrap()) - usize::try_from(size).unwrap();
    }
    assert_eq!(longer(stars, false).kept, None);
    assert!(longer(stars - 1, false).kept.is_some());
}

#[test]
fn a_budget_that_is_no_number_is_refused() {
    let case = Case::new(&model(&[], "Tanh"));
    let error = sensitivity(&case.input, &samples(), &options(f64::INFINITY), &Silent).unwrap_err();
    assert!(error.to_string().contains("the budget is inf"), "{error}");
}

#[test]
fn without_samples_nothing_is_measured() {
    let case = Case::new(&model(&[1], "Tanh"));
    let fails = |samples: &Vec<Vec<Tensor>>, options: &SensitivityOptions| {
        let error = sensitivity(&case.input, samples, options, &Silent).unwrap_err();
        assert!(error.to_string().contains("no samples"), "{error}");
    };
    fails(&vec![], &options(0.1));
    fails(&samples(), &SensitivityOptions { samples: 0, ..options(0.1) });
}

#[test]
fn progress_reaches_what_it_announces_when_nothing_is_searched_for() {
    struct Count(Cell<u64>, Cell<u64>);
    impl Progress for Count {
        fn total(&self, units: u64) {
            self.0.set(self.0.get().max(units));
        }
        fn advance(&self, units: u64) {
            self.1.set(self.1.get() + units);
        }
        fn message(&self, _what: &str) {}
    }
    let case = Case::new(&model(&[], "Tanh"));
    let count = Count(Cell::new(0), Cell::new(0));
    sensitivity(&case.input, &samples(), &options(0.5), &count).unwrap();
    assert_eq!((count.0.get(), count.1.get()), ((LAYERS as u64 + 2) * 40, (LAYERS as u64 + 2) * 40));
}
