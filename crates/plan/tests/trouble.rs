//! What goes wrong on an object's way, and the words that say so and what to do, on a pure cluster.

mod world;

use serde_json::json;
use slipway_api::{
    job::{FailureCategory, JobResult},
    status::{Status, Verdict},
};
use slipway_plan::{JobState, LabelSelector, Prometheus, Trouble, TroubleKind};
use world::{World, final_failure, spec, with};

#[test]
fn a_lost_answer_is_asked_again_and_nothing_is_computed_twice() {
    let mut world = World::new(spec());
    world.step();
    for job in &mut world.observed.jobs {
        job.result = None;
    }
    world.observed.deployment.status = Status::default();
    world.settle();
    assert_eq!(world.condition("Ready").0, "True");
    assert!(world.observed.jobs.is_empty(), "those without an answer are removed with the others");
    let mut once = world.computed.clone();
    once.sort();
    once.dedup();
    assert_eq!(once.len(), world.computed.len());
}

#[test]
fn an_answer_that_is_always_lost_becomes_a_failure_which_says_so() {
    let mut world = World::new(spec());
    world.answers_are_lost = true;
    world.settle();
    let (status, reason, message) = world.condition("Optimized");
    assert_eq!((status.as_str(), reason.as_str()), ("False", "AnswerLost"));
    let source: Vec<_> =
        world.observed.jobs.iter().filter(|job| job.step == "source").map(|job| &job.name).collect();
    assert_eq!(source.len(), 3);
    assert!(source.iter().all(|name| message.contains(*name)), "{message}");
    assert!(message.contains("job image") && message.contains("delete the jobs"), "{message}");
    assert_eq!(world.condition("Stalled").0, "True");

    world.observed.deployment.status = Status::default();
    world.settle();
    assert_eq!(world.condition("Optimized").1, "AnswerLost", "the jobs themselves are the count");

    world.answers_are_lost = false;
    world.observed.jobs.clear();
    world.settle();
    assert_eq!(world.condition("Ready").0, "True", "deleting the jobs tries again");
}

#[test]
fn a_failed_stage_says_why_and_what_to_do_and_stays_so() {
    let mut world = World::new(spec());
    let failure = final_failure(FailureCategory::NothingChanged, "no MatMul or Gemm has constant weights");
    world.failing.push(("small".into(), failure));
    world.settle();
    let (status, reason, message) = world.condition("Optimized");
    assert_eq!((status.as_str(), reason.as_str()), ("False", "NothingChanged"));
    assert!(message.contains("no MatMul") && message.contains("delete job net-small-"), "{message}");
    assert_eq!(world.condition("Stalled").0, "True");
    assert_eq!(world.condition("Ready").0, "False");
    assert_eq!(world.started.iter().filter(|job| job.contains("small")).count(), 1);

    world.failing.clear();
    world.observed.jobs.retain(|job| !job.name.contains("small"));
    world.settle();
    assert_eq!(world.condition("Ready").0, "True", "deleting the job tries again");
}

#[test]
fn a_failure_that_may_pass_is_tried_again_after_two_minutes() {
    let mut world = World::new(spec());
    let mut failure = final_failure(FailureCategory::Storage, "the registry does not answer");
    failure.retryable = true;
    world.failing.push(("source".into(), failure));
    world.settle();
    let (status, reason, message) = world.condition("Optimized");
    assert_eq!((status.as_str(), reason.as_str()), ("Unknown", "RegistryUnreachable"));
    assert!(message.contains("does not answer; it is tried again"), "{message}");
    assert_eq!(
        (world.condition("Reconciling").0, world.condition("Stalled").0),
        ("True".into(), "False".into())
    );
    assert_eq!(world.plan().requeue.unwrap().as_secs(), 120);
    world.failing.clear();
    world.settle();
    assert_eq!(world.condition("Ready").0, "False", "not before its time");
    world.observed.now += jiff::SignedDuration::from_secs(121);
    world.settle();
    assert_eq!(world.condition("Ready").0, "True");
}

