//! The files that a user would `kubectl apply`: one file or every YAML file of a folder.

use std::{
    collections::BTreeMap,
    fs,
    io::Read,
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;
use slipway_api::{GROUP, KIND, ModelDeployment, VERSION, yaml};
use slipway_model::regular;

use crate::{admission, error::Error};

/// Files larger than this are not manifests; etcd would not take them either.
pub(crate) const MAX_BYTES: u64 = 4 << 20;

/// The path that stands for standard input.
pub(crate) const STDIN: &str = "-";

/// What a folder of manifests holds for us: model deployments, and the `ConfigMap`s that they read.
#[derive(Debug, Default)]
pub(crate) struct Manifests {
    /// Model deployments with their defaults, in file order.
    pub(crate) deployments: Vec<ModelDeployment>,
    /// `ConfigMap`s by namespace and name.
    config_maps: BTreeMap<(String, String), Bytes>,
}

/// The bytes of each key of a `ConfigMap`.
pub(crate) type Bytes = BTreeMap<String, Vec<u8>>;

/// The namespace of what names none.
pub(crate) const DEFAULT_NAMESPACE: &str = "default";

impl Manifests {
    /// Reads one file (`-` is standard input), or every `.yaml`, `.yml` and `.json` file of a folder in the order of their names.
    ///
    /// Kinds of others are passed over, as they mean nothing here.
    ///
    /// # Errors
    /// A file that cannot be read or is no YAML, a model deployment that the CRD refuses, bad base64.
    pub(crate) fn load(path: &Path) -> Result<Self, Error> {
        let mut manifests = Self::default();
        if path == Path::new(STDIN) {
            let named = Path::new("standard input");
            for document in read(named, std::io::stdin().lock())? {
                manifests.take(named, &document)?;
            }
            return Ok(manifests);
        }
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

    /// The `ConfigMap`s of a namespace, by name: nothing reads those of another.
    pub(crate) fn config_maps(&self, namespace: &str) -> impl Iterator<Item = (&str, &Bytes)> {
        let own = self.config_maps.iter().filter(move |((its, _), _)| its == namespace);
        own.map(|((_, name), bytes)| (name.as_str(), bytes))
    }

    fn take(&mut self, file: &Path, document: &Value) -> Result<(), Error> {
        let api_version = document["apiVersion"].as_str().unwrap_or_default();
        let kind = document["kind"].as_str().unwrap_or_default();
        let is_ours = api_version.is_empty() || api_version.starts_with(&format!("{GROUP}/"));
        if is_ours && kind != KIND && kind.eq_ignore_ascii_case(KIND) {
            return Err(Error::Usage(format!("{}: kind {kind} is not known: write {KIND}", file.display())));
        }
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
            let namespace = document["metadata"]["namespace"].as_str().unwrap_or(DEFAULT_NAMESPACE);
            self.config_maps.insert((namespace.to_owned(), name), data);
        }
        Ok(())
    }
}

fn config_map(document: &Value) -> Result<(String, Bytes), String> {
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
    let opened = regular::open(file).map_err(|source| Error::Read { path: file.to_owned(), source })?;
    read(file, opened)
}

/// The documents of a file, or of what is read in its place.
fn read(file: &Path, from: impl Read) -> Result<Vec<Value>, Error> {
    let mut text = String::new();
    let read = from.take(MAX_BYTES + 1).read_to_string(&mut text);
    let bytes = read.map_err(|source| Error::Read { path: file.to_owned(), source })?;
    if u64::try_from(bytes).is_ok_and(|bytes| bytes > MAX_BYTES) {
        let limit = MAX_BYTES;
        return Err(Error::Usage(format!(
            "{}: more than {limit} bytes are too large for a manifest",
            file.display()
        )));
    }
    yaml::documents(&text).map_err(|source| Error::Yaml { path: file.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_config_map_is_that_of_its_namespace() {
        let folder = tempfile::tempdir().unwrap();
        let map = |namespace: &str, text: &str| {
            format!(
                "apiVersion: v1\nkind: ConfigMap\nmetadata: {{ name: m{namespace} }}\ndata: {{ k: {text} }}\n---\n"
            )
        };
        let text = map("", "ours") + &map(", namespace: other", "theirs");
        fs::write(folder.path().join("maps.yaml"), text).unwrap();
        let manifests = Manifests::load(folder.path()).unwrap();
        for (namespace, text) in [("default", "ours"), ("other", "theirs")] {
            let maps: Vec<_> = manifests.config_maps(namespace).collect();
            assert_eq!(maps.len(), 1, "{namespace}");
            assert_eq!((maps[0].0, maps[0].1["k"].as_slice()), ("m", text.as_bytes()));
        }
        assert_eq!(manifests.config_maps("elsewhere").count(), 0);
    }
}
