//! One namespace of a real API server with a running operator and simulated controllers.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::future::BoxFuture;
use k8s_openapi::api::events::v1::Event;
use kube::{
    Api, Client, ResourceExt,
    api::{ListParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use slipway_api::{ModelDeployment, condition::Condition};
use slipway_operator::{ArtifactRegistry, Health, Metrics, Options, RegistryError, run};
use slipway_plan::{Settings, Untag};
use slipway_testkit::{ApiServer, Faults, Fixture, Simulator, quiet, until};
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

/// How long anything may take on a busy machine.
pub(crate) const LIMIT: Duration = Duration::from_mins(1);
/// Longer than any debounce, and than the answer of an ended Job may be under way.
const REST: Duration = Duration::from_secs(3);

/// The server that tests share which keep to their own namespace.
pub(crate) async fn server() -> Option<&'static ApiServer> {
    static SERVER: OnceCell<Option<ApiServer>> = OnceCell::const_new();
    SERVER.get_or_init(ApiServer::start).await.as_ref()
}

/// What a registry answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Mood {
    #[default]
    Well,
    Down,
    /// It deletes nothing.
    Refusing,
}

/// A registry that notes what it is asked, and answers as it is told.
#[derive(Default)]
pub(crate) struct Registry {
    pub(crate) asked: Mutex<Vec<(String, Untag)>>,
    pub(crate) mood: Mutex<Mood>,
}

impl Registry {
    pub(crate) fn is(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }
}

impl ArtifactRegistry for Registry {
    fn untag<'a>(
        &'a self,
        repository: &'a str,
        untag: &'a Untag,
    ) -> BoxFuture<'a, Result<(), RegistryError>> {
        self.asked.lock().unwrap().push((repository.to_owned(), untag.clone()));
        let repository = self.name(repository);
        let error = |message: &str, refused| RegistryError { repository, message: message.into(), refused };
        let answer = match *self.mood.lock().unwrap() {
            Mood::Well => Ok(()),
            Mood::Down => Err(error("connection refused", false)),
            Mood::Refusing => Err(error("it does not delete", true)),
        };
        Box::pin(async move { answer })
    }

    fn name(&self, repository: &str) -> String {
        format!("artifacts.test/{repository}")
    }
}

/// An operator in this process.
pub(crate) struct Operator {
    pub(crate) shutdown: CancellationToken,
    pub(crate) task: tokio::task::JoinHandle<Result<(), slipway_operator::Error>>,
}

impl Operator {
    pub(crate) fn start(client: Client, options: Options) -> Self {
        let shutdown = CancellationToken::new();
        let task =
            tokio::spawn(run(client, options, Metrics::default(), Health::default(), shutdown.clone()));
        Self { shutdown, task }
    }

    /// Stops as at SIGTERM.
    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        tokio::time::timeout(LIMIT, self.task).await.expect("it stops").unwrap().unwrap();
    }
}

pub(crate) fn options(namespace: Option<&str>, registry: &Arc<Registry>) -> Options {
    let settings: Settings = serde_json::from_value(json!({
        "serverImage": "images.test/server:1", "jobImage": "images.test/job:1",
        "registry": "artifacts.test:5000", "registryPlainHttp": true,
    }))
    .unwrap();
    Options {
        settings,
        namespace: namespace.map(str::to_owned),
        concurrency: 4,
        registry: Arc::clone(registry) as Arc<dyn ArtifactRegistry>,
        farewell: Duration::from_secs(4),
        instance: Some("operator-1".into()),
    }
}

/// One namespace with an operator.
pub(crate) struct Bench {
    pub(crate) namespace: String,
    /// A client without faults.
    pub(crate) client: Client,
    /// The faults under the operator's client.
    pub(crate) faults: Faults,
    pub(crate) simulator: Simulator,
    pub(crate) registry: Arc<Registry>,
    pub(crate) operator: Operator,
}

impl Bench {
    /// Begins in a fresh namespace; `plan` sets up faults before the operator starts.
    pub(crate) async fn begin(name: &str, plan: impl FnOnce(&Faults)) -> Option<Self> {
        Some(Self::on(server().await?, name, plan).await)
    }

