//! `slipway push`: a model file or folder to a registry.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use slipway_artifacts::{Companions, Credentials, Kind, Reference, RegistryOptions, alone, push_path};
use slipway_model::sniff::{FileFormat, sniff_file};
use slipway_optimizer::work;

use crate::{error::Error, output, progress};

/// Push a model or a data set to an OCI registry or a folder, and print its digest
///
/// A file or a folder becomes a ModelPack artifact; files in which an ONNX model keeps its tensors, such as
/// `model.onnx.data`, go with it. Credentials are those of `docker login` (`~/.docker/config.json`).
#[derive(Args)]
#[command(after_help = "\
Examples:
  slipway push model.onnx oci://registry.example/models/net:1
  slipway push model/ oci://localhost:5000/models/net --plain-http localhost:5000
  slipway push model.onnx oci-layout://artifacts/net:1")]
pub(crate) struct Push {
    /// The file or folder.
    path: PathBuf,
    /// Where it goes: `oci://HOST[:PORT]/PATH[:TAG]`, or `oci-layout://DIR[:TAG]` for an OCI image layout on this machine.
    reference: Reference,
    /// Hosts that are spoken to over HTTP instead of HTTPS.
    #[arg(long)]
    plain_http: Vec<String>,
    /// What it is: a model, or a data set.
    #[arg(long, value_enum, default_value_t = What::Model)]
    kind: What,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum What {
    Model,
    Dataset,
}

impl Push {
    pub(crate) async fn run(self, json: bool) -> Result<(), Error> {
        self.refuse_other_formats()?;
        let (kind, companions): (_, Companions) = match self.kind {
            What::Model => (Kind::Model, work::companions),
            What::Dataset => (Kind::Dataset, alone),
        };
        let options = RegistryOptions {
            plain_http: self.plain_http,
            credentials: credentials()?,
            ..RegistryOptions::default()
        };
        let bar = progress::bar(json);
        let digest = push_path(&self.path, &self.reference, kind, companions, &options, &bar).await?;
        let pinned = Reference { digest: Some(digest), ..self.reference }.to_string();
        if json {
            output::json(&json!({ "digest": digest.to_string(), "reference": pinned }))
        } else {
            output::print(&pinned)
        }
    }
}

impl Push {
    /// Refuses a file that is plainly no model: nothing here could do anything with it.
    fn refuse_other_formats(&self) -> Result<(), Error> {
        match (self.kind, sniff_file(&self.path)) {
            (What::Model, Ok(format)) if !matches!(format, FileFormat::Onnx | FileFormat::Unknown) => {
                let path = self.path.display();
                Err(Error::Usage(format!("{path} is {format}, not an ONNX model: {}", push_advice(format))))
            }
            _ => Ok(()),
        }
    }
}

fn push_advice(format: FileFormat) -> &'static str {
    match format {
        FileFormat::Npz => "data is pushed with --kind dataset",
        other => other.to_onnx(),
    }
}

fn credentials() -> Result<Credentials, Error> {
    let folder = std::env::var_os("DOCKER_CONFIG").map(PathBuf::from);
    let folder = folder.or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".docker")));
    let Some(path) = folder.map(|folder| folder.join("config.json")).filter(|path| path.exists()) else {
        return Ok(Credentials::default());
    };
    let bytes = std::fs::read(&path).map_err(|source| Error::Read { path, source })?;
    Ok(Credentials::from_docker_config(&bytes)?)
}
