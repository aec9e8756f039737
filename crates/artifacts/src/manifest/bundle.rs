//! Files on disk, described for pushing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::Value;

use super::media::{ARTIFACT_TYPE, CONFIG_TYPE, MANIFEST_TYPE, layer_type};
use super::parse::Descriptor;
use super::{Kind, Lineage, annotation, canonical, check_paths};
use crate::companions::{self, Companions};
use crate::digest::{Digest, digest_file};
use crate::error::{Error, Result};
use crate::limits::{Limits, MAX_MANIFEST_BYTES};
use crate::path::RelPath;
use crate::walk;

/// One file of a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BundleFile {
    /// Its path in the artifact.
    pub path: RelPath,
    /// Where its bytes are now.
    pub local: PathBuf,
    /// Its length in bytes.
    pub size: u64,
    /// The digest of its bytes; checked again while they are pushed.
    pub digest: Digest,
}

/// An artifact that is still files on disk.
#[derive(Clone, Debug, PartialEq)]
pub struct Bundle {
    /// What it is.
    pub kind: Kind,
    /// Its files, in any order; at least one.
    pub files: Vec<BundleFile>,
    /// What the entry file is: `onnx`, `npz` or `json`.
    pub format: Option<String>,
    /// The file that matters; must be one of `files`.
    pub entry: Option<RelPath>,
    /// Where it comes from.
    pub lineage: Lineage,
    /// Small facts for readers who do not want the files.
    pub facts: Option<Value>,
}

/// A bundle's manifest and config, byte for byte as they are stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// The config blob.
    pub config: Vec<u8>,
    /// The manifest.
    pub manifest: Vec<u8>,
    /// The digest of the manifest: the artifact's name.
    pub digest: Digest,
}

impl Bundle {
    /// Describes and hashes these files; blocks. A single file becomes the entry.
    ///
    /// # Errors
    /// [`Error::Invalid`] for no file or clashing paths, [`Error::NotFound`] or [`Error::Storage`] for unreadable ones.
    pub fn from_files(kind: Kind, files: impl IntoIterator<Item = (RelPath, PathBuf)>) -> Result<Self> {
        let mut described = Vec::new();
        for (path, local) in files {
            let (digest, size) = digest_file(&local)?;
            described.push(BundleFile { path, local, size, digest });
        }
        described.sort_by(|a, b| a.path.cmp(&b.path));
        let entry = match described.as_slice() {
            [only] => Some(only.path.clone()),
            _ => None,
        };
        let bundle =
            Self { kind, files: described, format: None, entry, lineage: Lineage::default(), facts: None };
        bundle.check()?;
        Ok(bundle)
    }

    /// Describes and hashes a file, or everything in a folder; blocks.
    ///
    /// # Errors
    /// As [`Bundle::from_files`]; [`Error::NotAllowed`] for symbolic links that leave the folder and for special files;
    /// [`Error::TooLarge`] beyond `limits`.
    pub fn from_path(kind: Kind, path: &Path, limits: &Limits) -> Result<Self> {
        Self::with_companions(kind, path, limits, companions::alone)
    }

    /// Describes and hashes a file with its companions, or everything in a folder; blocks.
    ///
    /// A file that has companions is the entry.
    ///
    /// # Errors
    /// As [`Bundle::from_path`], whose limits hold for what `path` names; [`Error::NotFound`] for a companion that is not
    /// there.
    pub fn with_companions(kind: Kind, path: &Path, limits: &Limits, companions: Companions) -> Result<Self> {
        let found = walk::file_or_folder(path, limits)?;
        let is_folder = path.is_dir();
        let folder = if is_folder { path } else { path.parent().unwrap_or(Path::new(".")) };
        let mut files: BTreeMap<_, _> = found.into_iter().map(|file| (file.path, file.local)).collect();
        let own: Vec<_> = files.keys().cloned().collect();
        for entry in &own {
            for needed in companions::paths(companions, entry, &files[entry])? {
                let local = needed.join_to(folder);
                if !local.is_file() {
                    let place = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
                    let hint = "; it has to be pushed with it";
                    return Err(companions::missing(
                        needed.as_str(),
                        entry,
                        &place.display().to_string(),
                        hint,
                    ));
                }
                files.entry(needed).or_insert(local);
            }
        }
        let entry = own.into_iter().next().filter(|_| !is_folder);
        let bundle = Self::from_files(kind, files)?;
        Ok(Self { entry: entry.or(bundle.entry.clone()), ..bundle })
    }