#[test]
fn a_job_that_ran_out_of_time_names_the_field_to_raise() {
    let mut world = World::new(spec());
    world.step();
    let job = &mut world.observed.jobs[0];
    job.result = None;
    job.state = JobState::Failed { reason: "DeadlineExceeded".into(), message: "too long".into() };
    world.observed.deployment.status = Status::default();
    world.settle();
    let (_, reason, message) = world.condition("Optimized");
    assert_eq!(reason, "DeadlineExceeded");
    assert!(message.contains("raise jobs.deadline"), "{message}");
}

#[test]
fn a_gate_whose_failure_may_pass_is_not_stalled() {
    for step in ["data-unseen", "gate"] {
        let mut world = World::new(spec());
        let mut failure = final_failure(FailureCategory::Storage, "the registry does not answer");
        failure.retryable = true;
        world.failing.push((step.into(), failure));
        world.settle();
        let (status, reason, message) = world.condition("GatePassed");
        assert_eq!((status.as_str(), reason.as_str()), ("Unknown", "RegistryUnreachable"), "{step}");
        assert!(message.contains("tried again"), "{message}");
        assert_eq!(world.condition("Stalled").0, "False");
    }
}

#[test]
fn a_deadline_names_what_held_the_pod_even_when_the_pod_is_gone() {
    let cases = [
        (TroubleKind::ImagePull, "container job (registry.test/job:1): ImagePullBackOff: no such tag"),
        (TroubleKind::Unschedulable, "no node takes the pod: 0/1 nodes are available"),
    ];
    for (kind, words) in cases {
        let mut world = World::new(spec());
        world.jobs_end = false;
        world.step();
        let job = &mut world.observed.jobs[0];
        job.trouble = Some(Trouble { kind, container: String::new(), restarts: 0, message: words.into() });
        world.step();
        let job = &mut world.observed.jobs[0];
        job.trouble = None;
        job.state = JobState::Failed { reason: "DeadlineExceeded".into(), message: "too long".into() };
        world.settle();
        let (status, reason, message) = world.condition("Optimized");
        let expected = if kind == TroubleKind::ImagePull { "ImagePullFailed" } else { "DeadlineExceeded" };
        assert_eq!((status.as_str(), reason.as_str()), ("False", expected));
        assert!(message.contains(words) && message.contains("jobs.deadline"), "{message}");
        assert!(message.contains(&world.observed.jobs[0].name), "{message}");
    }
}

#[test]
fn a_job_that_ran_out_of_memory_names_the_field_to_raise_from_the_first_moment() {
    let mut world = World::new(spec());
    world.step();
    let message = "container job used more memory than its limit and was killed".to_owned();
    let trouble = Trouble { kind: TroubleKind::OutOfMemory, container: "job".into(), restarts: 0, message };
    for state in
        [JobState::Active, JobState::Failed { reason: "PodFailurePolicy".into(), message: "killed".into() }]
    {
        let job = &mut world.observed.jobs[0];
        (job.result, job.trouble, job.state) = (None, Some(trouble.clone()), state);
        world.observed.deployment.status = Status::default();
        world.settle();
        let (_, reason, message) = world.condition("Optimized");
        assert_eq!(reason, "OutOfMemory");
        assert!(message.contains("raise jobs.resources.limits.memory"), "{message}");
    }
    world.observed.now += jiff::SignedDuration::from_mins(10);
    world.settle();
    assert_eq!(world.condition("Stalled").0, "True", "more memory is the user's to give");
}

