//! What the engine that serves means for the way of an object.

mod world;

use serde_json::{Value, json};
use slipway_plan::Desired;
use world::{World, spec, with};

/// A spec with a stage's quantization and the engine that serves.
fn served_by(backend: &str, quantize: Value) -> Value {
    let mut spec = with(spec(), "/stages/0/quantize", quantize);
    spec["serving"]["runtime"] = json!({ "slipway": { "backend": backend } });
    spec
}

#[test]
fn a_form_that_the_engine_cannot_load_is_refused_before_any_job() {
    let zero_points = json!({ "weights": "int4", "zeroPoints": true, "fit": "HalfQuadratic" });
    let brain = json!({ "weights": "bfloat16" });
    for (form, field, remedy) in
        [(zero_points, "zeroPoints: true", "leave zeroPoints out"), (brain, "bfloat16", "take float16")]
    {
        let quantize = json!({ "weightOnly": form });
        for backend in ["rten", "auto"] {
            let mut world = World::new(served_by(backend, quantize.clone()));
            world.settle();
            let (state, reason, message) = world.condition("Accepted");
            assert_eq!((state.as_str(), reason.as_str()), ("False", "InvalidSpec"), "{field}, {backend}");
            for words in ["stage small: quantize.weightOnly", field, "(rten)", backend, "onnxruntime", remedy]
            {
                assert!(message.contains(words), "{words}: {message}");
            }
            assert!(world.started.is_empty(), "{:?}", world.started);
        }
        let mut world = World::new(served_by("onnxruntime", quantize));
        world.settle();
        assert_eq!(world.condition("Ready").0, "True", "{field}");
    }
}

#[test]
fn zero_points_of_weights_that_have_no_blocks_are_no_form() {
    let mut world = World::new(served_by("rten", json!({ "weightOnly": { "zeroPoints": true } })));
    world.settle();
    assert_eq!(world.condition("Accepted").0, "True", "an older CRD lets it through, and it changes nothing");
}

#[test]
fn a_named_engine_repeats_what_it_changes_and_fetches_nothing_again() {
    let mut world = World::new(served_by("auto", json!({ "dynamic": {} })));
    world.settle();
    world.computed.clear();
    world.write(served_by("onnxruntime", json!({ "dynamic": {} })));
    world.settle();
    let stages = &world.observed.deployment.status.stages;
    let key = |name| stages.iter().find(|stage| stage.name == name)?.key.clone();
    assert_eq!(world.computed, [key("small").unwrap(), key("gate").unwrap()]);
}

#[test]
fn what_runs_the_model_on_data_has_the_image_with_onnx_runtime_and_other_steps_the_small_one() {
    const LARGE: &str = "registry.test/job-onnxruntime:1";
    let fitted = json!({ "weights": "int4", "fit": "Gptq", "data": "unseen" });
    for (quantize, looks, steps) in [
        (json!({ "static": { "data": "unseen" } }), "calibrate-small", 4),
        (json!({ "weightOnly": fitted }), "small", 3),
    ] {
        for (backend, large) in [("rten", false), ("auto", true), ("onnxruntime", true)] {
            let mut spec = served_by(backend, quantize.clone());
            spec["gate"] = Value::Null;
            let mut world = World::new(spec);
            world.settings.onnxruntime_job_image = Some(LARGE.into());
            let small = world.settings.job_image.clone();
            let mut images = Vec::new();
            while images.len() < steps {
                images.extend(world.plan().apply.iter().filter(|one| one.kind == "Job").map(step_and_image));
                world.step();
            }
            assert!(images.iter().any(|(step, _)| step == looks), "{images:?}");
            for (step, image) in images {
                let wanted = if large && step == looks { LARGE } else { &small };
                assert_eq!(image, wanted, "{step}, {backend}");
            }
        }
    }
}

fn step_and_image(job: &Desired) -> (String, String) {
    let step = &job.body["metadata"]["labels"][slipway_api::names::STAGE_LABEL];
    let image = &job.body["spec"]["template"]["spec"]["containers"][0]["image"];
    (step.as_str().expect("a text").to_owned(), image.as_str().expect("a text").to_owned())
}