    /// Total bytes of all files.
    pub fn size(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }

    /// The manifest and config: the same bytes for the same content, without time, host or order of files.
    ///
    /// # Errors
    /// [`Error::Invalid`] for no file, clashing paths or an entry that is not there; [`Error::TooLarge`] for a manifest
    /// over 4 MiB.
    pub fn encode(&self) -> Result<Encoded> {
        self.check()?;
        let mut files: Vec<&BundleFile> = self.files.iter().collect();
        files.sort_by(|a, b| a.path.cmp(&b.path));
        let config = self.config(&files);
        let manifest = ManifestOut {
            schema_version: 2,
            media_type: MANIFEST_TYPE,
            artifact_type: ARTIFACT_TYPE,
            config: Descriptor {
                media_type: CONFIG_TYPE.into(),
                digest: Digest::of(&config),
                size: config.len() as u64,
                annotations: BTreeMap::new(),
            },
            layers: files.iter().map(|file| self.layer(file)).collect(),
            annotations: self.annotations(),
        };
        let manifest = to_json(&manifest);
        if manifest.len() as u64 > MAX_MANIFEST_BYTES {
            return Err(Error::too_many_bytes("the manifest of this artifact", MAX_MANIFEST_BYTES));
        }
        Ok(Encoded { config, digest: Digest::of(&manifest), manifest })
    }

    fn check(&self) -> Result<()> {
        if self.files.is_empty() {
            return Err(Error::invalid("artifact", "it has no file"));
        }
        check_paths(self.files.iter().map(|file| &file.path))?;
        match &self.entry {
            Some(entry) if !self.files.iter().any(|file| file.path == *entry) => Err(Error::not_found(
                format!("file {entry:?}"),
                format!("; the artifact has {}", names(&self.files)),
            )),
            _ => Ok(()),
        }
    }

    fn config(&self, files: &[&BundleFile]) -> Vec<u8> {
        to_json(&ConfigOut {
            descriptor: BTreeMap::new(),
            modelfs: ModelFs { kind: "layers", diff_ids: files.iter().map(|file| file.digest).collect() },
            config: ConfigBody { format: self.format.as_deref() },
        })
    }

    fn layer(&self, file: &BundleFile) -> Descriptor {
        Descriptor {
            media_type: layer_type(self.kind, &file.path).into(),
            digest: file.digest,
            size: file.size,
            annotations: BTreeMap::from([(annotation::FILEPATH.into(), file.path.as_str().into())]),
        }
    }

    fn annotations(&self) -> BTreeMap<&'static str, String> {
        let Lineage { key, inputs, stage, tool } = &self.lineage;
        let inputs: Vec<String> = inputs.iter().map(ToString::to_string).collect();
        let all = [
            (annotation::KIND, Some(self.kind.to_string())),
            (annotation::KEY, key.clone()),
            (annotation::INPUTS, (!inputs.is_empty()).then(|| inputs.join(","))),
            (annotation::STAGE, stage.as_ref().map(canonical)),
            (annotation::TOOL, tool.clone()),
            (annotation::FORMAT, self.format.clone()),
            (annotation::ENTRY, self.entry.as_ref().map(ToString::to_string)),
            (annotation::FACTS, self.facts.as_ref().map(canonical)),
        ];
        all.into_iter().filter_map(|(name, value)| value.map(|value| (name, value))).collect()
    }
}

