//! Whatever happens, the plan ends at a fixpoint, and what serves never becomes less than it was.

mod world;

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::json;
use slipway_api::status::{StageState, StageStatus, Status, Verdict};
use world::{World, spec, writes};

#[derive(Debug, Clone)]
enum Happening {
    Write { per_tensor: bool, replicas: i32 },
    EmptyStatus,
    LoseAnswers,
    GateSays(bool),
    PodsStart(bool),
    StatusesLag(bool),
    JobsEnd(bool),
    DeleteJobs,
    LoseRevision { newest: bool },
    UpgradeOperator,
    Step,
}

fn write() -> impl Strategy<Value = Happening> {
    (any::<bool>(), 0..4).prop_map(|(per_tensor, replicas)| Happening::Write { per_tensor, replicas })
}

fn step() -> impl Strategy<Value = Happening> {
    Just(Happening::Step)
}

/// What the cluster does, without losing anything for good.
fn weather() -> impl Strategy<Value = Happening> {
    prop_oneof![
        Just(Happening::EmptyStatus),
        any::<bool>().prop_map(Happening::GateSays),
        any::<bool>().prop_map(Happening::PodsStart),
        any::<bool>().prop_map(Happening::StatusesLag),
        any::<bool>().prop_map(Happening::JobsEnd),
        Just(Happening::UpgradeOperator),
    ]
}

fn loss() -> impl Strategy<Value = Happening> {
    prop_oneof![
        Just(Happening::LoseAnswers),
        Just(Happening::DeleteJobs),
        any::<bool>().prop_map(|newest| Happening::LoseRevision { newest }),
    ]
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![1 => write(), 5 => weather(), 2 => loss(), 1 => step()]
}

fn happen(world: &mut World, happening: &Happening) {
    match happening {
        Happening::Write { per_tensor, replicas } => {
            let mut changed = spec();
            if *per_tensor {
                changed["stages"][0]["quantize"]["dynamic"] = json!({ "granularity": "perTensor" });
            }
            changed["serving"]["replicas"] = json!(replicas);
            world.write(changed);
        }
        Happening::EmptyStatus => world.observed.deployment.status = Status::default(),
        Happening::LoseAnswers => world.observed.jobs.iter_mut().for_each(|job| job.result = None),
        Happening::GateSays(pass) => world.verdict = if *pass { Verdict::Pass } else { Verdict::Fail },
        Happening::PodsStart(start) => world.pods_start = *start,
        Happening::StatusesLag(lag) => world.statuses_lag = *lag,
        Happening::JobsEnd(end) => world.jobs_end = *end,
        Happening::DeleteJobs => world.observed.jobs.clear(),
        Happening::LoseRevision { newest: true } => {
            world.observed.revisions.pop();
        }
        Happening::LoseRevision { newest: false } => {
            world.observed.revisions.drain(..world.observed.revisions.len().min(1));
        }
        Happening::UpgradeOperator => world.settings.server_image.push('x'),
        Happening::Step => {
            world.step();
        }
    }
}

/// The keys that the revisions and this generation name.
fn needed(world: &World) -> BTreeSet<String> {
    let revisions = world.observed.revisions.iter().flat_map(|revision| &revision.data.stages);
    let now = world.observed.deployment.status.stages.iter();
    let done = |stage: &&StageStatus| stage.state == StageState::Succeeded;
    revisions.chain(now).filter(done).filter_map(|stage| stage.key.clone()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn every_history_ends_at_rest(happenings in prop::collection::vec(happening(), 0..24)) {
        let mut world = World::new(spec());
        for one in &happenings {
            let before = world.stable();
            happen(&mut world, one);
            prop_assert!(before.is_none() || world.stable().is_some(), "traffic was taken away");
            if let Some(stable) = world.stable() {
                let workloads = world.observed.workloads.iter().filter(|workload| workload.revision == stable);
                prop_assert!(workloads.count() <= 1);
            }
        }
        (world.jobs_end, world.statuses_lag) = (true, false);
        world.settle();
        let rest = world.plan();
        prop_assert_eq!(writes(&rest), r#"{"delete":[],"events":[],"scale":[],"untag":"nothing"}"#);
        for key in needed(&world) {
            prop_assert!(world.registry.contains(&key), "the tag of {key} is needed and was removed");
        }
    }

    #[test]
    fn a_running_job_outlives_whatever_does_not_change_the_spec(
        happenings in prop::collection::vec(prop_oneof![weather(), Just(Happening::LoseAnswers), step()], 0..24),
    ) {
        let mut world = World::new(spec());
        for one in &happenings {
            happen(&mut world, one);
        }
        (world.jobs_end, world.statuses_lag) = (true, false);
        world.settle();
        prop_assert!(world.abandoned.is_empty(), "{:?}", world.abandoned);
    }

    #[test]
    fn nothing_stays_in_the_registry_that_nobody_names(
        happenings in prop::collection::vec(prop_oneof![1 => write(), 4 => weather(), 2 => step()], 0..24),
    ) {
        let mut world = World::new(spec());
        for one in &happenings {
            happen(&mut world, one);
        }
        (world.jobs_end, world.statuses_lag) = (true, false);
        world.settle();
        let needed = needed(&world);
        let left: Vec<_> = world.registry.iter().filter(|key| !needed.contains(*key)).collect();
        prop_assert!(left.is_empty(), "{left:?}");
    }

    #[test]
    fn what_serves_keeps_its_pods_whatever_is_lost(happenings in prop::collection::vec(happening(), 0..24)) {
        let mut world = World::new(spec());
        world.settle();
        for one in happenings.iter().flat_map(|one| [one, &Happening::Step]) {
            let before = world.ready_of(&world.stable().expect("something serves"));
            happen(&mut world, one);
            let after = world.ready_of(&world.stable().expect("traffic was taken away"));
            let wanted = world.observed.deployment.spec.serving.replicas;
            prop_assert!(after >= before.min(wanted), "{after} pods serve, {before} did, {wanted} are wanted");
        }
    }
}

/// A history with time between what happens, so that rollouts begin, end and are overtaken.
fn history() -> impl Strategy<Value = Vec<(Happening, usize)>> {
    let happening = prop_oneof![3 => write(), 3 => weather(), 1 => loss()];
    prop::collection::vec((happening, 0_usize..10), 0..9)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn traffic_never_moves_to_a_revision_that_is_not_full(history in history()) {
        let mut world = World::new(spec());
        world.settle();
        for (one, steps) in &history {
            happen(&mut world, one);
            for _ in 0..*steps {
                let before = world.stable();
                world.step();
                let after = world.stable().expect("traffic was taken away");
                let (ready, wanted) = (world.ready_of(&after), world.observed.deployment.spec.serving.replicas);
                prop_assert!(before.as_ref() == Some(&after) || ready >= wanted, "{ready} of {wanted} pods are ready");
            }
        }
    }
}
