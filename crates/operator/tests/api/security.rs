//! Every pod that the operator has made is admitted where Pod Security "restricted" is enforced, by the API server itself.

use k8s_openapi::api::{
    apps::v1::Deployment,
    batch::v1::Job,
    core::v1::{Namespace, Pod, PodSpec},
};
use kube::{
    Api, ResourceExt,
    api::{ListParams, ObjectMeta, Patch, PatchParams, PostParams},
};
use serde_json::json;
use slipway_testkit::{deployment, until};

use crate::{
    bench::{Bench, LIMIT, server},
    converge::whole,
};

/// The pods of an object with a gate and of one without: of every Job and of every Deployment.
async fn pods(bench: &Bench) -> Vec<(String, PodSpec)> {
    bench.simulator.hold("gate");
    bench.create(&whole("net")).await;
    bench.create(&deployment("plain")).await;
    bench.wait_for("plain", "Ready", "True", "UpToDate").await;
    let jobs = bench.api::<Job>();
    let jobs = until("the gate's job", LIMIT, || async {
        let jobs = jobs.list(&ListParams::default()).await.map_err(|error| error.to_string())?.items;
        let all = jobs.iter().any(|job| job.name_any().contains("-gate-"));
        if all { Ok(jobs) } else { Err(format!("{} jobs", jobs.len())) }
    })
    .await;
    let deployments = bench.api::<Deployment>().list(&ListParams::default()).await.unwrap().items;
    let of_jobs = jobs.into_iter().map(|job| (job.name_any(), job.spec.unwrap().template.spec.unwrap()));
    let of_deployments =
        deployments.into_iter().map(|one| (one.name_any(), one.spec.unwrap().template.spec.unwrap()));
    of_jobs.chain(of_deployments).collect()
}

#[tokio::test]
async fn every_pod_is_admitted_where_pod_security_is_restricted() {
    let Some(server) = server().await else { return };
    let Some(bench) = Bench::begin("secured", |_| {}).await else { return };
    let pods = pods(&bench).await;
    let restricted = server.namespace("restricted").await;
    let namespaces: Api<Namespace> = Api::all(bench.client.clone());
    let enforce = json!({ "metadata": { "labels": { "pod-security.kubernetes.io/enforce": "restricted" } } });
    namespaces.patch(&restricted, &PatchParams::default(), &Patch::Merge(enforce)).await.unwrap();
    let api: Api<Pod> = Api::namespaced(bench.client.clone(), &restricted);
    let dry = PostParams { dry_run: true, ..PostParams::default() };
    let pod = |spec: PodSpec| Pod {
        metadata: ObjectMeta { name: Some("one".into()), ..ObjectMeta::default() },
        spec: Some(spec),
        status: None,
    };
    let mut refused = pods[0].1.clone();
    refused.security_context = None;
    assert!(api.create(&dry, &pod(refused)).await.is_err(), "the standard is enforced");
    let kinds = |part: &str| pods.iter().filter(|(name, _)| name.contains(part)).count();
    assert_eq!((kinds("net-gate-"), kinds("plain-")), (1, 1), "{:?}", pods.iter().map(|(name, _)| name));
    for (name, spec) in &pods {
        api.create(&dry, &pod(spec.clone())).await.unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    bench.simulator.end().await;
    bench.operator.stop().await;
}
