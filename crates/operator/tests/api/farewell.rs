//! The end of an object: tags first, then the finalizer.

use std::time::Duration;

use k8s_openapi::api::events::v1::Event;
use kube::{
    Api,
    api::{DeleteParams, ListParams},
};
use slipway_api::{ModelDeployment, names};
use slipway_plan::Untag;
use slipway_testkit::{Fault, On, Verb, deployment, until};

use crate::{
    bench::{Bench, LIMIT},
    converge::whole,
};

async fn gone(bench: &Bench, name: &str) {
    let api: Api<ModelDeployment> = bench.api();
    until("the object is gone", LIMIT, || async {
        match api.get_opt(name).await {
            Ok(None) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
}

#[tokio::test]
async fn an_object_takes_its_tags_with_it() {
    let Some(bench) = Bench::begin("tags", |faults| {
        // The first try to let go fails.
        faults.plan(On::any().verb(Verb::Patch).resource("modeldeployments").after(1), Fault::Conflict);
    })
    .await
    else {
        return;
    };
    bench.create(&whole("net")).await;
    bench.settle("net").await;
    let object: ModelDeployment = bench.api().get("net").await.unwrap();
    assert_eq!(object.metadata.finalizers.unwrap(), [names::FINALIZER]);
    bench.api::<ModelDeployment>().delete("net", &DeleteParams::default()).await.unwrap();
    gone(&bench, "net").await;
    let asked = bench.registry.asked.lock().unwrap().clone();
    assert!(!asked.is_empty());
    assert!(asked.iter().all(|one| *one == ("tags/net".into(), Untag::Everything)), "{asked:?}");
    bench.operator.stop().await;
}

#[tokio::test]
async fn what_needs_no_tags_has_no_finalizer() {
    let Some(bench) = Bench::begin("tagless", |_| {}).await else { return };
    bench.create(&deployment("net")).await;
    bench.settle("net").await;
    assert_eq!(bench.api::<ModelDeployment>().get("net").await.unwrap().metadata.finalizers, None);
    bench.api::<ModelDeployment>().delete("net", &DeleteParams::default()).await.unwrap();
    gone(&bench, "net").await;
    assert!(bench.registry.asked.lock().unwrap().is_empty());
    bench.operator.stop().await;
}

#[tokio::test]
async fn a_registry_that_is_down_delays_the_end_but_not_for_ever() {
    let Some(bench) = Bench::begin("down", |_| {}).await else { return };
    bench.create(&whole("net")).await;
    bench.settle("net").await;
    *bench.registry.down.lock().unwrap() = true;
    bench.api::<ModelDeployment>().delete("net", &DeleteParams::default()).await.unwrap();
    let ready = bench.wait_for("net", "Ready", "False", "ApplyFailed").await;
    assert!(ready.message.contains("connection refused"), "{}", ready.message);
    gone(&bench, "net").await;
    let warned = until("the warning", Duration::from_secs(5), || async {
        let events =
            bench.api::<Event>().list(&ListParams::default()).await.map_err(|error| error.to_string())?;
        let mut found =
            events.items.into_iter().filter(|one| one.reason.as_deref() == Some("ArtifactsLeftBehind"));
        found.next().ok_or_else(|| "no such event".into())
    })
    .await;
    assert!(warned.note.unwrap().contains("artifacts.test/down/net"));
    bench.operator.stop().await;
}
