//! Manifests in the CNCF ModelPack form: one raw layer a file, lineage in annotations, the same bytes for the same content.
//!
//! Source: <https://github.com/modelpack/model-spec> (`specs-go/v1`, `schema/config-schema.json`).

mod bundle;
mod media;
mod parse;

pub use bundle::{Bundle, BundleFile, Encoded};
pub use media::{ARTIFACT_TYPE, CONFIG_TYPE, MANIFEST_TYPE};
pub use parse::{Descriptor, Manifest, ManifestFile};

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::limits::MAX_FILES;
use crate::path::RelPath;

/// The annotations that Slipway writes on a manifest, and the two that name a layer's file.
pub mod annotation {
    /// What the artifact is: `model`, `dataset`, `report`, `samples` or `signature`.
    pub const KIND: &str = "dev.slipway.kind";
    /// The work key that this artifact answers, 64 hexadecimal digits.
    pub const KEY: &str = "dev.slipway.key";
    /// The digests that it was made of, separated by commas.
    pub const INPUTS: &str = "dev.slipway.inputs";
    /// The stage that made it, as canonical JSON.
    pub const STAGE: &str = "dev.slipway.stage";
    /// The tool that made it, `name/version`.
    pub const TOOL: &str = "dev.slipway.tool";
    /// What the entry file is: `onnx`, `npz` or `json`.
    pub const FORMAT: &str = "dev.slipway.format";
    /// The path of the file that matters.
    pub const ENTRY: &str = "dev.slipway.entry";
    /// Small facts, as canonical JSON.
    pub const FACTS: &str = "dev.slipway.facts";
    /// The path of a layer's file (ModelPack).
    pub const FILEPATH: &str = "org.cncf.model.filepath";
    /// The path of a layer's file as ORAS writes it; read only.
    pub const TITLE: &str = "org.opencontainers.image.title";
}

/// What an artifact is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A model: a file, or a folder with an entry.
    Model,
    /// Data for a gate or a stage.
    Dataset,
    /// What a gate or a stage found.
    Report,
    /// Golden inputs and outputs of a gate.
    Samples,
    /// The word of somebody who holds a key that another artifact is the result of a piece of work.
    Signature,
}

impl Kind {
    /// The name in annotations.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Dataset => "dataset",
            Self::Report => "report",
            Self::Samples => "samples",
            Self::Signature => "signature",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Kind {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        [Self::Model, Self::Dataset, Self::Report, Self::Samples, Self::Signature]
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| {
                let known = "it must be model, dataset, report, samples or signature";
                Error::invalid(format!("kind {text:?}"), known)
            })
    }
}

/// Where an artifact comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lineage {
    /// The work key that this artifact answers, 64 hexadecimal digits.
    pub key: Option<String>,
    /// The digests of everything it was made of, in the stage's order.
    pub inputs: Vec<Digest>,
    /// The stage that made it; written with sorted keys.
    pub stage: Option<Value>,
    /// The tool that made it, `name/version`.
    pub tool: Option<String>,
}

/// Refuses too many files, two files of one path, and a file where another path needs a folder.
pub(crate) fn check_paths<'a>(paths: impl Iterator<Item = &'a RelPath>) -> Result<()> {
    let mut all = BTreeSet::new();
    for path in paths {
        if !all.insert(path.as_str()) {
            return Err(Error::invalid(format!("path {path:?}"), "it appears twice"));
        }
        if all.len() > MAX_FILES {
            let what = "the number of files in an artifact".to_owned();
            return Err(Error::TooLarge { what, limit: MAX_FILES as u64, unit: "files" });
        }
    }
    let mut folders = BTreeSet::new();
    for path in &all {
        folders.extend(path.match_indices('/').map(|(at, _)| &path[..at]));
    }
    match all.intersection(&folders).next() {
        Some(path) => Err(Error::invalid(format!("path {path:?}"), "it is both a file and a folder")),
        None => Ok(()),
    }
}

/// JSON with sorted keys and no white space, whatever features `serde_json` was built with.
pub(crate) fn canonical(value: &Value) -> String {
    let mut value = value.clone();
    value.sort_all_objects();
    value.to_string()
}
