//! The files that a user would `kubectl apply`: one file or every YAML file of a folder.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;
use slipway_api::{GROUP, KIND, ModelDeployment, VERSION, yaml};

use crate::{admission, error::Error};

/// Files larger than this are not manifests; etcd would not take them either.
const MAX_BYTES: u64 = 4 << 20;

/// What a folder of manifests holds for us: model deployments, and the `ConfigMap`s that they read.
#[derive(Debug, Default)]
pub(crate) struct Manifests {
    /// Model deployments with their defaults, in file order.
    pub(crate) deployments: Vec<ModelDeployment>,
    /// `ConfigMap`s by name: the bytes of each key.
    pub(crate) config_maps: BTreeMap<String, BTreeMap<String, Vec<u8>>>,
}

impl Manifests {
    /// Reads one file, or every `.yaml`, `.yml` and `.json` file of a folder in the order of their names.
    ///
    /// Kinds of others are passed over, as they mean nothing here.
    ///
    /// # Errors
    /// A file that cannot be read or is no YAML, a model deployment that the CRD refuses, bad base64.
    pub(crate) fn load(path: &Path) -> Result<Self, Error> {
        let mut manifests = Self::default();
        for file in files(path)? {
            for document in documents(&file)? {
                manifests.take(&file, &document)?;
            }
        }
        Ok(manifests)
    }

    /// The one model deployment that a command works on.
    ///
    /// # Errors
    /// When there is none, or several and no name.
    pub(crate) fn one(&self, name: Option<&str>) -> Result<&ModelDeployment, Error> {
        let names: Vec<_> = self.deployments.iter().filter_map(|one| one.metadata.name.as_deref()).collect();
        let found = self
            .deployments
            .iter()
            .find(|one| name.is_none_or(|name| one.metadata.name.as_deref() == Some(name)));
        match found {
            Some(found) if name.is_some() || names.len() == 1 => Ok(found),
            Some(_) => {
                Err(Error::Usage(format!("there are several: {}; choose one with --name", names.join(", "))))
            }
            None if names.is_empty() => {
                Err(Error::Usage(format!("there is no {KIND} of {GROUP} in these files")))
            }
            None => Err(Error::Usage(format!("no {KIND} has that name; there is {}", names.join(", ")))),
        }
    }

    fn take(&mut self, file: &Path, document: &Value) -> Result<(), Error> {
        let api_version = document["apiVersion"].as_str().unwrap_or_default();
        let kind = document["kind"].as_str().unwrap_or_default();
        if kind == KIND && api_version.starts_with(&format!("{GROUP}/")) {
            if api_version != format!("{GROUP}/{VERSION}") {
                return Err(Error::Usage(format!(
                    "{}: {api_version} is not known; write {GROUP}/{VERSION}",
                    file.display()
                )));
            }
            let admitted = admission::admit(document).map_err(|refused| {
                let name = document["metadata"]["name"].as_str().unwrap_or("?").to_owned();
                Error::Refused { file: file.to_owned(), name, refused }
            })?;
            self.deployments.push(admitted);
        } else if kind == "ConfigMap" && api_version == "v1" {
            let (name, data) = config_map(document)
                .map_err(|message| Error::Usage(format!("{}: {message}", file.display())))?;
            self.config_maps.insert(name, data);
        }
        Ok(())
    }
}

fn config_map(document: &Value) -> Result<(String, BTreeMap<String, Vec<u8>>), String> {
    let name = document["metadata"]["name"].as_str().ok_or("a ConfigMap has no name")?.to_owned();
    let mut data = BTreeMap::new();
    for (key, text) in document["data"].as_object().into_iter().flatten() {
        data.insert(key.clone(), text.as_str().unwrap_or_default().as_bytes().to_vec());
    }
    for (key, text) in document["binaryData"].as_object().into_iter().flatten() {
        let text: String = text.as_str().unwrap_or_default().split_whitespace().collect();
        let bytes = STANDARD
            .decode(text)
            .map_err(|error| format!("ConfigMap {name}, key {key}: not base64: {error}"))?;
        data.insert(key.clone(), bytes);
    }
    Ok((name, data))
}

fn files(path: &Path) -> Result<Vec<PathBuf>, Error> {
    let read = |source| Error::Read { path: path.to_owned(), source };
    if !fs::metadata(path).map_err(read)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let is_manifest = |path: &PathBuf| {
        let extension = path.extension().and_then(|extension| extension.to_str());
        path.is_file() && matches!(extension, Some("yaml" | "yml" | "json"))
    };
    let entries = fs::read_dir(path).map_err(read)?.collect::<Result<Vec<_>, _>>().map_err(read)?;
    let mut files: Vec<_> = entries.into_iter().map(|entry| entry.path()).filter(is_manifest).collect();
    files.sort();
    Ok(files)
}

fn documents(file: &Path) -> Result<Vec<Value>, Error> {
    let read = |source| Error::Read { path: file.to_owned(), source };
    let size = fs::metadata(file).map_err(read)?.len();
    if size > MAX_BYTES {
        return Err(Error::Usage(format!("{}: {size} bytes is too large for a manifest", file.display())));
    }
    let text = fs::read_to_string(file).map_err(read)?;
    yaml::documents(&text).map_err(|source| Error::Yaml { path: file.to_owned(), source })
}