#[test]
fn a_job_whose_pod_was_killed_is_tried_again_unless_memory_was_the_cause() {
    let killed = |kind| {
        let message = "container job was killed (137); see its log".to_owned();
        Trouble { kind, container: "job".into(), restarts: 0, message }
    };
    // A pod that was deleted leaves nothing at all.
    for trouble in [None, Some(killed(TroubleKind::Crashed))] {
        let mut world = World::new(spec());
        world.jobs_end = false;
        world.step();
        let now = world.observed.now;
        let job = &mut world.observed.jobs[0];
        let name = job.name.clone();
        job.trouble = trouble;
        job.finished_at = Some(now);
        job.state = JobState::Failed { reason: "PodFailurePolicy".into(), message: "exit code 137".into() };
        world.step();
        let (status, _, message) = world.condition("Optimized");
        assert_eq!(status, "Unknown", "{message}");
        assert!(message.contains("killed") && message.contains("tried again"), "{message}");
        assert_eq!(world.condition("Stalled").0, "False");
        world.observed.now += jiff::SignedDuration::from_secs(121);
        world.step();
        world.jobs_end = true;
        world.settle();
        assert_eq!(world.condition("Ready").0, "True");
        assert_eq!(world.started.iter().filter(|started| **started == name).count(), 2);
    }
}

#[test]
fn a_server_of_the_gate_that_ends_over_and_over_fails_the_gate_with_its_own_field() {
    let cases = [
        (TroubleKind::OutOfMemory, 3, Some(("OutOfMemory", "serving.resources.limits.memory"))),
        (TroubleKind::Crashed, 3, Some(("GateError", "exit code 1"))),
        (TroubleKind::OutOfMemory, 1, None),
    ];
    for (kind, restarts, failed) in cases {
        let mut world = World::new(spec());
        world.step();
        world.step();
        world.jobs_end = false;
        world.settle();
        let job = world.observed.jobs.iter_mut().find(|job| job.step == "gate").unwrap();
        let (name, message) = (job.name.clone(), "container baseline ended: exit code 1".to_owned());
        job.trouble = Some(Trouble { kind, container: "baseline".into(), restarts, message });
        world.settle();
        let (status, reason, message) = world.condition("GatePassed");
        assert!(!message.contains("jobs.resources"), "{message}");
        let Some((expected, words)) = failed else {
            assert_eq!((status.as_str(), reason.as_str()), ("Unknown", "OutOfMemory"));
            continue;
        };
        assert_eq!((status.as_str(), reason.as_str()), ("False", expected), "{message}");
        assert!(message.contains(words) && message.contains(&format!("delete job {name}")), "{message}");
        assert_eq!(world.condition("Stalled").0, "True");

        // Its job gives up too, in words that know nothing of the server.
        let mut failure = final_failure(FailureCategory::Internal, "the candidate does not answer");
        failure.retryable = true;
        let job = world.observed.jobs.iter_mut().find(|job| job.step == "gate").unwrap();
        job.result = Some(JobResult { failure: Some(failure), ..JobResult::default() });
        job.state = JobState::Failed { reason: "BackoffLimitExceeded".into(), message: "failed".into() };
        world.observed.now += jiff::SignedDuration::from_mins(10);
        world.settle();
        assert_eq!(world.condition("GatePassed").1, expected);
    }
}

#[test]
fn a_lost_record_of_what_serves_takes_no_pod_and_is_told() {
    let mut world = World::new(spec());
    world.settle();
    let (live, pods) = (world.stable().unwrap(), world.observed.workloads.clone());
    world.verdict = Verdict::Fail;
    world.write(with(spec(), "/stages/0/quantize/dynamic", json!({ "granularity": "perTensor" })));
    world.settle();
    world.observed.revisions.clear();
    world.settle();
    assert_eq!(world.observed.workloads, pods, "a blocked generation is no reason to stop what serves");
    assert_eq!(world.stable().as_ref(), Some(&live));
    let (status, reason, message) = world.condition("Available");
    assert_eq!((status.as_str(), reason.as_str()), ("True", "RevisionUnavailable"));
    assert!(message.contains(&format!("ControllerRevision net-{live} is gone")), "{message}");

    // The next one takes over as any other does.
    world.verdict = Verdict::Pass;
    world.pods_start = false;
    let other = with(spec(), "/stages/0/quantize/dynamic", json!({ "granularity": "perTensor" }));
    world.write(with(other, "/gate/checks/0/accuracy/minimum", json!("0.8")));
    world.settle();
    assert_eq!(world.stable().as_ref(), Some(&live), "the new pods are not ready");
    assert!(world.observed.workloads.contains(&pods[0]));
    world.pods_start = true;
    world.settle();
    assert_ne!(world.stable(), Some(live));
    assert_eq!(world.condition("Available").1, "Serving");
    assert_eq!(world.observed.workloads.len(), 1);
}

