//! The rights that the chart gives the operator are enough for the whole road, and for nothing else.

use std::{collections::BTreeSet, process::Command, sync::Arc};

use k8s_openapi::api::{apps::v1::ControllerRevision, batch::v1::Job, core::v1::Secret};
use kube::{
    Api, Client, ResourceExt,
    api::{ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams},
    core::GroupVersionKind,
};
use serde_json::{Value, json};
use slipway_api::ModelDeployment;
use slipway_operator::{Health, Lease, Metrics, lead, run};
use slipway_testkit::{ApiServer, Faults, Simulator, Verb, cluster_binary, until};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{
    bench::{LIMIT, Registry, options, wait_for},
    cluster::lax_crd,
    converge::whole,
};

const SYSTEM: &str = "slipway-system";
/// What the operator needs of the chart to work: its rights, and the lease that it may not make itself.
const RIGHTS: [&str; 6] =
    ["ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding", "Lease"];

/// An operator with the rights of the chart, and nothing more.
struct Install {
    server: ApiServer,
    /// What the chart rendered of rights.
    rights: Vec<Value>,
    client: Client,
    faults: Faults,
    metrics: Metrics,
    shutdown: CancellationToken,
    task: JoinHandle<Result<(), slipway_operator::Error>>,
}

/// The chart's rights, as Helm renders them; `None` where it is not built.
fn render(values: &[&str]) -> Option<Vec<Value>> {
    let helm = cluster_binary().map(|program| program.with_file_name("helm")).filter(|helm| helm.is_file());
    let Some(helm) = helm else {
        assert!(std::env::var_os("CI").is_none(), "helm is not built; run `make setup`");
        eprintln!("skipped: helm is not built; run `make setup`");
        return None;
    };
    let chart = concat!(env!("CARGO_MANIFEST_DIR"), "/../../charts/slipway");
    let mut command = Command::new(helm);
    let rendered = command.args(["template", "slipway", chart, "-n", SYSTEM]).args(values).output().unwrap();
    let text = String::from_utf8(rendered.stdout).unwrap();
    let all = slipway_api::yaml::documents(&text).unwrap();
    Some(all.into_iter().filter(|object| RIGHTS.contains(&object["kind"].as_str().unwrap())).collect())
}

async fn give(client: &Client, rights: &[Value]) {
    for object in rights {
        let api_version = object["apiVersion"].as_str().unwrap();
        let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
        let kind = object["kind"].as_str().unwrap();
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        let api: Api<DynamicObject> = match object["metadata"]["namespace"].as_str() {
            Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
            None => Api::all_with(client.clone(), &resource),
        };
        let object: DynamicObject = serde_json::from_value(object.clone()).unwrap();
        api.create(&PostParams::default(), &object).await.unwrap();
    }
}

impl Install {
    /// Installs for one namespace, or for all.
    async fn begin(namespace: Option<&str>) -> Option<Self> {
        let server = ApiServer::start().await?;
        let value = namespace.map(|namespace| format!("--set=operator.namespace={namespace}"));
        let rights = render(value.as_deref().as_slice())?;
        server.define(&ApiServer::prometheus_crd("servicemonitors")).await;
        server.define(&ApiServer::prometheus_crd("prometheuses")).await;
        server.namespace(SYSTEM).await;
        if let Some(namespace) = namespace {
            server.namespace(namespace).await;
        }
        give(&server.client().await, &rights).await;
        let account = "system:serviceaccount:slipway-system:slipway-operator";
        let (client, faults) = server.faulty_client_as(account).await;
        let (shutdown, metrics) = (CancellationToken::new(), Metrics::default());
        let lease = Lease {
            namespace: SYSTEM.into(),
            name: "slipway-operator".into(),
            identity: "operator-1".into(),
        };
        let options = options(namespace, &Arc::new(Registry::default()));
        let (restricted, counted, token) = (client.clone(), metrics.clone(), shutdown.clone());
        let task = tokio::spawn(async move {
            let health = Health::default();
            let work =
                |token| run(restricted.clone(), options.clone(), counted.clone(), health.clone(), token);
            lead(restricted.clone(), &lease, &counted, &token, || (), work).await
        });
        Some(Self { server, rights, client, faults, metrics, shutdown, task })
    }

