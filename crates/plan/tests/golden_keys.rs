//! Keys that must never move: a moved key recomputes every user's stages or restarts every pod.

mod world;

use serde_json::json;
use slipway_api::{Backend, job::StageData};
use slipway_plan::key;
use world::{World, digest, spec};

#[test]
fn golden_keys_have_not_moved() {
    let spec = World::new(spec()).observed.deployment.spec;
    let gate = spec.gate.as_ref().unwrap();
    let fixed = fixed(&json!({ "data": "holdout" }));
    let inputs = key::GateInputs { candidate: &digest("c"), baseline: &digest("b"), data: &digest("d") };
    let four = weight_only(&json!({ "weights": "int4", "fit": "Gptq", "data": "holdout" }));
    let corrected = json!({ "dynamic": {}, "biasCorrection": { "data": "holdout" } });
    let corrected = serde_json::from_value(json!({ "name": "int8", "quantize": corrected })).unwrap();
    let smooth = serde_json::from_value(json!({ "name": "even", "smooth": { "data": "holdout" } })).unwrap();
    let seen = StageData { data: spec.data[0].clone(), digest: digest("d") };
    let keys = json!({
        "source": key::source(&spec.model.source, spec.model.format, Backend::Rten),
        "data": key::data(&spec.data[0]),
        "stage": key::stage(&spec.stages[0], &digest("a"), None, None, Backend::Rten),
        "stage of weights alone":
            key::stage(&weight_only(&json!({ "weights": "int4", "block": 64 })), &digest("a"), None, None, Backend::Rten),
        "stage of four bits": key::stage(&weight_only(&json!({ "weights": "int4" })), &digest("a"), None, None, Backend::Rten),
        "stage of eight bits": key::stage(&weight_only(&json!({})), &digest("a"), None, None, Backend::Rten),
        "calibration": key::calibration(fixed.calibrates().unwrap(), &spec.data[0], &digest("a"), &digest("d"), Backend::Rten),
        "stage with a calibration": key::stage(&fixed, &digest("a"), Some(&digest("e")), None, Backend::Rten),
        "calibration in ONNX Runtime": key::calibration(
            fixed.calibrates().unwrap(), &spec.data[0], &digest("a"), &digest("d"), Backend::Onnxruntime
        ),
        "stage for ONNX Runtime": key::stage(&spec.stages[0], &digest("a"), None, None, Backend::Onnxruntime),
        "stage that looks at data": key::stage(&four, &digest("a"), None, Some(&seen), Backend::Rten),
        "stage that corrects biases": key::stage(&corrected, &digest("a"), None, Some(&seen), Backend::Rten),
        "stage that smooths": key::stage(&smooth, &digest("a"), None, Some(&seen), Backend::Rten),
        "stage that simplifies": key::stage(&simplify(&json!({})), &digest("a"), None, None, Backend::Rten),
        "stage that fixes dimensions": key::stage(&simplify(&json!({ "dims": { "batch": 1 } })), &digest("a"), None, None, Backend::Rten),
        "gate": key::gate(gate, &spec.data[0], &spec.serving, inputs),
        "revision": key::revision("net", &digest("a"), &spec.serving),
    });
    insta::assert_yaml_snapshot!(keys);
}

#[test]
fn an_engine_is_part_of_the_keys_whose_output_it_changes() {
    let spec = World::new(spec()).observed.deployment.spec;
    let fixed = fixed(&json!({ "data": "holdout" }));
    let clean = simplify(&json!({}));
    let keys = |backend| {
        [
            key::source(&spec.model.source, None, backend),
            key::stage(&clean, "sha256:a", None, None, backend),
            key::stage(&spec.stages[0], "sha256:a", None, None, backend),
            key::calibration(fixed.calibrates().unwrap(), &spec.data[0], "sha256:a", "sha256:d", backend),
        ]
    };
    let moved = |from, to| {
        let (from, to) = (keys(from), keys(to));
        std::array::from_fn::<_, 4, _>(|index| from[index] != to[index])
    };
    assert_eq!(
        moved(Backend::Rten, Backend::Auto),
        [true, false, false, true],
        "operators and what runs on data, not forms"
    );
    assert_eq!(
        moved(Backend::Auto, Backend::Onnxruntime),
        [false, false, true, true],
        "forms, not operators"
    );
}