    pub(crate) async fn on(server: &ApiServer, name: &str, plan: impl FnOnce(&Faults)) -> Self {
        Self::with(server, name, plan, |_| {}).await
    }

    /// Begins in a fresh namespace of a server, with other options than usual.
    pub(crate) async fn with(
        server: &ApiServer,
        name: &str,
        plan: impl FnOnce(&Faults),
        change: impl FnOnce(&mut Options),
    ) -> Self {
        let namespace = server.namespace(name).await;
        let client = server.client().await;
        let (operators, faults) = server.faulty_client().await;
        plan(&faults);
        let simulator = Simulator::start(client.clone(), &namespace);
        let registry = Arc::new(Registry::default());
        let mut options = options(Some(&namespace), &registry);
        change(&mut options);
        let operator = Operator::start(operators, options);
        Self { namespace, client, faults, simulator, registry, operator }
    }

    pub(crate) fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    pub(crate) async fn create(&self, fixture: &Fixture) -> ModelDeployment {
        self.api().create(&PostParams::default(), &fixture.build()).await.unwrap()
    }

    /// Changes an object, as a user would.
    pub(crate) async fn patch(&self, name: &str, patch: &Value) {
        let api: Api<ModelDeployment> = self.api();
        api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    }

    pub(crate) async fn condition(&self, name: &str, condition: &str) -> Option<Condition> {
        condition_of(&self.api::<ModelDeployment>().get(name).await.unwrap(), condition)
    }

    /// Waits until a condition of the current generation has a status and a reason.
    pub(crate) async fn wait_for(
        &self,
        name: &str,
        condition: &str,
        status: &str,
        reason: &str,
    ) -> Condition {
        let api: Api<ModelDeployment> = self.api();
        wait_for(&api, name, condition, status, reason).await
    }

    /// Waits until an object is ready and the operator rests.
    pub(crate) async fn settle(&self, name: &str) {
        self.wait_for(name, "Ready", "True", "UpToDate").await;
        self.rest().await;
    }

    /// Waits until the operator neither reads nor writes.
    pub(crate) async fn rest(&self) {
        quiet(&self.faults, REST, LIMIT).await;
    }

    /// Waits until an object is gone.
    pub(crate) async fn gone(&self, name: &str) {
        let api: Api<ModelDeployment> = self.api();
        until("the object is gone", LIMIT, || async {
            match api.get_opt(name).await {
                Ok(None) => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
    }

    /// Waits for an event with a reason, and gives its words and how often it was told.
    pub(crate) async fn event(&self, reason: &str) -> (String, i32) {
        let api: Api<Event> = self.api();
        until(&format!("an event {reason}"), LIMIT, || async {
            let events = api.list(&ListParams::default()).await.map_err(|error| error.to_string())?.items;
            let mut found = events.into_iter().filter(|one| one.reason.as_deref() == Some(reason));
            let event = found.next().ok_or("no such event")?;
            let times = event.series.map_or(1, |series| series.count);
            Ok((event.note.unwrap_or_default(), times))
        })
        .await
    }

    /// The names of all objects of a kind.
    pub(crate) async fn names<K>(&self) -> Vec<String>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope>
            + Clone
            + std::fmt::Debug
            + serde::de::DeserializeOwned,
        K::DynamicType: Default,
    {
        let all = self.api::<K>().list(&ListParams::default()).await.unwrap();
        all.items.iter().map(ResourceExt::name_any).collect()
    }
}

pub(crate) async fn wait_for(
    api: &Api<ModelDeployment>,
    name: &str,
    condition: &str,
    status: &str,
    reason: &str,
) -> Condition {
    until(&format!("{name}: {condition}={status}/{reason}"), LIMIT, || async {
        let object = api.get(name).await.map_err(|error| error.to_string())?;
        let found = condition_of(&object, condition).ok_or("no such condition")?;
        let current = found.observed_generation == object.metadata.generation;
        if current && found.status == status && found.reason == reason {
            Ok(found)
        } else {
            Err(format!("{found:?}"))
        }
    })
    .await
}

fn condition_of(object: &ModelDeployment, condition: &str) -> Option<Condition> {
    let conditions = object.status.iter().flat_map(|status| &status.conditions);
    conditions.into_iter().find(|one| one.condition_type == condition).cloned()
}