    /// Asserts that no request was forbidden, and stops.
    async fn end(self) {
        let text = self.metrics.render();
        assert!(!text.contains(r#"category="Forbidden""#), "{text}\n{:?}", self.faults.counts());
        let secrets: Api<Secret> = Api::all(self.client.clone());
        assert!(secrets.list(&ListParams::default()).await.is_err(), "no Secrets are ever listed");
        let theirs: Api<Secret> = Api::namespaced(self.client, SYSTEM);
        let refused = theirs.get("theirs").await.unwrap_err();
        assert!(matches!(&refused, kube::Error::Api(status) if status.is_forbidden()), "{refused}");
        self.shutdown.cancel();
        self.task.await.unwrap().unwrap();
    }

    /// What the rights allow, as resource and verb.
    fn granted(&self) -> BTreeSet<(String, String)> {
        let all = self.rights.iter().filter(|object| object["rules"].is_array());
        let rules = all.flat_map(|role| role["rules"].as_array().unwrap());
        let texts = |list: &Value| -> Vec<String> { serde_json::from_value(list.clone()).unwrap() };
        rules
            .flat_map(|rule| {
                let verbs = texts(&rule["verbs"]);
                let each = move |resource: String| {
                    verbs.clone().into_iter().map(move |verb| (resource.clone(), verb))
                };
                texts(&rule["resources"]).into_iter().flat_map(each)
            })
            .collect()
    }

    /// What was asked; an apply needs the right to create too.
    fn used(&self) -> BTreeSet<(String, String)> {
        let verbs = |verb: Verb| -> &[&str] {
            match verb {
                Verb::Get => &["get"],
                Verb::List => &["list"],
                Verb::Watch => &["watch"],
                Verb::Create => &["create"],
                Verb::Replace => &["update"],
                Verb::Patch => &["patch", "create"],
                Verb::Delete => &["delete"],
            }
        };
        let counts = self.faults.counts();
        let asks = counts.keys();
        asks.flat_map(|ask| verbs(ask.verb).iter().map(|verb| (ask.resource.clone(), (*verb).to_owned())))
            .collect()
    }
}

async fn patch(api: &Api<ModelDeployment>, patch: Value) {
    api.patch("net", &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
}

/// From nothing to ready, through a change of everything that can be changed.
async fn arrive(api: &Api<ModelDeployment>) {
    let forgetful = whole("net").set("/spec/rollout", json!({ "revisionHistoryLimit": 0 }));
    api.create(&PostParams::default(), &forgetful.build()).await.unwrap();
    wait_for(api, "net", "Ready", "True", "UpToDate").await;
    wait_for(api, "net", "MonitoringReady", "False", "NoPrometheus").await;
    let fewer = json!({ "spec": {
        "serving": { "replicas": 1 },
        "monitoring": { "serviceMonitor": { "enabled": false } },
        "stages": [{ "name": "small", "quantize": { "dynamic": { "granularity": "perTensor" } } }],
    } });
    patch(api, fewer).await;
    wait_for(api, "net", "Ready", "True", "UpToDate").await;
}

async fn leave(api: &Api<ModelDeployment>) {
    api.delete("net", &DeleteParams::default()).await.unwrap();
    until("the object is gone", LIMIT, || async {
        match api.get_opt("net").await {
            Ok(None) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
}

/// Waits until the object says that somebody else's is in the way, and takes that away.
async fn make_way<K>(objects: &Api<ModelDeployment>, api: &Api<K>, name: &str, kind: &str)
where
    K: kube::Resource + Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    until("the object says what is in the way", LIMIT, || async {
        let object = objects.get("net").await.map_err(|error| error.to_string())?;
        let conditions = object.status.unwrap_or_default().conditions;
        let words = format!("{kind} {name}: it exists and belongs to somebody else; rename or delete it");
        if conditions.iter().any(|one| one.message == words) {
            Ok(())
        } else {
            Err(format!("{conditions:?}"))
        }
    })
    .await;
    api.delete(name, &DeleteParams::background()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_charts_rights_suffice_for_the_whole_road_and_each_is_used() {
    let Some(install) = Install::begin(None).await else { return };
    let admin = install.server.client().await;
    let first = install.server.namespace("first").await;
    let simulator = Simulator::start(admin.clone(), &first);
    let api: Api<ModelDeployment> = Api::namespaced(admin.clone(), &first);
    arrive(&api).await;
    let revisions: Api<ControllerRevision> = Api::namespaced(admin.clone(), &first);
    let revision = revisions.list(&ListParams::default()).await.unwrap().items.remove(0);
    let (job, revision) = (simulator.jobs().remove(0), revision.name_any());

    // The names are the same in every namespace.
    let second = install.server.namespace("second").await;
    let _simulator = Simulator::start(admin.clone(), &second);
    let api_there: Api<ModelDeployment> = Api::namespaced(admin.clone(), &second);
    let jobs: Api<Job> = Api::namespaced(admin.clone(), &second);
    let theirs = json!({ "metadata": { "name": job }, "spec": { "template": { "spec": {
        "restartPolicy": "Never", "containers": [{ "name": "theirs", "image": "theirs" }] } } } });
    jobs.create(&PostParams::default(), &serde_json::from_value(theirs).unwrap()).await.unwrap();
    let revisions: Api<ControllerRevision> = Api::namespaced(admin.clone(), &second);
    let theirs = json!({ "metadata": { "name": revision }, "revision": 1, "data": {} });
    revisions.create(&PostParams::default(), &serde_json::from_value(theirs).unwrap()).await.unwrap();
    let same: ModelDeployment = api.get("net").await.unwrap();
    let same = ModelDeployment::new("net", same.spec);
    api_there.create(&PostParams::default(), &same).await.unwrap();
    make_way(&api_there, &jobs, &job, "Job").await;
    make_way(&api_there, &revisions, &revision, "ControllerRevision").await;
    wait_for(&api_there, "net", "Ready", "True", "UpToDate").await;

    let watches = || install.faults.count(Verb::Watch, "modeldeployments");
    let before = watches();
    install.server.define(&lax_crd()).await;
    // A watch of the old definition drops the fields that it does not know.
    until("the watch is begun again", LIMIT, || async {
        if watches() > before { Ok(()) } else { Err(format!("{before} watches so far")) }
    })
    .await;
    let gvk = GroupVersionKind::gvk("slipway.dev", "v1alpha1", "ModelDeployment");
    let raw: Api<DynamicObject> = Api::namespaced_with(admin, &second, &ApiResource::from_gvk(&gvk));
    let unreadable = json!({ "spec": { "ensemble": ["a"] } });
    raw.patch("net", &PatchParams::default(), &Patch::Merge(unreadable)).await.unwrap();
    until("the object says that it is not read", LIMIT, || async {
        let status = raw.get("net").await.map_err(|error| error.to_string())?.data["status"].to_string();
        if status.contains("Unparsable") { Ok(()) } else { Err(status) }
    })
    .await;
    leave(&api).await;

    let granted = install.granted();
    let unused: Vec<_> = granted.difference(&install.used()).cloned().collect();
    assert_eq!(unused, [("modeldeployments/finalizers".to_owned(), "update".to_owned())]);
    install.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rights_in_one_namespace_suffice_there_and_end_there() {
    let Some(install) = Install::begin(Some("only")).await else { return };
    let admin = install.server.client().await;
    let _simulator = Simulator::start(admin.clone(), "only");
    let api: Api<ModelDeployment> = Api::namespaced(admin, "only");
    arrive(&api).await;
    leave(&api).await;
    let everywhere: Api<Job> = Api::all(install.client.clone());
    assert!(everywhere.list(&ListParams::default()).await.is_err());
    install.end().await;
}
