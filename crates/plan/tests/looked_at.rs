//! Stages that run the model on data themselves.

mod world;

use serde_json::{Value, json};
use slipway_api::{Backend, job::StageData, status::StageState};
use slipway_plan::key;
use world::{World, digest, spec, with};

/// A spec with one stage, and a data set of its own.
fn looking(stage: &Value) -> Value {
    let mut spec = with(spec(), "/stages/0", stage.clone());
    let usual = json!({ "name": "usual", "source": { "uri": "configmap://net-usual", "file": "usual.npz" } });
    spec["data"].as_array_mut().expect("a list").push(usual);
    spec
}

fn smooth(data: &str) -> Value {
    json!({ "name": "small", "smooth": { "data": data } })
}

fn four(data: &str, samples: i32) -> Value {
    let method = json!({ "weights": "int4", "fit": "Gptq", "data": data, "samples": samples });
    json!({ "name": "small", "quantize": { "weightOnly": method } })
}

fn corrected(data: &str, samples: i32) -> Value {
    let correction = json!({ "data": data, "samples": samples });
    json!({ "name": "small", "quantize": { "dynamic": {}, "biasCorrection": correction } })
}

fn steps(world: &World) -> Vec<&str> {
    world.observed.deployment.status.stages.iter().map(|stage| stage.name.as_str()).collect()
}

#[test]
fn a_stage_waits_for_the_data_that_it_looks_at() {
    for stage in [smooth("usual"), four("usual", 64), corrected("usual", 64)] {
        let mut world = World::new(looking(&stage));
        world.step();
        assert_eq!(steps(&world), ["source", "data-usual", "small", "data-unseen", "gate"]);
        assert_eq!(world.started.len(), 3, "model and both data sets at once: {:?}", world.started);
        world.settle();
        assert_eq!(world.condition("Ready").0, "True");
        let stages = &world.observed.deployment.status.stages;
        assert!(stages.iter().all(|stage| stage.state == StageState::Succeeded));
    }
}

#[test]
fn a_data_set_that_is_missing_or_the_gates_is_named() {
    let refused = looking(&smooth("unseen"));
    let mut world = World::new(refused);
    world.settle();
    let message = world.condition("Accepted").2;
    assert!(message.contains("stage small: smooth.data is unseen, and gate.data is unseen"), "{message}");
    for (stage, field) in [
        (smooth("absent"), "smooth.data"),
        (four("absent", 64), "quantize.weightOnly.data"),
        (corrected("absent", 64), "quantize.biasCorrection.data"),
    ] {
        let mut world = World::new(looking(&stage));
        world.settle();
        let (state, reason, message) = world.condition("Accepted");
        assert_eq!((state.as_str(), reason.as_str()), ("False", "InvalidSpec"));
        assert!(message.contains(&format!("stage small: {field} is absent")), "{message}");
    }
}

#[test]
fn data_and_samples_decide_the_bytes_and_the_name_of_the_data_does_not() {
    let data = World::new(spec()).observed.deployment.spec.data[0].clone();
    let seen = |digest: String| StageData { data: data.clone(), digest };
    let of = |stage: &Value, seen: &StageData| {
        let stage = serde_json::from_value(stage.clone()).expect("a stage of the API");
        key::stage(&stage, &digest("a"), None, Some(seen), Backend::Rten)
    };
    for stage in [smooth, |name: &str| four(name, 64), |name: &str| corrected(name, 64)] {
        let base = of(&stage("usual"), &seen(digest("d")));
        assert_eq!(of(&stage("other"), &seen(digest("d"))), base);
        assert_ne!(of(&stage("usual"), &seen(digest("e"))), base);
        let mut bound = seen(digest("d"));
        bound.data.inputs.insert("pixels".into(), "others".into());
        assert_ne!(of(&stage("usual"), &bound), base);
    }
    for stage in [four, corrected] {
        assert_ne!(of(&stage("usual", 1), &seen(digest("d"))), of(&stage("usual", 2), &seen(digest("d"))));
    }
}

#[test]
fn a_default_that_is_spelled_out_is_the_same_work() {
    let stage = |smooth: Value| serde_json::from_value(json!({ "name": "even", "smooth": smooth })).unwrap();
    let key = |smooth| key::stage(&stage(smooth), &digest("a"), None, None, Backend::Rten);
    let plain = key(json!({ "data": "usual" }));
    assert_eq!(plain, key(json!({ "data": "usual", "alpha": "0.5", "samples": 128 })));
    assert_ne!(plain, key(json!({ "data": "usual", "alpha": "0.6" })));
}
