//! `index.json`: the manifests that a layout lists, with their tags.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Layout;
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::manifest::{ARTIFACT_TYPE, MANIFEST_TYPE};
use crate::tag::Tag;

const REF_NAME: &str = "org.opencontainers.image.ref.name";
const INDEX_TYPE: &str = "application/vnd.oci.image.index.v1+json";
const MAX_INDEX_BYTES: u64 = 64 << 20;

/// The index; fields that other tools wrote are kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Index {
    schema_version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    media_type: Option<String>,
    #[serde(default)]
    manifests: Vec<Entry>,
    #[serde(flatten)]
    other: Map<String, Value>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    media_type: String,
    digest: Digest,
    size: u64,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<String, String>,
    #[serde(flatten)]
    other: Map<String, Value>,
}

impl Entry {
    fn tag(&self) -> Option<Tag> {
        self.annotations.get(REF_NAME)?.parse().ok()
    }
}

impl Default for Index {
    fn default() -> Self {
        Self {
            schema_version: 2,
            media_type: Some(INDEX_TYPE.into()),
            manifests: Vec::new(),
            other: Map::new(),
        }
    }
}

impl Index {
    pub(super) fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("strings and numbers always have a JSON form")
    }

    pub(super) fn tags(&self) -> BTreeMap<Tag, Digest> {
        self.manifests.iter().filter_map(|entry| Some((entry.tag()?, entry.digest))).collect()
    }

    /// Every manifest that is listed, tagged or not.
    pub(super) fn roots(&self) -> impl Iterator<Item = Digest> {
        self.manifests.iter().map(|entry| entry.digest)
    }

    pub(super) fn list(&mut self, digest: Digest, size: u64, tags: &[Tag]) {
        self.manifests.retain(|entry| entry.tag().is_none_or(|tag| !tags.contains(&tag)));
        if tags.is_empty() && !self.manifests.iter().any(|entry| entry.digest == digest) {
            self.manifests.push(entry(digest, size, None));
        }
        self.manifests.extend(tags.iter().map(|tag| entry(digest, size, Some(tag))));
    }

    pub(super) fn untag(&mut self, tag: &Tag) -> bool {
        let before = self.manifests.len();
        self.manifests.retain(|entry| entry.tag().as_ref() != Some(tag));
        self.manifests.len() < before
    }
}

fn entry(digest: Digest, size: u64, tag: Option<&Tag>) -> Entry {
    Entry {
        media_type: MANIFEST_TYPE.into(),
        digest,
        size,
        annotations: tag.map(|tag| (REF_NAME.to_owned(), tag.to_string())).into_iter().collect(),
        other: Map::from_iter([("artifactType".to_owned(), Value::from(ARTIFACT_TYPE))]),
    }
}

impl Layout {
    pub(super) fn index_path(&self) -> PathBuf {
        self.root.join("index.json")
    }

    pub(super) fn read_index(&self) -> Result<Index> {
        let path = self.index_path();
        let storage = |e| Error::storage(&path, e);
        let mut bytes = Vec::new();
        File::open(&path)
            .map_err(storage)?
            .take(MAX_INDEX_BYTES + 1)
            .read_to_end(&mut bytes)
            .map_err(storage)?;
        if bytes.len() as u64 > MAX_INDEX_BYTES {
            return Err(Error::too_many_bytes(path.display().to_string(), MAX_INDEX_BYTES));
        }
        serde_json::from_slice(&bytes).map_err(|e| Error::invalid(path.display().to_string(), e.to_string()))
    }

    /// Reads, changes and replaces the index as one step that no other process can interleave.
    pub(super) fn change_index<T>(&self, change: impl FnOnce(&mut Index) -> T) -> Result<T> {
        let _turn = self.index_turn()?;
        let mut index = self.read_index()?;
        let answer = change(&mut index);
        self.write_aside(&self.index_path(), &index.to_json())?;
        Ok(answer)
    }
}