#[test]
fn a_refused_spec_keeps_what_serves_and_names_the_field() {
    let mut world = World::new(spec());
    world.settle();
    let live = world.observed.workloads.clone();
    world.write(with(spec(), "/model/source/uri", json!("file:///net.onnx")));
    world.settle();
    assert_eq!(world.observed.workloads, live);
    let (status, reason, message) = world.condition("Accepted");
    assert_eq!((status.as_str(), reason.as_str()), ("False", "InvalidSpec"));
    assert!(message.contains("spec.model.source"), "{message}");
    assert_eq!(world.condition("Stalled").0, "True");
}

#[test]
fn a_rollout_that_made_no_progress_is_given_up_with_the_pods_words() {
    let mut world = World::new(spec());
    world.settle();
    let old = world.stable();
    world.pods_start = false;
    world.write(with(spec(), "/stages/0/quantize/dynamic", json!({ "granularity": "perTensor" })));
    world.settle();
    let stuck = world
        .observed
        .workloads
        .iter_mut()
        .find(|workload| Some(&workload.revision) != old.as_ref())
        .unwrap();
    stuck.deadline_exceeded = true;
    world.settle();
    assert_eq!(world.condition("Ready").1, "ProgressDeadlineExceeded");
    assert_eq!(world.condition("Stalled").0, "True");
    assert_eq!(world.condition("Available").0, "True");
    assert_eq!(world.stable(), old);
}

#[test]
fn a_prometheus_that_does_not_select_is_named_with_the_fix() {
    let mut world = World::new(spec());
    world.settle();
    assert_eq!(world.condition("MonitoringReady").1, "NoPrometheusOperator");
    world.observed.monitoring.service_monitors = true;
    world.settle();
    assert_eq!(world.condition("MonitoringReady").1, "NoPrometheus");
    let selector =
        LabelSelector { match_labels: [("release".into(), "kps".into())].into(), ..LabelSelector::default() };
    world.observed.monitoring.prometheuses = Some(vec![Prometheus {
        name: "main".into(),
        namespace: "watch".into(),
        service_monitor_selector: Some(selector),
        service_monitor_namespace_selector: Some(LabelSelector::default()),
    }]);
    world.settle();
    let (status, reason, message) = world.condition("MonitoringReady");
    assert_eq!((status.as_str(), reason.as_str()), ("False", "NotSelected"));
    assert!(message.contains("monitoring.serviceMonitor.labels: {release: kps}"), "{message}");
    let mut labelled = spec();
    labelled["monitoring"] = json!({ "serviceMonitor": { "labels": { "release": "kps" } } });
    world.write(labelled);
    world.settle();
    assert_eq!(world.condition("MonitoringReady").0, "True");
    world.refused_kinds.push("ServiceMonitor".into());
    world.observed.others.retain(|child| child.kind != "ServiceMonitor");
    world.settle();
    let (status, reason, _) = world.condition("MonitoringReady");
    assert_eq!((status.as_str(), reason.as_str()), ("False", "Progressing"), "it does not exist");
    world.refused_kinds.clear();
    world.settle();
    assert_eq!(world.condition("MonitoringReady").1, "Selected");
    assert_eq!(world.condition("Ready").0, "True", "monitoring never blocks serving");

    let mut waiting = World::new(spec());
    waiting.observed.monitoring = world.observed.monitoring.clone();
    waiting.observed.monitoring.prometheuses.as_mut().unwrap()[0].service_monitor_selector =
        Some(LabelSelector::default());
    waiting.step();
    assert_eq!(waiting.condition("MonitoringReady").1, "Waiting", "nothing serves yet");

    let mut off = spec();
    off["monitoring"] = json!({ "serviceMonitor": { "enabled": false } });
    world.write(off);
    world.settle();
    assert!(!world.observed.others.iter().any(|child| child.kind == "ServiceMonitor"), "it is removed again");
}