#[test]
fn lengths_are_part_of_the_keys_of_what_runs_on_data() {
    let spec = World::new(spec()).observed.deployment.spec;
    let gate = spec.gate.as_ref().unwrap();
    let fixed = fixed(&json!({ "data": "holdout" }));
    let inputs = key::GateInputs { candidate: "sha256:c", baseline: "sha256:b", data: "sha256:d" };
    let keys = |data: &slipway_api::DataSet| {
        let seen = StageData { data: data.clone(), digest: digest("d") };
        [
            key::data(data),
            key::calibration(fixed.calibrates().unwrap(), data, "sha256:a", "sha256:d", Backend::Rten),
            key::stage(&spec.stages[0], "sha256:a", None, Some(&seen), Backend::Rten),
            key::gate(gate, data, &spec.serving, inputs),
        ]
    };
    let mut cut = spec.data[0].clone();
    cut.lengths.insert("pixels".into(), "n".into());
    let (whole, cut) = (keys(&spec.data[0]), keys(&cut));
    let moved: [bool; 4] = std::array::from_fn(|index| whole[index] != cut[index]);
    assert_eq!(moved, [false, true, true, true], "the data itself stays");
}

#[test]
fn resources_are_part_of_a_gate_that_judges_latency_alone() {
    let mut spec = World::new(spec()).observed.deployment.spec;
    let mut gate = spec.gate.take().unwrap();
    let inputs = key::GateInputs { candidate: "sha256:c", baseline: "sha256:b", data: "sha256:d" };
    let moved = |gate: &slipway_api::Gate| {
        let key = |serving: &slipway_api::Serving| key::gate(gate, &spec.data[0], serving, inputs);
        let mut small = spec.serving.clone();
        small.resources = serde_json::from_value(json!({ "limits": { "cpu": "200m" } })).unwrap();
        key(&spec.serving) != key(&small)
    };
    assert!(!moved(&gate), "answers do not depend on them");
    gate.checks.push(serde_json::from_value(json!({ "name": "fast", "latency": {} })).unwrap());
    assert!(moved(&gate));
}

fn weight_only(method: &serde_json::Value) -> slipway_api::Stage {
    serde_json::from_value(json!({ "name": "small", "quantize": { "weightOnly": method } }))
        .expect("a stage of the API")
}

fn simplify(options: &serde_json::Value) -> slipway_api::Stage {
    serde_json::from_value(json!({ "name": "clean", "simplify": options })).expect("a stage of the API")
}

fn fixed(method: &serde_json::Value) -> slipway_api::Stage {
    serde_json::from_value(json!({ "name": "fixed", "quantize": { "static": method } }))
        .expect("a stage of the API")
}

#[test]
fn a_calibration_is_told_apart_by_what_decides_its_ranges_and_a_stage_by_the_rest() {
    let data = World::new(spec()).observed.deployment.spec.data[0].clone();
    let plain = fixed(&json!({ "data": "holdout" }));
    let calibration = |method| {
        key::calibration(fixed(&method).calibrates().unwrap(), &data, "sha256:a", "sha256:d", Backend::Rten)
    };
    let base = calibration(json!({ "data": "holdout" }));
    for same in
        [json!({ "data": "other" }), json!({ "data": "holdout", "granularity": "perTensor", "samples": 128 })]
    {
        assert_eq!(calibration(same.clone()), base, "{same}");
    }
    for other in [json!({ "data": "holdout", "samples": 5 }), json!({ "data": "holdout", "range": "MinMax" })]
    {
        assert_ne!(calibration(other.clone()), base, "{other}");
    }
    let mut bound = data.clone();
    bound.inputs.insert("pixels".into(), "others".into());
    let spec = plain.calibrates().unwrap();
    assert_ne!(key::calibration(spec, &bound, "sha256:a", "sha256:d", Backend::Rten), base);
    assert_ne!(key::calibration(spec, &data, "sha256:b", "sha256:d", Backend::Rten), base);
    assert_ne!(key::calibration(spec, &data, "sha256:a", "sha256:e", Backend::Rten), base);

    let stage =
        |method, calibration| key::stage(&fixed(&method), "sha256:a", Some(calibration), None, Backend::Rten);
    let base = stage(json!({ "data": "holdout" }), "sha256:c");
    assert_eq!(stage(json!({ "data": "other", "samples": 5, "range": "Mse" }), "sha256:c"), base);
    assert_ne!(stage(json!({ "data": "holdout", "granularity": "perTensor" }), "sha256:c"), base);
    assert_ne!(stage(json!({ "data": "holdout" }), "sha256:b"), base);
}

