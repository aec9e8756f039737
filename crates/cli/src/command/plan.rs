//! `slipway plan`: every object that the operator would make now.

use std::path::PathBuf;

use clap::Args;
use slipway_api::yaml;
use slipway_plan::plan;

use crate::{
    error::Error,
    local::{observe, settings},
    manifests::Manifests,
    output,
};

/// Print every object that the operator would make first for a ModelDeployment, without a cluster.
///
/// Later objects depend on digests that only the first Jobs find out.
#[derive(Args)]
#[command(after_help = "Example:\n  slipway plan -f examples/digits/")]
pub(crate) struct Plan {
    /// A YAML file, or a folder of them.
    #[arg(short, long)]
    file: PathBuf,
    /// Which ModelDeployment, where the files hold several.
    #[arg(long)]
    name: Option<String>,
}

impl Plan {
    pub(crate) fn run(self, json: bool) -> Result<(), Error> {
        let manifests = Manifests::load(&self.file)?;
        let observed = observe(manifests.one(self.name.as_deref())?);
        let plan = plan(&observed, &settings());
        if json {
            output::json(&plan);
            return Ok(());
        }
        for desired in &plan.apply {
            let text = yaml::to_string(&desired.body)
                .map_err(|source| Error::Yaml { path: self.file.clone(), source })?;
            print!("---\n{text}");
        }
        Ok(())
    }
}
