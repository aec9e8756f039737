//! The cluster of the tests: booted once a process, gone when the process ends.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
    time::Duration,
};

use serde_json::Value;

use crate::{
    command::{cache, program, root, run},
    recorder::Recorder,
    wait,
};

/// The namespace of the operator and the registry.
pub const SYSTEM: &str = "slipway-system";

/// A real Kubernetes with Slipway installed by its chart.
pub struct Cluster {
    kubeconfig: PathBuf,
    name: String,
    pid: u64,
    recorder: OnceLock<Recorder>,
    _process: Child,
}

impl Cluster {
    /// The cluster of this process, booted at the first call: a node, Prometheus, and the chart installed.
    pub(crate) fn shared() -> &'static Self {
        static CLUSTER: OnceLock<Cluster> = OnceLock::new();
        CLUSTER.get_or_init(|| {
            let cluster = Self::boot();
            cluster.install(&[]);
            cluster
        })
    }

    fn boot() -> Self {
        let name = format!("e2e{}", std::process::id());
        let mut command = Command::new(program("slipway-cluster"));
        command.args(["up", "--level", "full", "--name", &name]);
        for image in [
            "slipway-operator",
            "slipway-operator-next",
            "slipway-server",
            "slipway-server-onnxruntime",
            "slipway-job",
            "slipway-job-onnxruntime",
        ] {
            command.arg("--image").arg(cache().join("images").join(format!("{image}.tar")));
        }
        let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut process = spawned.expect("slipway-cluster is built by `make setup`");
        let mut line = String::new();
        let stdout = process.stdout.take().expect("it is piped");
        BufReader::new(stdout).read_line(&mut line).expect("a line is read");
        let ready: Value =
            serde_json::from_str(&line).expect("the cluster did not boot; its complaint stands above");
        Self {
            kubeconfig: ready["kubeconfig"].as_str().expect("it names its kubeconfig").into(),
            name,
            pid: ready["pid"].as_u64().unwrap_or_default(),
            recorder: OnceLock::new(),
            _process: process,
        }
    }

    /// Installs or upgrades the chart with the images of this checkout, and waits for the operator.
    pub fn install(&self, more: &[&str]) {
        self.install_from(&root().join("charts/slipway"), more);
    }

    /// The same from a changed copy of the chart.
    ///
    /// # Panics
    /// With helm's standard error.
    pub fn install_from(&self, chart: &Path, more: &[&str]) {
        let mut args = vec!["upgrade", "--install", "slipway", chart.to_str().expect("a path in UTF-8")];
        let values = [
            "--set=images.operator=localhost/slipway-operator:dev",
            "--set=images.server=localhost/slipway-server:dev",
            "--set=images.serverOnnxruntime=localhost/slipway-server-onnxruntime:dev",
            "--set=images.job=localhost/slipway-job:dev",
            "--set=images.jobOnnxruntime=localhost/slipway-job-onnxruntime:dev",
            "--set=images.registry=localhost/registry:v3.1.2",
            "--set=serviceMonitors.labels.release=prometheus",
        ];
        args.extend(["--namespace", SYSTEM, "--create-namespace", "--wait", "--timeout", "180s"]);
        args.extend(values.iter().chain(more));
        self.helm(&args);
    }

    /// The record of every model deployment's states, begun at the first call.
    pub(crate) fn recorder(&self) -> &Recorder {
        self.recorder.get_or_init(|| Recorder::start(&self.kubeconfig))
    }

    /// Runs kubectl; its complaint is an error.
    ///
    /// # Errors
    /// With kubectl's standard error.
    pub fn try_kubectl(&self, args: &[&str], input: Option<&str>) -> Result<String, String> {
        run(Command::new(program("kubectl")).arg("--kubeconfig").arg(&self.kubeconfig).args(args), input)
    }

    /// Runs kubectl, which must succeed.
    ///
    /// # Panics
    /// With kubectl's standard error.
    pub fn kubectl(&self, args: &[&str]) -> String {
        self.try_kubectl(args, None).unwrap_or_else(|complaint| fail(&complaint))
    }

    /// Applies objects, as JSON or YAML text.
    ///
    /// # Panics
    /// With kubectl's standard error.
    pub fn apply(&self, namespace: &str, objects: &str) {
        self.try_kubectl(&["apply", "-n", namespace, "-f", "-"], Some(objects))
            .unwrap_or_else(|complaint| fail(&complaint));
    }

    /// Runs helm, which must succeed.
    ///
    /// # Panics
    /// With helm's standard error.
    pub fn helm(&self, args: &[&str]) -> String {
        let mut command = Command::new(program("helm"));
        run(command.env("KUBECONFIG", &self.kubeconfig).args(args), None)
            .unwrap_or_else(|complaint| fail(&complaint))
    }

    /// Objects of a kind, as JSON.
    pub fn list(&self, namespace: &str, kind: &str) -> Vec<Value> {
        let text = self.kubectl(&["get", kind, "-n", namespace, "-o", "json"]);
        let list: Value = serde_json::from_str(&text).expect("kubectl prints JSON");
        list["items"].as_array().cloned().unwrap_or_default()
    }

    /// A fresh namespace.
    pub fn namespace(&self, name: &str) -> String {
        self.kubectl(&["create", "namespace", name]);
        name.to_owned()
    }

    /// Runs a command inside the cluster's namespaces.
    ///
    /// # Errors
    /// With its standard error.
    pub fn inside(&self, args: &[&str]) -> Result<String, String> {
        let pid = self.pid.to_string();
        run(Command::new("nsenter").args(["-t", &pid, "-n", "-m", "-p"]).args(args), None)
    }

    /// Starts a command in the cluster's network alone: a server on the node's address, say.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn beside(&self, command: &Command) -> Child {
        let pid = self.pid.to_string();
        let mut entering = Command::new("nsenter");
        entering.args(["-t", &pid, "-n"]).arg(command.get_program()).args(command.get_args());
        entering.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("nsenter runs")
    }

    /// The node's address.
    pub fn address(&self) -> String {
        let path = r#"jsonpath={.items[0].status.addresses[?(@.type=="InternalIP")].address}"#;
        self.kubectl(&["get", "nodes", "-o", path])
    }

    /// A way from this machine to an address inside the cluster, such as `digits.road.svc.cluster.local:80`.
    pub fn forward(&self, address: &str) -> Forward {
        let mut command = Command::new(program("slipway-cluster"));
        command.args(["forward", "--name", &self.name, address]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().expect("slipway-cluster runs");
        let mut line = String::new();
        let stdout = process.stdout.take().expect("it is piped");
        BufReader::new(stdout).read_line(&mut line).expect("it prints an address");
        Forward { address: line.trim().to_owned(), process }
    }

    /// Ends the operator at once, as a crash would.
    pub fn kill_operator(&self) {
        self.inside(&["pkill", "-9", "-f", "slipway-operator"]).unwrap_or_else(|complaint| fail(&complaint));
    }

    /// Sets how many operators run, and waits until it is so.
    pub fn scale_operator(&self, replicas: u32) {
        self.scale_system("slipway-operator", replicas);
    }

    /// Sets how many pods a Deployment of the chart has, and waits until it is so.
    pub fn scale_system(&self, deployment: &str, replicas: u32) {
        self.kubectl(&["scale", "-n", SYSTEM, "deployment", deployment, &format!("--replicas={replicas}")]);
        wait::until("the chart's Deployment is scaled", Duration::from_mins(1), || {
            let found = self.list(SYSTEM, "pods");
            let of = |pod: &&Value| {
                let name = pod["metadata"]["name"].as_str().unwrap_or_default();
                name.starts_with(deployment) && pod["metadata"].get("deletionTimestamp").is_none()
            };
            let ready = |pod: &&Value| {
                let conditions = pod["status"]["conditions"].as_array();
                conditions.into_iter().flatten().any(|one| one["type"] == "Ready" && one["status"] == "True")
            };
            let running = found.iter().filter(of).count();
            let ready = found.iter().filter(of).filter(ready).count();
            let wanted = replicas as usize;
            if running == wanted && ready == wanted {
                Ok(())
            } else {
                Err(format!("{running} pods, {ready} ready"))
            }
        });
    }
}

/// A way into the cluster; closed when dropped.
pub struct Forward {
    /// Host and port on this machine.
    pub address: String,
    process: Child,
}

impl Drop for Forward {
    fn drop(&mut self) {
        // Its standard input closes with it, which ends it; a zombie is not left behind.
        drop(self.process.stdin.take());
        let _ended = self.process.wait();
    }
}

#[expect(clippy::panic, reason = "this is how a test fails")]
fn fail(complaint: &str) -> ! {
    panic!("{complaint}")
}
