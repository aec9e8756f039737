//! `slipway run`: a model deployment's whole pipeline, on this machine.

use std::{
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
};

use clap::Args;
use slipway_api::ModelDeployment;
use slipway_artifacts::SharedProgress;

use crate::{
    error::Error,
    local::{Report, Road, Served, Serving, Sources, Workspace, asked_to_end, repository, serve, travel},
    manifests::Manifests,
    output, progress,
};

/// Take a ModelDeployment through the whole pipeline on this machine
///
/// Fetch, stages, gate, serve, predict. The same file that a cluster gets, judged by the same CRD and planned by the
/// same code. Artifacts are kept, so a second run computes nothing twice; each run removes what earlier runs of the
/// object left and it does not use, and the folder may be deleted at any time.
#[derive(Args)]
#[command(after_help = "\
Examples:
  slipway run -f examples/digits/
  slipway run -f modeldeployment.yaml --serve --port 8080
  slipway run -f examples/digits/ --json | jq .gate.verdict")]
pub(crate) struct Run {
    /// A YAML file, `-` for standard input, or a folder of files; `ConfigMaps` beside the ModelDeployment are read from the same files.
    #[arg(short, long)]
    file: PathBuf,
    /// Which ModelDeployment, where the files hold several.
    #[arg(long)]
    name: Option<String>,
    /// Where artifacts are kept, as OCI image layouts. Default: ~/.cache/slipway/artifacts.
    #[arg(long, env = "SLIPWAY_ARTIFACTS")]
    artifacts: Option<PathBuf>,
    /// Fetch `https://` sources from private, loopback and link-local addresses too, as a cluster does.
    ///
    /// The certificate of an authority of your own is trusted where `SSL_CERT_FILE` names it.
    #[arg(long)]
    allow_private_hosts: bool,
    /// Stay and serve until interrupted.
    #[arg(long)]
    serve: bool,
    /// The port to serve on; any free one when left out.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// The port for /metrics; any free one when left out.
    #[arg(long, default_value_t = 0)]
    metrics_port: u16,
}

/// Where the server of a run listens.
const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// What is taken through the pipeline, from where and in which folder.
struct Journey<'a> {
    manifests: &'a Manifests,
    deployment: &'a ModelDeployment,
    workspace: &'a Workspace,
    sources: &'a Sources,
    progress: SharedProgress,
}

/// Where a journey ended, and the server of what passed.
type Arrived = (Road, Result<Served, Error>);

impl Run {
    /// Whether it goes on serving when all is done.
    pub(crate) fn stays(&self) -> bool {
        self.serve
    }

    pub(crate) async fn run(self, json: bool) -> Result<(), Error> {
        let manifests = Manifests::load(&self.file)?;
        let deployment = manifests.one(self.name.as_deref())?;
        let artifacts = self.artifacts.clone().unwrap_or_else(default_artifacts);
        let base = if self.file.is_dir() { self.file.clone() } else { parent(&self.file) };
        let workspace = &Workspace::enter(&artifacts)?;
        let sources = &Sources { base, allow_private_hosts: self.allow_private_hosts };
        let (manifests, progress) = (&manifests, progress::bar(json));
        let (road, served) =
            self.arrive(&Journey { manifests, deployment, workspace, sources, progress }).await?;
        if let Some(advice) = road.advice().filter(|_| !json) {
            output::print(&format!("note: {advice}\n"))?;
        }
        if let Err(error) = road.passed() {
            show(&Report::new(&road, None), json)?;
            return Err(error);
        }
        let served = served?;
        let ended = asked_to_end()?;
        let predictions = served.predict(&road, workspace).await?;
        let serving = Serving { engine: served.engine().to_owned(), url: served.url(), predictions };
        show(&Report::new(&road, Some(serving)), json)?;
        if !self.serve && !json {
            output::print("server stopped; to keep it running: --serve --port 8080")?;
        }
        if self.serve {
            eprintln!("serving at {} (metrics at {}); Ctrl-C ends it", served.url(), served.metrics_url());
            ended.await;
        }
        served.stop().await;
        Ok(())
    }

    /// Goes the whole way; what is found damaged in the folder of artifacts is made again, once.
    async fn arrive(&self, journey: &Journey<'_>) -> Result<Arrived, Error> {
        let arrived = self.attempt(journey).await;
        let failed = match &arrived {
            Ok((_, served)) => served.as_ref().err(),
            Err(error) => Some(error),
        };
        let may_be_damage = matches!(failed, Some(Error::Artifacts(_) | Error::Pipeline { .. }));
        if may_be_damage && journey.workspace.mend(&repository(journey.deployment))? {
            eprintln!("note: artifacts of an earlier run are damaged; they are made again");
            return self.attempt(journey).await;
        }
        arrived
    }

    async fn attempt(&self, journey: &Journey<'_>) -> Result<Arrived, Error> {
        let Journey { manifests, deployment, workspace, sources, progress } = journey;
        let road = travel(manifests, deployment, workspace, sources, progress.clone()).await?;
        let ports = [(self.port, "--port"), (self.metrics_port, "--metrics-port")];
        let served = serve(&road, workspace, ports.map(|(port, _)| port)).await;
        let served = served.map_err(|error| error.with_free_ports(LOCALHOST, ports));
        Ok((road, served))
    }
}

fn show(report: &Report, json: bool) -> Result<(), Error> {
    if json { output::json(report) } else { output::print(&report.text()) }
}

fn parent(file: &Path) -> PathBuf {
    file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned()
}

/// Where artifacts are kept unless the user says otherwise: the cache folder of this user.
fn default_artifacts() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")));
    cache.unwrap_or_else(std::env::temp_dir).join("slipway/artifacts")
}
