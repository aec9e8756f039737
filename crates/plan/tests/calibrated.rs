//! Stages that need data: their data sets and calibrations on the way of an object.

mod world;

use serde_json::{Value, json};
use slipway_api::{
    job::{FailureCategory, JobSpec, Work},
    names,
    status::StageState,
};
use world::{World, final_failure, spec, with};

/// A spec whose stage is calibrated on a data set of its own.
fn calibrated(granularity: &str) -> Value {
    let mut spec = with(
        spec(),
        "/stages/0/quantize",
        json!({ "static": { "data": "usual", "granularity": granularity } }),
    );
    let usual = json!({ "name": "usual", "source": { "uri": "configmap://net-usual", "file": "usual.npz" } });
    spec["data"].as_array_mut().expect("a list").push(usual);
    spec
}

fn steps(world: &World) -> Vec<&str> {
    world.observed.deployment.status.stages.iter().map(|stage| stage.name.as_str()).collect()
}

#[test]
fn a_stage_waits_for_its_calibration_and_that_for_its_data() {
    let mut world = World::new(calibrated("perChannel"));
    world.step();
    assert_eq!(steps(&world), ["source", "data-usual", "calibrate-small", "small", "data-unseen", "gate"]);
    assert_eq!(world.started.len(), 3, "model and both data sets at once: {:?}", world.started);
    world.settle();
    assert_eq!(world.condition("Ready").0, "True");
    assert_eq!(world.started.len(), 6, "{:?}", world.started);
    let stages = &world.observed.deployment.status.stages;
    assert!(stages.iter().all(|stage| stage.state == StageState::Succeeded));
    assert_eq!((stages[1].kind.as_str(), stages[2].kind.as_str()), ("data", "calibration"));
    assert_eq!(stages[2].input_digest, stages[0].output_digest);
}

#[test]
fn the_gates_data_is_no_stages_and_its_job_knows_what_stages_look_at() {
    let shared = with(calibrated("perChannel"), "/stages/0/quantize/static/data", json!("unseen"));
    let mut world = World::new(shared);
    world.settle();
    let (state, reason, message) = world.condition("Accepted");
    assert_eq!((state.as_str(), reason.as_str()), ("False", "InvalidSpec"));
    assert!(message.contains("quantize.static.data is unseen, and gate.data is unseen"), "{message}");
    assert!(world.started.is_empty(), "{:?}", world.started);

    let mut world = World::new(calibrated("perChannel"));
    let gate = (0..60).find_map(|_| {
        let started = world.plan().apply.into_iter().find(|object| object.name.starts_with("net-gate-"));
        world.step();
        started
    });
    let args = gate.expect("it judges").body["spec"]["template"]["spec"]["containers"][0]["args"].clone();
    let spec: JobSpec = serde_json::from_str(args[2].as_str().expect("a step")).expect("a step");
    let Work::Gate(work) = spec.work else { panic!("{spec:?}") };
    let stages = &world.observed.deployment.status.stages;
    let usual = stages.iter().find(|stage| stage.name == "data-usual").expect("it is fetched");
    let digest = usual.output_digest.clone().expect("it has one");
    assert_eq!(work.looked_at, [("usual".to_owned(), digest)].into());
}

#[test]
fn another_granularity_calibrates_nothing_and_tags_go_with_the_last_revision() {
    let mut world = World::new(calibrated("perChannel"));
    world.settle();
    let key = |world: &World, name: &str| {
        let stages = &world.observed.deployment.status.stages;
        stages.iter().find(|stage| stage.name == name).and_then(|stage| stage.key.clone()).unwrap()
    };
    let calibration = key(&world, "calibrate-small");
    world.computed.clear();
    world.write(calibrated("perTensor"));
    world.settle();
    assert_eq!(key(&world, "calibrate-small"), calibration);
    assert_eq!(world.computed, [key(&world, "small"), key(&world, "gate")]);
    for replicas in 0..12 {
        let mut plain = with(spec(), "/serving/replicas", json!(2));
        plain["serving"]["modelName"] = json!(format!("net{replicas}"));
        world.write(plain);
        world.settle();
    }
    assert!(world.untagged.contains(&names::work_tag(&calibration)), "{:?}", world.untagged);
}

#[test]
fn data_or_ranges_that_fail_are_the_stages_trouble() {
    for step in ["data-usual", "calibrate-small"] {
        let mut world = World::new(calibrated("perChannel"));
        world.failing.push((step.into(), final_failure(FailureCategory::InvalidData, "it has a NaN")));
        world.settle();
        let (state, reason, message) = world.condition("Optimized");
        assert_eq!((state.as_str(), reason.as_str()), ("False", "InvalidData"), "{step}");
        assert!(message.contains(step) && message.contains("it has a NaN"), "{message}");
    }
}

#[test]
fn the_gates_data_is_the_gates_trouble() {
    let mut world = World::new(calibrated("perChannel"));
    world.failing.push(("data-unseen".into(), final_failure(FailureCategory::InvalidData, "it has a NaN")));
    world.settle();
    assert_eq!(world.condition("Optimized").0, "True");
    assert_eq!(
        (world.condition("GatePassed").0.as_str(), world.condition("GatePassed").1.as_str()),
        ("False", "InvalidData")
    );
}
