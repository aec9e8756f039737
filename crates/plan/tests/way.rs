//! One object's way through the plan, told as scenarios on a pure cluster.

mod world;

use serde_json::json;
use slipway_api::{
    names,
    status::{StageState, Status, Verdict},
};
use slipway_plan::{JobState, Outcome, PhaseState, Untag, status};
use world::{World, spec, with, writes};

#[test]
fn a_new_object_becomes_ready_and_then_nothing_is_written() {
    let mut world = World::new(spec());
    world.settle();
    assert_eq!(world.condition("Ready").0, "True");
    assert_eq!(world.observed.workloads.len(), 1);
    assert_eq!(world.observed.workloads[0].desired, 2);
    assert_eq!(world.started.len(), 4, "source, data, stage and gate: {:?}", world.started);
    assert!(world.observed.jobs.is_empty(), "recorded jobs are removed");
    let rest = world.plan();
    assert_eq!(writes(&rest), r#"{"delete":[],"events":[],"scale":[],"untag":"nothing"}"#);
    assert_eq!(status(&world.observed, &rest, &Outcome::default()), world.observed.deployment.status);
}

#[test]
fn a_stage_takes_what_the_one_before_it_gave() {
    let clean = json!({ "name": "clean", "simplify": { "dims": { "batch": 1 } } });
    let small = spec()["stages"][0].clone();
    let mut world = World::new(with(spec(), "/stages", json!([clean, small])));
    world.settle();
    assert_eq!(world.condition("Ready").0, "True");
    assert_eq!(world.started.len(), 5, "source, data, two stages and gate: {:?}", world.started);
    let stages = &world.observed.deployment.status.stages;
    let kinds: Vec<&str> = stages.iter().map(|stage| stage.kind.as_str()).collect();
    assert_eq!(kinds, ["source", "simplify", "quantize", "data", "gate"]);
    assert!(stages[1].output_digest.is_some());
    assert_eq!(stages[2].input_digest, stages[1].output_digest);
}

#[test]
fn an_emptied_status_is_rebuilt_without_a_job_or_a_restart() {
    let mut world = World::new(spec());
    world.settle();
    let before = world.observed.clone();
    world.observed.deployment.status = Status::default();
    world.started.clear();
    world.settle();
    assert!(world.started.is_empty(), "{:?}", world.started);
    assert_eq!(world.observed.workloads, before.workloads);
    let (now, then) = (&world.observed.deployment.status, &before.deployment.status);
    assert_eq!((&now.stages, &now.gate, &now.artifact), (&then.stages, &then.gate, &then.artifact));
}

#[test]
fn a_running_job_survives_an_emptied_status() {
    let mut world = World::new(spec());
    world.step();
    world.jobs_end = false;
    world.step();
    world.step();
    let running = world.job("small").clone();
    assert_eq!(running.state, JobState::Active);
    world.observed.deployment.status = Status::default();
    world.observed.jobs.retain(|job| job.step == "small");
    for _ in 0..5 {
        world.step();
        assert_eq!(world.job("small"), &running, "the key of its step is not known yet");
    }
    world.jobs_end = true;
    world.settle();
    assert_eq!(world.condition("Ready").0, "True");
    assert_eq!(world.abandoned, Vec::<String>::new());
    assert_eq!(world.started.iter().filter(|job| job.contains("small")).count(), 1);
}

#[test]
fn a_running_job_of_another_generation_goes_once_its_step_has_another_key() {
    let mut world = World::new(spec());
    world.step();
    world.jobs_end = false;
    world.step();
    let running = world.job("small").name.clone();
    world.write(with(spec(), "/stages/0/quantize/dynamic", json!({ "granularity": "perTensor" })));
    world.step();
    assert_eq!(world.abandoned, [running]);
}

#[test]
fn a_refused_spec_abandons_no_job() {
    let mut world = World::new(spec());
    world.jobs_end = false;
    world.step();
    world.write(with(spec(), "/model/source/uri", json!("file:///net.onnx")));
    world.step();
    assert_eq!(world.abandoned, Vec::<String>::new());
}

#[test]
fn what_never_became_a_revision_leaves_no_tag() {
    let mut world = World::new(spec());
    world.settle();
    world.verdict = Verdict::Fail;
    world.write(with(spec(), "/stages/0/quantize/dynamic", json!({ "granularity": "perTensor" })));
    world.settle();
    let failed: Vec<_> = ["small", "gate"].map(|step| names::work_tag(&world.job(step).key)).into();
    assert!(world.untagged.is_empty(), "its artifacts are this generation's");

    world.verdict = Verdict::Pass;
    world.write(spec());
    world.settle();
    assert!(failed.iter().all(|tag| world.untagged.contains(tag)), "{:?}", world.untagged);
    let needed = world.observed.revisions.iter().flat_map(|revision| &revision.data.stages);
    for key in needed.filter_map(|stage| stage.key.as_ref()) {
        assert!(!world.untagged.contains(&names::work_tag(key)));
    }
    assert!(world.observed.jobs.is_empty());
}

#[test]
fn a_gate_that_does_not_pass_keeps_the_live_revision_and_its_pods() {
    for (verdict, reason) in [(Verdict::Fail, "CheckFailed"), (Verdict::Inconclusive, "Inconclusive")] {
        does_not_pass(verdict, reason);
    }
}

fn does_not_pass(verdict: Verdict, wanted: &str) {
    let mut world = World::new(spec());
    world.settle();
    let live = world.observed.workloads.clone();
    world.verdict = verdict;
    world.write(with(spec(), "/stages/0/quantize/dynamic", json!({ "granularity": "perTensor" })));
    world.settle();
    assert_eq!(world.observed.workloads, live);
    let (status, reason, message) = world.condition("GatePassed");
    assert_eq!((status.as_str(), reason.as_str()), ("False", wanted));
    assert!(message.contains("measured 0.91, wanted 0.9"), "{message}");
    assert_eq!(world.condition("Available").0, "True");
    assert_eq!(world.condition("Stalled").0, "True");
    assert_eq!(world.observed.deployment.status.updated_revision, None);

    world.write(spec());
    world.settle();
    assert_eq!(world.condition("Ready").0, "True");
    assert_eq!(world.observed.workloads, live, "fixing it moves no pod");
}

#[test]
fn while_blocked_a_scale_reaches_the_live_revision() {
    let mut world = World::new(spec());
    world.settle();
    world.verdict = Verdict::Fail;
    let blocked = with(spec(), "/stages/0/quantize/dynamic", json!({ "granularity": "perTensor" }));
    world.write(blocked.clone());
    world.settle();
    world.write(with(blocked, "/serving/replicas", json!(5)));
    let jobs = world.started.len();
    world.settle();
    assert_eq!(world.observed.workloads[0].desired, 5);
    assert_eq!(world.started.len(), jobs, "a scale starts no job");
}

#[test]
fn a_scale_resolves_no_source_and_makes_no_revision() {
    let mut world = World::new(spec());
    world.settle();
    let (jobs, revisions) = (world.started.len(), world.observed.revisions.clone());
    world.write(with(spec(), "/serving/replicas", json!(7)));
    world.settle();
    assert_eq!((world.started.len(), &world.observed.revisions), (jobs, &revisions));
    assert_eq!(world.condition("Ready").0, "True");
}

#[test]
fn traffic_moves_only_when_the_new_revision_is_at_full_size() {
    let mut world = World::new(spec());
    world.settle();
    let old = world.stable();
    world.pods_start = false;
    world.write(with(spec(), "/stages/0/quantize/dynamic", json!({ "granularity": "perTensor" })));
    world.settle();
    assert_eq!(world.stable(), old);
    assert_eq!(world.observed.workloads.iter().map(|workload| workload.desired).collect::<Vec<_>>(), [2, 2]);
    assert_eq!(world.condition("Reconciling").0, "True");
    world.pods_start = true;
    world.settle();
    assert_ne!(world.stable(), old);
    assert_eq!(world.observed.workloads.len(), 1, "the old Deployment is gone");
    assert_eq!(world.condition("Ready").0, "True");
}

#[test]
fn numbers_of_an_earlier_size_move_no_traffic() {
    let mut world = World::new(spec());
    world.settle();
    let first = world.stable().unwrap();
    world.write(with(spec(), "/stages/0/quantize/dynamic", json!({ "granularity": "perTensor" })));
    while world.plan().progress.stable.as_ref() == Some(&first) {
        world.step();
    }
    // The first one's pods are ended, and nobody has counted them yet.
    world.statuses_lag = true;
    world.step();
    let second = world.stable().unwrap();
    assert_eq!((second == first, world.ready_of(&first)), (false, 0));
    world.write(spec());
    for _ in 0..4 {
        world.step();
        let of_first = world.observed.workloads.iter().find(|workload| workload.revision == first).unwrap();
        assert_eq!(of_first.available, 2, "the count of before");
        assert_eq!(world.stable().as_ref(), Some(&second));
    }
    world.statuses_lag = false;
    world.settle();
    assert_eq!((world.stable(), world.ready_of(&first)), (Some(first.clone()), 2));
}

#[test]
fn a_rollback_uses_the_stored_template_and_starts_no_job() {
    let mut world = World::new(spec());
    world.settle();
    let first = world.observed.revisions[0].clone();
    world.write(with(spec(), "/stages/0/quantize/dynamic", json!({ "granularity": "perTensor" })));
    world.settle();
    world.started.clear();
    world.settings.server_image = "registry.test/server:2".into();
    world.write(spec());
    world.settle();
    assert_eq!(world.stable(), Some(first.hash.clone()));
    assert!(world.started.is_empty());
    let plan = world.plan();
    let applied = plan.apply.iter().find(|desired| desired.kind == "Deployment").unwrap();
    assert_eq!(applied.body["spec"]["template"], first.data.template);
    assert_eq!(world.observed.deployment.status.update_available, Some(true));
}

#[test]
fn pods_that_may_use_onnx_runtime_have_its_image() {
    const SMALL: &str = "registry.test/server:1";
    const LARGE: &str = "registry.test/server-onnxruntime:1";
    for (backend, image) in [("auto", LARGE), ("onnxruntime", LARGE), ("rten", SMALL)] {
        let runtime = json!({ "replicas": 2, "runtime": { "slipway": { "backend": backend } } });
        let mut world = World::new(with(spec(), "/serving", runtime));
        world.settings.onnxruntime_server_image = Some(LARGE.into());
        world.settle();
        let plan = world.plan();
        let applied = plan.apply.iter().find(|desired| desired.kind == "Deployment").unwrap();
        let pod = &applied.body["spec"]["template"]["spec"];
        for container in [&pod["initContainers"][0], &pod["containers"][0]] {
            assert_eq!(container["image"], image);
            let words: Vec<_> = container["args"].as_array().unwrap().iter().collect();
            assert!(words.windows(2).any(|pair| *pair[0] == "--backend" && *pair[1] == backend), "{words:?}");
        }
    }
}

#[test]
fn an_operator_upgrade_restarts_no_pod() {
    let mut world = World::new(spec());
    world.settle();
    let before: Vec<_> =
        world.plan().apply.into_iter().filter(|desired| desired.kind == "Deployment").collect();
    world.settings.server_image = "registry.test/server:2".into();
    world.settings.job_image = "registry.test/job:2".into();
    world.started.clear();
    world.settle();
    let after: Vec<_> =
        world.plan().apply.into_iter().filter(|desired| desired.kind == "Deployment").collect();
    assert_eq!(before, after);
    assert!(world.started.is_empty());
    assert_eq!(world.observed.revisions.len(), 1);
}

#[test]
fn a_gate_that_judged_later_is_an_update_which_an_annotation_takes() {
    let mut ungated = spec();
    ungated.as_object_mut().unwrap().remove("gate");
    let mut world = World::new(ungated);
    world.settle();
    let pods = world.observed.workloads.clone();
    assert_eq!(world.observed.deployment.status.update_available, Some(false));

    world.write(spec());
    world.settle();
    assert_eq!(world.condition("GatePassed").1, "Passed");
    assert_eq!(world.condition("Ready").0, "True");
    assert_eq!(world.observed.workloads, pods, "a gate restarts no pod");
    assert_eq!(world.observed.deployment.status.update_available, Some(true));

    let mut annotated = spec();
    annotated["serving"]["pod"] = json!({ "annotations": { "example.com/taken": "1" } });
    world.started.clear();
    world.write(annotated);
    world.settle();
    assert!(world.started.is_empty(), "{:?}", world.started);
    assert_eq!(world.observed.deployment.status.update_available, Some(false));
    let stable = world.stable();
    let newest =
        world.observed.revisions.iter().find(|revision| Some(&revision.hash) == stable.as_ref()).unwrap();
    let template = newest.data.template.to_string();
    assert!(template.contains("--golden-reference") && template.contains("--accuracy"), "{template}");
}

#[test]
fn suspend_starts_nothing_and_keeps_what_serves() {
    let mut suspended = spec();
    suspended["suspend"] = json!(true);
    let mut world = World::new(suspended);
    world.settle();
    assert!(world.started.is_empty());
    assert_eq!(world.condition("Ready").1, "Suspended");
    assert_eq!(world.condition("Reconciling").0, "False");

    let mut world = World::new(spec());
    world.settle();
    let live = world.observed.workloads.clone();
    let mut changed = with(spec(), "/stages/0/quantize/dynamic", json!({ "granularity": "perTensor" }));
    changed["suspend"] = json!(true);
    world.write(changed);
    world.settle();
    assert_eq!(world.observed.workloads, live);
}

#[test]
fn an_artifact_pinned_by_digest_needs_no_job() {
    let uri = format!("oci://registry.test/models/net@{}", world::digest("net"));
    let mut world = World::new(json!({ "model": { "source": { "uri": uri } } }));
    world.settle();
    assert!(world.started.is_empty());
    assert_eq!(world.condition("Ready").0, "True");
    assert!(!world.observed.deployment.finalizer, "nothing of ours is in a registry");
    assert_eq!(world.observed.deployment.status.artifact.as_ref().unwrap().uri, uri);
}

#[test]
fn zero_replicas_is_ready_and_not_available() {
    let mut world = World::new(with(spec(), "/serving/replicas", json!(0)));
    world.settle();
    assert_eq!(world.condition("Available").1, "ScaledToZero");
    assert_eq!(world.condition("Ready").0, "True");
    assert!(world.observed.others.is_empty(), "no disruption budget for no pods");
}

#[test]
fn old_revisions_go_with_their_tags_and_never_those_in_use() {
    let mut limited = spec();
    limited["rollout"] = json!({ "revisionHistoryLimit": 0 });
    let mut world = World::new(limited.clone());
    world.settle();
    let old = world.observed.revisions[0].clone();
    let stage_key = old.data.stages.iter().find(|stage| stage.name == "small").unwrap().key.clone().unwrap();
    let source_key =
        old.data.stages.iter().find(|stage| stage.name == "source").unwrap().key.clone().unwrap();
    world.write(with(limited, "/stages/0/quantize/dynamic", json!({ "granularity": "perTensor" })));
    let mut untagged = Vec::new();
    for _ in 0..60 {
        if let Untag::Tags(tags) = world.plan().untag {
            untagged.extend(tags);
        }
        if !world.step() {
            break;
        }
    }
    assert_eq!(world.observed.revisions.len(), 1);
    assert_ne!(world.observed.revisions[0].hash, old.hash);
    assert!(untagged.contains(&names::work_tag(&stage_key)));
    assert!(!untagged.contains(&names::work_tag(&source_key)), "the source is still in use");
}

#[test]
fn deletion_removes_every_tag_and_applies_nothing() {
    let mut world = World::new(spec());
    world.settle();
    world.observed.deployment.deleted_at = Some(world.observed.now);
    let plan = world.plan();
    assert_eq!((plan.untag, plan.finalizer, plan.apply.len()), (Untag::Everything, false, 0));
}

#[test]
fn a_stage_that_waits_is_pending_and_a_running_one_names_its_job() {
    let world = World::new(spec());
    let plan = world.plan();
    let states: Vec<_> =
        plan.progress.stages.iter().map(|stage| (stage.name.as_str(), stage.state)).collect();
    assert_eq!(
        states,
        [
            ("source", StageState::Running),
            ("small", StageState::Pending),
            ("data-unseen", StageState::Running),
            ("gate", StageState::Pending),
        ]
    );
    assert_eq!(plan.progress.optimized.state, PhaseState::Running);
}

#[test]
fn metrics_are_found_by_a_service_of_their_own_that_is_never_exposed() {
    let mut exposed = spec();
    exposed["serving"]["service"] = json!({ "type": "LoadBalancer" });
    let mut world = World::new(exposed);
    world.settle();
    let plan = world.plan();
    let services: Vec<_> =
        plan.apply.iter().filter(|one| one.kind == "Service").map(|one| &one.body).collect();
    let ports = |index: usize| -> Vec<_> {
        let ports = services[index]["spec"]["ports"].as_array().unwrap().iter();
        ports.map(|port| port["name"].as_str().unwrap()).collect()
    };
    assert_eq!((&services[0]["spec"]["type"], ports(0)), (&json!("LoadBalancer"), vec!["http"]));
    assert_eq!((&services[1]["spec"]["type"], ports(1)), (&json!("ClusterIP"), vec!["metrics"]));
    let label = |index: usize| services[index]["metadata"]["labels"].get(names::METRICS_LABEL);
    assert_eq!(
        (label(0), label(1).and_then(|label| label.as_str())),
        (None, Some(world.observed.deployment.name.as_str()))
    );
    assert_eq!(services[0]["spec"]["selector"], services[1]["spec"]["selector"]);
}