#[test]
fn names_credentials_and_replicas_are_not_part_of_a_key() {
    let spec = World::new(spec()).observed.deployment.spec;
    let mut renamed = spec.stages[0].clone();
    renamed.name = "other".into();
    assert_eq!(
        key::stage(&renamed, "sha256:a", None, None, Backend::Rten),
        key::stage(&spec.stages[0], "sha256:a", None, None, Backend::Rten)
    );
    let mut secret = spec.model.source.clone();
    secret.credentials_secret_ref = Some(slipway_api::LocalReference { name: "secret".into() });
    assert_eq!(
        key::source(&secret, None, Backend::Rten),
        key::source(&spec.model.source, None, Backend::Rten)
    );
    let mut scaled = spec.serving.clone();
    scaled.replicas = 9;
    assert_eq!(key::revision("net", "sha256:a", &scaled), key::revision("net", "sha256:a", &spec.serving));
}

#[test]
fn what_decides_the_bytes_is_part_of_a_key() {
    let spec = World::new(spec()).observed.deployment.spec;
    assert_ne!(
        key::source(&spec.model.source, None, Backend::Auto),
        key::source(&spec.model.source, None, Backend::Rten)
    );
    assert_ne!(
        key::stage(&spec.stages[0], "sha256:a", None, None, Backend::Rten),
        key::stage(&spec.stages[0], "sha256:b", None, None, Backend::Rten)
    );
    let per_tensor = serde_json::from_value(
        json!({ "name": "small", "quantize": { "dynamic": { "granularity": "perTensor" } } }),
    )
    .unwrap();
    assert_ne!(
        key::stage(&spec.stages[0], "sha256:a", None, None, Backend::Rten),
        key::stage(&per_tensor, "sha256:a", None, None, Backend::Rten)
    );
    let spelled_out = serde_json::from_value(json!({
        "name": "small", "quantize": { "dynamic": { "weights": "int8", "granularity": "perChannel" } },
    }))
    .unwrap();
    assert_eq!(
        key::stage(&spec.stages[0], "sha256:a", None, None, Backend::Rten),
        key::stage(&spelled_out, "sha256:a", None, None, Backend::Rten)
    );
    let clean = |options| key::stage(&simplify(&options), "sha256:a", None, None, Backend::Rten);
    assert_eq!(clean(json!({})), clean(json!({ "dims": {}, "allowUnchanged": false })));
    assert_ne!(clean(json!({})), clean(json!({ "dims": { "batch": 1 } })));
    let four = |method| key::stage(&weight_only(&method), "sha256:a", None, None, Backend::Rten);
    assert_eq!(
        four(json!({ "weights": "int4" })),
        four(json!({ "weights": "int4", "block": 32, "fit": "LeastSquares" }))
    );
    assert_ne!(four(json!({ "weights": "int4" })), four(json!({ "weights": "int4", "block": 64 })));
    let eight = |block| four(json!({ "weights": "int8", "block": block }));
    assert_ne!(eight(32), four(json!({})), "a scale a block is not a scale a channel");
    assert_ne!(eight(32), eight(64));
}
