//! `configmap://`: one key of a ConfigMap, mounted by the kubelet or read from YAML.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use super::{FetchOptions, Fetched, FetchedFile, check_whole};
use crate::companions::{self, Companions};
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::landing::Landing;
use crate::path::RelPath;
use crate::store::blocking;

/// Where a ConfigMap's content is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigMapData {
    /// A folder that the kubelet mounted: keys are links into `..data`, which it switches as a whole.
    Directory(PathBuf),
    /// The bytes of each key (`data` and decoded `binaryData`).
    Bytes(BTreeMap<String, Vec<u8>>),
}

/// Fetches one key and those that belong to it; without a key, the only one.
pub(super) async fn fetch(
    name: &str,
    key: Option<&RelPath>,
    wanted: Option<&Digest>,
    dest: &Path,
    options: &FetchOptions,
) -> Result<Fetched> {
    let data = options.config_maps.get(name).cloned().ok_or_else(|| {
        let hint = match &options.files {
            Some(_) => {
                "; put it, in the namespace of the ModelDeployment, into the file or folder that -f names"
            }
            None => "; create it in the namespace of the ModelDeployment",
        };
        Error::not_found(format!("ConfigMap {name:?}"), hint)
    })?;
    let (key, wanted, dest) = (key.cloned(), wanted.copied(), dest.to_owned());
    let map = Map { what: format!("ConfigMap {name:?}"), data, limit: options.limits.max_bytes };
    let companions = options.companions;
    blocking(move || map.pinned()?.copy(key, wanted.as_ref(), &dest, companions)).await
}

/// One ConfigMap, as messages name it.
struct Map {
    what: String,
    data: ConfigMapData,
    limit: u64,
}

impl Map {
    /// The map at one version: what the kubelet mounts may be switched to another between two keys.
    fn pinned(self) -> Result<Self> {
        let data = match self.data {
            ConfigMapData::Directory(folder) => ConfigMapData::Directory(snapshot(&folder)?),
            bytes @ ConfigMapData::Bytes(_) => bytes,
        };
        Ok(Self { data, ..self })
    }

    fn copy(
        &self,
        key: Option<RelPath>,
        wanted: Option<&Digest>,
        dest: &Path,
        companions: Companions,
    ) -> Result<Fetched> {
        let path = match key {
            Some(key) => key,
            None => only_key(&self.what, &self.data)?,
        };
        // A key that is not there leaves no folder behind.
        open(&self.what, &self.data, &path)?;
        let landing = Landing::new(dest)?;
        let mut files = vec![self.take(&landing, &path, self.limit)?];
        for needed in companions::paths(companions, &path, &landing.place(&path)?)? {
            let keys = keys(&self.data)?;
            if !keys.iter().any(|key| key == needed.as_str()) {
                let hint = format!("; it has the keys: {}", keys.join(", "));
                return Err(companions::missing(needed.as_str(), &path, &self.what, &hint));
            }
            let left = self.limit.saturating_sub(files.iter().map(|file| file.size).sum());
            files.push(self.take(&landing, &needed, left)?);
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        let digest = check_whole(&format!("key {:?} of {}", path.as_str(), self.what), wanted, &files)?;
        landing.settle(files.iter().map(|file| &file.path))?;
        Ok(Fetched { files, entry: Some(path), digest })
    }

    fn take(&self, landing: &Landing, key: &RelPath, limit: u64) -> Result<FetchedFile> {
        let mut from = open(&self.what, &self.data, key)?;
        let (digest, size) = landing.write(key, &mut from, limit, |_| ())?;
        Ok(FetchedFile { path: key.clone(), size, digest })
    }
}

fn only_key(what: &str, data: &ConfigMapData) -> Result<RelPath> {
    let keys = keys(data)?;
    match keys.as_slice() {
        [only] => only.parse(),
        _ => Err(Error::invalid(what, format!("file: must name one of its keys: {}", keys.join(", ")))),
    }
}

fn keys(data: &ConfigMapData) -> Result<Vec<String>> {
    let mut keys: Vec<String> = match data {
        ConfigMapData::Bytes(bytes) => bytes.keys().cloned().collect(),
        ConfigMapData::Directory(folder) => {
            let storage = |e| Error::storage(folder, e);
            let entries = fs::read_dir(folder)
                .map_err(storage)?
                .collect::<std::io::Result<Vec<_>>>()
                .map_err(storage)?;
            entries.iter().filter_map(|entry| entry.file_name().into_string().ok()).collect()
        }
    };
    keys.retain(|key| !key.starts_with(".."));
    keys.sort();
    Ok(keys)
}

fn open(what: &str, data: &ConfigMapData, key: &RelPath) -> Result<Box<dyn Read>> {
    let missing = || -> Result<Error> {
        let keys = keys(data)?.join(", ");
        Ok(Error::not_found(
            format!("key {:?} of {what}", key.as_str()),
            format!("; it has the keys: {keys}"),
        ))
    };
    match data {
        ConfigMapData::Bytes(bytes) => match bytes.get(key.as_str()) {
            Some(bytes) => Ok(Box::new(std::io::Cursor::new(bytes.clone()))),
            None => Err(missing()?),
        },
        ConfigMapData::Directory(folder) => {
            let place = key.join_to(folder);
            let real = match fs::canonicalize(&place) {
                Ok(real) => real,
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Err(missing()?),
                Err(e) => return Err(Error::storage(&place, e)),
            };
            if !real.starts_with(folder) || !real.is_file() {
                return Err(Error::not_allowed(
                    place.display().to_string(),
                    "it is not a file inside the ConfigMap's folder",
                ));
            }
            Ok(Box::new(File::open(&real).map_err(|e| Error::storage(&real, e))?))
        }
    }
}

/// The folder of one version of a mounted ConfigMap; the kubelet never changes it, it switches `..data` to another.
fn snapshot(folder: &Path) -> Result<PathBuf> {
    let data = folder.join("..data");
    let root = if data.exists() { data } else { folder.to_owned() };
    fs::canonicalize(&root).map_err(|e| Error::storage(&root, e))
}
