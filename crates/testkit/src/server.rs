//! A real API server, gone when its handle is dropped or the test process ends.

use std::{
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use k8s_openapi::{
    api::core::v1::{Namespace, ServiceAccount},
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, Client, Config, Resource,
    api::{ObjectMeta, Patch, PatchParams, PostParams},
    client::ClientBuilder,
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::Value;

use crate::{FaultLayer, Faults, until};

/// A real API server with the project's CRD, without controllers and nodes.
pub struct ApiServer {
    kubeconfig: PathBuf,
    process: Child,
}

/// The program that boots clusters; `None` where it is not built.
pub fn cluster_binary() -> Option<PathBuf> {
    let cache = std::env::var_os("SLIPWAY_CACHE").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache/slipway")))?;
    Some(cache.join("bin/slipway-cluster")).filter(|program| program.is_file())
}

impl ApiServer {
    /// Boots one; `None`, with a printed reason, where the program that does it is missing and this is not CI.
    ///
    /// # Panics
    /// When it is missing in CI, or does not boot.
    pub async fn start() -> Option<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let Some(program) = cluster_binary() else {
            assert!(std::env::var_os("CI").is_none(), "slipway-cluster is not built; run `make setup`");
            eprintln!("skipped: slipway-cluster is not built; run `make setup`");
            return None;
        };
        // It fails only when a provider is installed already, which is as good.
        let _installed = rustls::crypto::ring::default_provider().install_default();
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("t{}-{next}", std::process::id());
        let mut command = Command::new(program);
        command.args(["up", "--level", "api", "--name", &name]);
        let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut process = spawned.expect("slipway-cluster starts");
        let stdout = process.stdout.take().expect("it is piped");
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).expect("a line is read");
        let ready: Value = serde_json::from_str(&line).expect("it boots; its complaint stands above");
        let kubeconfig = ready["kubeconfig"].as_str().expect("it names its kubeconfig").into();
        let server = Self { kubeconfig, process };
        server.define(&slipway_api::crd::crd()).await;
        Some(server)
    }

    /// A client, with no repetition of failed requests.
    ///
    /// # Panics
    /// When the server's kubeconfig is gone.
    pub async fn client(&self) -> Client {
        Client::try_from(self.config().await).expect("a client")
    }

    /// A client with a fault layer under it.
    pub async fn faulty_client(&self) -> (Client, Faults) {
        self.faulty(self.config().await)
    }

    /// A client with the rights of a user, and a fault layer under it.
    ///
    /// # Panics
    /// When the name is not a header's value, or the server's kubeconfig is gone.
    pub async fn faulty_client_as(&self, user: &str) -> (Client, Faults) {
        let mut config = self.config().await;
        let header = http::HeaderName::from_static("impersonate-user");
        config.headers.push((header, user.parse().expect("a user is a header's value")));
        self.faulty(config)
    }

    #[expect(clippy::unused_self, reason = "a client lives no longer than its server")]
    fn faulty(&self, config: Config) -> (Client, Faults) {
        let faults = Faults::default();
        let builder = ClientBuilder::try_from(config).expect("a client");
        (builder.with_layer(&FaultLayer(faults.clone())).build(), faults)
    }

    async fn config(&self) -> Config {
        let kubeconfig = Kubeconfig::read_from(&self.kubeconfig).expect("a kubeconfig");
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
        let mut config = config.expect("a whole kubeconfig");
        config.default_retry = false;
        config
    }

    /// Defines a kind, and waits until it is served.
    ///
    /// # Panics
    /// When the API refuses it.
    pub async fn define(&self, crd: &CustomResourceDefinition) {
        let api: Api<CustomResourceDefinition> = Api::all(self.client().await);
        let name = crd.meta().name.clone().expect("it has a name");
        let params = PatchParams::apply("testkit").force();
        api.patch(&name, &params, &Patch::Apply(crd)).await.expect("the CRD is accepted");
        until("the kind is established", Duration::from_secs(20), || async {
            let found = api.get(&name).await.map_err(|error| error.to_string())?;
            let conditions = found.status.and_then(|status| status.conditions).unwrap_or_default();
            let established = conditions.iter().any(|one| one.type_ == "Established" && one.status == "True");
            if established { Ok(()) } else { Err(format!("{conditions:?}")) }
        })
        .await;
    }

    /// A fresh namespace in which pods can be made.
    ///
    /// # Panics
    /// When the API refuses it.
    pub async fn namespace(&self, name: &str) -> String {
        let client = self.client().await;
        let namespaces: Api<Namespace> = Api::all(client.clone());
        let meta = |name: &str| ObjectMeta { name: Some(name.into()), ..ObjectMeta::default() };
        let namespace = Namespace { metadata: meta(name), ..Namespace::default() };
        namespaces.create(&PostParams::default(), &namespace).await.expect("a namespace");
        let accounts: Api<ServiceAccount> = Api::namespaced(client, name);
        let account = ServiceAccount { metadata: meta("default"), ..ServiceAccount::default() };
        accounts.create(&PostParams::default(), &account).await.expect("a service account");
        name.to_owned()
    }

    /// A Prometheus-operator definition that was copied by the set-up. Example: `servicemonitors`.
    ///
    /// # Panics
    /// When it is missing or not a CRD.
    pub fn prometheus_crd(plural: &str) -> CustomResourceDefinition {
        let cache = cluster_binary().expect("the set-up ran");
        let share = cache.ancestors().nth(2).expect("bin lies in the cache").join("share");
        let file = share.join(format!("prometheus-operator-crd/monitoring.coreos.com_{plural}.yaml"));
        let text = std::fs::read_to_string(&file).expect("the set-up copied it");
        let documents = slipway_api::yaml::documents(&text).expect("YAML");
        serde_json::from_value(documents.into_iter().next().expect("a document")).expect("a CRD")
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        // Its standard input closes with it, which ends it; a zombie is not left behind.
        drop(self.process.stdin.take());
        let _ended = self.process.wait();
    }
}
