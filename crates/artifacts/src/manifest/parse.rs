//! Manifests from a store: bounded, checked, and readable when other tools wrote them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::media::{MANIFEST_TYPE, is_plain};
use super::{Kind, Lineage, annotation, check_paths};
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::limits::MAX_MANIFEST_BYTES;
use crate::path::RelPath;

/// A blob as a manifest names it (OCI content descriptor).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What the blob is.
    pub media_type: String,
    /// The digest of its bytes.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// Free annotations.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// One file of a stored artifact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestFile {
    /// Its path in the artifact.
    pub path: RelPath,
    /// Its length in bytes.
    pub size: u64,
    /// The digest of its bytes.
    pub digest: Digest,
    /// Its layer's media type.
    pub media_type: String,
}

/// A stored artifact's manifest, checked: paths are safe and distinct, sizes add up, layers are plain files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    digest: Digest,
    config: Descriptor,
    files: Vec<ManifestFile>,
    entry: Option<RelPath>,
    size: u64,
    annotations: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ManifestIn {
    schema_version: u32,
    media_type: Option<String>,
    config: Descriptor,
    #[serde(default)]
    layers: Vec<Descriptor>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

impl Manifest {
    /// Reads an OCI image manifest whose layers are raw files.
    ///
    /// Layers are named by the ModelPack annotation or, as ORAS writes it, by their title.
    ///
    /// # Errors
    /// [`Error::TooLarge`] over 4 MiB or 10,000 files, [`Error::Invalid`] for anything else that is wrong.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        if bytes.len() as u64 > MAX_MANIFEST_BYTES {
            return Err(Error::too_many_bytes("manifest", MAX_MANIFEST_BYTES));
        }
        let digest = Digest::of(bytes);
        let what = format!("manifest {digest}");
        let raw: ManifestIn =
            serde_json::from_slice(bytes).map_err(|e| Error::invalid(&*what, e.to_string()))?;
        let is_image = raw.media_type.as_deref().is_none_or(|media_type| media_type == MANIFEST_TYPE);
        if raw.schema_version != 2 || !is_image {
            return Err(Error::invalid(what, format!("it is not an {MANIFEST_TYPE} of schema version 2")));
        }
        let files = raw.layers.into_iter().map(|layer| file_of(&what, layer)).collect::<Result<Vec<_>>>()?;
        if files.is_empty() {
            return Err(Error::invalid(what, "it has no layer"));
        }
        check_paths(files.iter().map(|file| &file.path))?;
        let size = files.iter().try_fold(0_u64, |sum, file| sum.checked_add(file.size));
        let size = size.ok_or_else(|| Error::invalid(&*what, "the sizes of its layers overflow"))?;
        let entry = entry_of(&what, &raw.annotations, &files)?;
        Ok(Self { digest, config: raw.config, files, entry, size, annotations: raw.annotations })
    }

    /// The digest of the manifest's bytes: the artifact's name.
    pub const fn digest(&self) -> &Digest {
        &self.digest
    }

    /// The config blob.
    pub const fn config(&self) -> &Descriptor {
        &self.config
    }

    /// The files, in the manifest's order; at least one.
    pub fn files(&self) -> &[ManifestFile] {
        &self.files
    }

    /// Total bytes of all files.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// What the artifact is; none when another tool made it.
    pub fn kind(&self) -> Option<Kind> {
        self.annotations.get(annotation::KIND)?.parse().ok()
    }

    /// The file that matters: as annotated, else the only one.
    pub const fn entry(&self) -> Option<&RelPath> {
        self.entry.as_ref()
    }

    /// What the entry is: `onnx`, `npz`, `golden` or `json`; none when another tool made it.
    pub fn format(&self) -> Option<&str> {
        self.annotations.get(annotation::FORMAT).map(String::as_str)
    }

    /// The work key that this artifact answers.
    pub fn key(&self) -> Option<&str> {
        self.annotations.get(annotation::KEY).map(String::as_str)
    }

    /// The small facts, where there are any.
    pub fn facts(&self) -> Option<Value> {
        serde_json::from_str(self.annotations.get(annotation::FACTS)?).ok()
    }

    /// All annotations of the manifest.
    pub const fn annotations(&self) -> &BTreeMap<String, String> {
        &self.annotations
    }

    /// Where it comes from.
    ///
    /// # Errors
    /// [`Error::Invalid`] when an annotation of ours cannot be read.
    pub fn lineage(&self) -> Result<Lineage> {
        let text = |name: &str| self.annotations.get(name).map(String::as_str);
        let inputs = text(annotation::INPUTS).unwrap_or_default();
        let inputs =
            inputs.split(',').filter(|part| !part.is_empty()).map(str::parse).collect::<Result<_>>()?;
        let stage = text(annotation::STAGE).map(serde_json::from_str).transpose().map_err(|e| {
            Error::invalid(format!("annotation {} of {}", annotation::STAGE, self.digest), e.to_string())
        })?;
        Ok(Lineage {
            key: self.key().map(str::to_owned),
            inputs,
            stage,
            tool: text(annotation::TOOL).map(str::to_owned),
        })
    }
}

fn file_of(what: &str, layer: Descriptor) -> Result<ManifestFile> {
    let Descriptor { media_type, digest, size, annotations } = layer;
    if !is_plain(&media_type) {
        let reason = format!("layer {digest} is an archive ({media_type}); push the files themselves, raw");
        return Err(Error::invalid(what, reason));
    }
    let path =
        annotations.get(annotation::FILEPATH).or_else(|| annotations.get(annotation::TITLE)).ok_or_else(
            || Error::invalid(what, format!("layer {digest} has no {} annotation", annotation::FILEPATH)),
        )?;
    Ok(ManifestFile { path: path.parse()?, size, digest, media_type })
}

