//! Rules by name: each has to name something that is there; and what the output says of them.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests, helpers included")]

mod common;

use common::{Case, layer, noise, options};
use slipway_model::onnx::build::ModelBuilder;
use slipway_optimizer::stage::quantize::{Engine, Fit, Granularity, Method, Options, QuantizeError, Rule};

/// Two layers, the second of which stays as it is for its few values.
fn model() -> ModelBuilder {
    layer().floats("small.weight", &[16, 2], &noise(2, 32)).node("MatMul", &["y", "small.weight"], &["z"])
}

fn keeping(rule: &str) -> Options {
    let rules = vec![Rule { matches: rule.to_owned(), keep_float: true }];
    Options { rules, ..options(Granularity::PerChannel) }
}

#[test]
fn a_rule_that_names_nothing_is_an_error_with_what_is_near() {
    let case = Case::new(&model());
    for (rule, near) in [
        ("small.wieght", &["small.weight"][..]),
        ("node_Y", &["node_y", "node_z"]),
        ("NODE_*", &[]),
        ("x", &[]),
        ("", &[]),
    ] {
        let error = case.quantize(&keeping(rule)).unwrap_err();
        let QuantizeError::NoMatch { rule: named, near: found } = &error else { panic!("{rule}: {error}") };
        assert_eq!(
            (named.as_str(), found.as_slice()),
            (rule, &near.iter().map(ToString::to_string).collect::<Vec<_>>()[..])
        );
        assert!(error.to_string().contains(&format!("rule {rule:?} matches no")), "{error}");
        assert!(!error.is_retryable());
    }
    assert_eq!(case.files(), ["input.onnx"]);
    let error = case.quantize(&keeping("small.wieght")).unwrap_err().to_string();
    assert!(error.ends_with("; near it are \"small.weight\""), "{error}");
}

#[test]
fn a_rule_may_name_what_would_have_stayed_anyway() {
    let case = Case::new(&model());
    for rule in ["small.weight", "node_z", "small.*"] {
        assert_eq!(case.quantize(&keeping(rule)).unwrap().tensors.len(), 1, "{rule}");
    }
    let half =
        Options { method: Method::Eight { granularity: Granularity::PerChannel }, ..keeping("node_z") };
    assert_eq!(case.quantize(&half).unwrap().tensors.len(), 1);
}

#[test]
fn a_rule_may_name_a_constant_on_its_way_to_an_operator() {
    let model = layer().floats("v", &[16, 16], &noise(3, 256)).node("Identity", &["v"], &["copy"]).node(
        "MatMul",
        &["y", "copy"],
        &["z"],
    );
    let report = Case::new(&model).quantize(&keeping("copy")).unwrap();
    assert_eq!(report.tensors.iter().map(|tensor| tensor.name.as_str()).collect::<Vec<_>>(), ["w"]);
}

#[test]
fn the_output_says_what_it_was_made_of_and_how() {
    let case = Case::new(&model());
    let engine = Engine::OnnxRuntime;
    case.quantize(&Options { engine, least_elements: 100, ..keeping("node_z") }).unwrap();
    let output = case.output_model();
    let said = |key: &str| {
        let found = output.proto().metadata_props.iter().find(|entry| entry.key() == key);
        found.unwrap().value().to_owned()
    };
    let input = std::fs::read(&case.input).unwrap();
    assert_eq!(said("slipway.source"), slipway_artifacts::Digest::of(&input).to_string());
    let how: serde_json::Value = serde_json::from_str(&said("slipway.quantize")).unwrap();
    assert_eq!(
        how,
        serde_json::json!({
            "method": { "dynamic": { "granularity": "perChannel", "reduceRange": true } },
            "engine": "onnxRuntime",
            "leastElements": 100,
            "rules": [{ "match": "node_z", "keepFloat": true }],
        })
    );
}

#[test]
fn a_block_is_a_power_of_two_from_16_to_256() {
    let case = Case::new(&model());
    let four = |block| Method::Four { block, zero_points: false, fit: Fit::Nearest };
    let eight = |block| Method::EightInBlocks { block, fit: Fit::Nearest };
    let of = |method| case.quantize(&Options { method, ..options(Granularity::PerChannel) });
    for block in [0, 8, 24, 512, 1 << 31] {
        for method in [four(block), eight(block)] {
            let error = of(method).unwrap_err().to_string();
            assert!(
                error.contains(&format!("a block of {block}")) && error.contains("from 16 to 256"),
                "{error}"
            );
        }
    }
    for block in [16, 256] {
        of(four(block)).unwrap();
        of(eight(block)).unwrap();
    }
}

#[test]
fn blocks_of_eight_bits_take_the_fits_of_scales_alone() {
    let case = Case::new(&model());
    for fit in [Fit::HalfQuadratic, Fit::Gptq] {
        let method = Method::EightInBlocks { block: 16, fit };
        let error = case.quantize(&Options { method, ..options(Granularity::PerChannel) }).unwrap_err();
        assert!(error.to_string().contains("Nearest or LeastSquares"), "{error}");
    }
    assert_eq!(case.files(), ["input.onnx"]);
}
