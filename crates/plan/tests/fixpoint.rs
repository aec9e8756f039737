//! Whatever happens, the plan ends at a fixpoint, and what serves never becomes less than it was.

mod world;

use proptest::prelude::*;
use serde_json::json;
use slipway_api::status::{Status, Verdict};
use world::{World, spec, writes};

#[derive(Debug, Clone)]
enum Happening {
    Write { per_tensor: bool, replicas: i32 },
    EmptyStatus,
    LoseAnswers,
    GateSays(bool),
    PodsStart(bool),
    DeleteJobs,
    UpgradeOperator,
    Step,
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        (any::<bool>(), 0..4).prop_map(|(per_tensor, replicas)| Happening::Write { per_tensor, replicas }),
        Just(Happening::EmptyStatus),
        Just(Happening::LoseAnswers),
        any::<bool>().prop_map(Happening::GateSays),
        any::<bool>().prop_map(Happening::PodsStart),
        Just(Happening::DeleteJobs),
        Just(Happening::UpgradeOperator),
        Just(Happening::Step),
    ]
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
        Happening::DeleteJobs => world.observed.jobs.clear(),
        Happening::UpgradeOperator => world.settings.server_image.push('x'),
        Happening::Step => {
            world.step();
        }
    }
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
        world.settle();
        let rest = world.plan();
        prop_assert_eq!(writes(&rest), r#"{"delete":[],"events":[],"scale":[],"untag":"nothing"}"#);
        let mut computed = world.computed.clone();
        computed.sort();
        computed.dedup();
        prop_assert_eq!(computed.len(), world.computed.len(), "work was computed twice");
    }

    #[test]
    fn traffic_never_moves_to_a_revision_that_is_not_full(happenings in prop::collection::vec(happening(), 0..24)) {
        let mut world = World::new(spec());
        for one in happenings.iter().flat_map(|one| [one, &Happening::Step]) {
            let before = world.stable();
            happen(&mut world, one);
            let after = world.stable();
            if before.is_some() && before != after {
                let stable = world.observed.workloads.iter().find(|workload| Some(&workload.revision) == after.as_ref());
                prop_assert!(stable.is_some_and(|workload| workload.available >= workload.desired.min(1)));
            }
        }
    }
}