fn names(files: &[BundleFile]) -> String {
    let mut names: Vec<&str> = files.iter().take(10).map(|file| file.path.as_str()).collect();
    if files.len() > names.len() {
        names.push("…");
    }
    names.join(", ")
}

fn to_json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("strings and numbers always have a JSON form")
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ManifestOut {
    schema_version: u32,
    media_type: &'static str,
    artifact_type: &'static str,
    config: Descriptor,
    layers: Vec<Descriptor>,
    annotations: BTreeMap<&'static str, String>,
}

#[derive(Serialize)]
struct ConfigOut<'a> {
    descriptor: BTreeMap<String, String>,
    modelfs: ModelFs,
    config: ConfigBody<'a>,
}

#[derive(Serialize)]
struct ModelFs {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(rename = "diffIds")]
    diff_ids: Vec<Digest>,
}

#[derive(Serialize)]
struct ConfigBody<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<&'a str>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn file(path: &str, bytes: &[u8]) -> BundleFile {
        BundleFile {
            path: path.parse().unwrap(),
            local: PathBuf::new(),
            size: bytes.len() as u64,
            digest: Digest::of(bytes),
        }
    }

    fn bundle() -> Bundle {
        Bundle {
            kind: Kind::Model,
            files: vec![file("weights.bin", b"w"), file("model.onnx", b"m")],
            format: Some("onnx".into()),
            entry: Some("model.onnx".parse().unwrap()),
            lineage: Lineage {
                key: Some("ab".repeat(32)),
                inputs: vec![Digest::of(b"in")],
                stage: Some(json!({"b": 1, "a": {"d": 2, "c": 3}})),
                tool: Some("slipway/0.1.0".into()),
            },
            facts: Some(json!({"parameters": 3})),
        }
    }

    #[test]
    fn the_order_of_files_and_keys_does_not_change_the_digest() {
        let mut other = bundle();
        other.files.reverse();
        other.lineage.stage = Some(json!({"a": {"c": 3, "d": 2}, "b": 1}));
        assert_eq!(other.encode().unwrap(), bundle().encode().unwrap());
    }

    #[test]
    fn the_manifest_is_pinned_to_the_byte() {
        let encoded = bundle().encode().unwrap();
        let hex = Digest::of(b"m").to_string();
        let config = String::from_utf8(encoded.config).unwrap();
        assert!(
            config.starts_with(&format!(
                r#"{{"descriptor":{{}},"modelfs":{{"type":"layers","diffIds":["{hex}","#
            ))
        );
        assert!(config.ends_with(r#"]},"config":{"format":"onnx"}}"#));
        assert_eq!(
            encoded.digest.to_string(),
            "sha256:315e6678f9798e02bd7bf2ac3461d6c6e0c4be45053ac9d2d367690d1a8c0213"
        );
    }

    #[test]
    fn an_artifact_without_files_or_with_a_missing_entry_is_refused() {
        let mut empty = bundle();
        empty.files.clear();
        assert!(matches!(empty.encode(), Err(Error::Invalid { .. })));
        let mut astray = bundle();
        astray.entry = Some("other.onnx".parse().unwrap());
        let message = astray.encode().unwrap_err().to_string();
        assert!(message.contains("other.onnx") && message.contains("model.onnx"), "{message}");
    }

    #[test]
    fn clashing_paths_are_refused() {
        for path in ["model.onnx", "model.onnx/inner"] {
            let mut clashing = bundle();
            clashing.files.push(file(path, b"x"));
            assert!(matches!(clashing.encode(), Err(Error::Invalid { .. })), "{path}");
        }
    }

    #[test]
    fn oversized_facts_are_refused() {
        let mut huge = bundle();
        huge.facts = Some(json!("x".repeat(5 << 20)));
        assert!(matches!(huge.encode(), Err(Error::TooLarge { .. })));
    }
}