fn entry_of(
    what: &str,
    annotations: &BTreeMap<String, String>,
    files: &[ManifestFile],
) -> Result<Option<RelPath>> {
    match (annotations.get(annotation::ENTRY), files) {
        (Some(entry), _) => match files.iter().find(|file| file.path.as_str() == entry) {
            Some(file) => Ok(Some(file.path.clone())),
            None => Err(Error::invalid(what, format!("its entry {entry:?} is not among its files"))),
        },
        (None, [only]) => Ok(Some(only.path.clone())),
        (None, _) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Bundle, BundleFile};
    use super::*;
    use serde_json::json;

    type Change = Box<dyn FnOnce(&mut Value)>;

    fn manifest(change: impl FnOnce(&mut Value)) -> Vec<u8> {
        let digest = Digest::of(b"");
        let mut value = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": digest, "size": 2},
            "layers": [{
                "mediaType": "application/octet-stream", "digest": digest, "size": 0,
                "annotations": {"org.opencontainers.image.title": "model.onnx"},
            }],
        });
        change(&mut value);
        serde_json::to_vec(&value).unwrap()
    }

    #[test]
    fn what_a_bundle_says_is_read_back() {
        let bundle = Bundle {
            kind: Kind::Samples,
            files: vec![BundleFile {
                path: "golden/samples.npz".parse().unwrap(),
                local: "x".into(),
                size: 5,
                digest: Digest::of(b"12345"),
            }],
            format: Some("npz".into()),
            entry: None,
            lineage: Lineage {
                key: Some("0f".repeat(32)),
                inputs: vec![Digest::of(b"a"), Digest::of(b"b")],
                stage: Some(json!({"name": "gate"})),
                tool: Some("slipway/0.1.0".into()),
            },
            facts: Some(json!({"n": 4})),
        };
        let encoded = bundle.encode().unwrap();
        let read = Manifest::parse(&encoded.manifest).unwrap();
        assert_eq!(*read.digest(), encoded.digest);
        assert_eq!(read.kind(), Some(Kind::Samples));
        assert_eq!(read.format(), Some("npz"));
        assert_eq!(read.lineage().unwrap(), bundle.lineage);
        assert_eq!(read.facts(), bundle.facts);
        assert_eq!(read.size(), 5);
        assert_eq!(read.entry().map(RelPath::as_str), Some("golden/samples.npz"));
        assert_eq!(read.config().digest, Digest::of(&encoded.config));
    }

    #[test]
    fn what_oras_pushed_is_readable() {
        let read = Manifest::parse(&manifest(|_| ())).unwrap();
        assert_eq!(read.files()[0].path.as_str(), "model.onnx");
        assert_eq!((read.kind(), read.format(), read.facts()), (None, None, None));
    }

    #[test]
    fn hostile_manifests_are_refused() {
        let title = "/layers/0/annotations/org.opencontainers.image.title";
        let cases: Vec<(&str, Change)> = vec![
            (
                "escaping path",
                Box::new(move |v| *v.pointer_mut(title).unwrap() = json!("../../etc/cron.d/x")),
            ),
            ("absolute path", Box::new(move |v| *v.pointer_mut(title).unwrap() = json!("/etc/passwd"))),
            ("unnamed layer", Box::new(|v| v["layers"][0]["annotations"] = json!({}))),
            (
                "archive",
                Box::new(|v| v["layers"][0]["mediaType"] = json!("application/vnd.cncf.model.weight.v1.tar")),
            ),
            ("negative size", Box::new(|v| v["layers"][0]["size"] = json!(-1))),
            ("short digest", Box::new(|v| v["layers"][0]["digest"] = json!("sha256:00"))),
            ("no layers", Box::new(|v| v["layers"] = json!([]))),
            ("an index", Box::new(|v| v["mediaType"] = json!("application/vnd.oci.image.index.v1+json"))),
            ("old schema", Box::new(|v| v["schemaVersion"] = json!(1))),
            (
                "same path twice",
                Box::new(|v| {
                    let layer = v["layers"][0].clone();
                    v["layers"] = json!([layer, layer]);
                }),
            ),
            (
                "sizes overflow",
                Box::new(|v| {
                    let mut layer = v["layers"][0].clone();
                    layer["size"] = json!(u64::MAX);
                    let mut other = layer.clone();
                    other["annotations"]["org.opencontainers.image.title"] = json!("b");
                    v["layers"] = json!([layer, other]);
                }),
            ),
            ("entry astray", Box::new(|v| v["annotations"] = json!({"dev.slipway.entry": "x"}))),
        ];
        for (name, change) in cases {
            assert!(Manifest::parse(&manifest(change)).is_err(), "{name}");
        }
        assert!(Manifest::parse(b"{").is_err());
        assert!(matches!(Manifest::parse(&vec![b' '; (4 << 20) + 1]), Err(Error::TooLarge { .. })));
    }

    #[test]
    fn too_many_files_are_refused() {
        let bytes = manifest(|v| {
            let layers: Vec<Value> = (0..10_001)
                .map(|i| {
                    json!({"mediaType": "a/b", "digest": Digest::of(b""), "size": 0,
                    "annotations": {"org.opencontainers.image.title": format!("{i}")}})
                })
                .collect();
            v["layers"] = json!(layers);
        });
        assert!(matches!(Manifest::parse(&bytes), Err(Error::TooLarge { unit: "files", .. })));
    }
}
