//! `slipway plan`: every object that the operator would make.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};
use slipway_api::yaml;
use slipway_plan::Desired;

use crate::{
    error::Error,
    foresight::{Foreseen, foresee},
    local::{observe, settings},
    manifests::Manifests,
    output,
};

/// Print every object that the operator would make
///
/// The operator's own plan, asked again after each step as if it had succeeded: Jobs, the revision, its Deployment and
/// all around it, in the order in which they are made. No cluster is asked. Text in <angle brackets> is known once a
/// step has run. What a cluster would refuse is refused here, with exit code 2.
#[derive(Args)]
#[command(after_help = "\
Examples:
  slipway plan -f examples/digits/
  slipway plan -f modeldeployment.yaml --json | jq -r '.items[] | .kind + \" \" + .metadata.name'")]
pub(crate) struct Plan {
    /// A YAML file, `-` for standard input, or a folder of files.
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
        let foreseen = foresee(observed, &settings(false))?;
        if foreseen.suspended {
            eprintln!("suspend is true: the operator starts nothing until it is false");
        }
        if json { output::json(&list(&foreseen)) } else { self.print(&foreseen) }
    }

    fn print(&self, foreseen: &Foreseen) -> Result<(), Error> {
        let documents = foreseen.objects.iter().map(|object| {
            let text = yaml::to_string(&object.body)
                .map_err(|source| Error::Yaml { path: self.file.clone(), source })?;
            Ok(format!("---\n# {}\n{}", about(object), text.trim_end()))
        });
        let documents = documents.collect::<Result<Vec<_>, Error>>()?;
        if documents.is_empty() { Ok(()) } else { output::print(&documents.join("\n")) }
    }
}

/// All objects as `kubectl get --output json` prints several.
fn list(foreseen: &Foreseen) -> Value {
    let items: Vec<_> = foreseen.objects.iter().map(|object| &object.body).collect();
    json!({ "apiVersion": "v1", "kind": "List", "items": items })
}

fn about(object: &Desired) -> String {
    let Desired { kind, name, .. } = object;
    match kind.as_str() {
        "Deployment" => format!("{kind} {name}; spec.serving.replicas goes through its scale subresource"),
        "ServiceMonitor" => format!("{kind} {name}; only where the cluster knows this kind"),
        _ => format!("{kind} {name}"),
    }
}
