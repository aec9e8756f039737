//! The media types of the ModelPack specification, version 1, raw (not archived, not compressed) forms.

use super::Kind;
use crate::path::RelPath;

/// The media type of every manifest here (OCI image manifest).
pub const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
/// The artifact type of a ModelPack manifest.
pub const ARTIFACT_TYPE: &str = "application/vnd.cncf.model.manifest.v1+json";
/// The media type of a ModelPack config.
pub const CONFIG_TYPE: &str = "application/vnd.cncf.model.config.v1+json";

const WEIGHT: &str = "application/vnd.cncf.model.weight.v1.raw";
const WEIGHT_CONFIG: &str = "application/vnd.cncf.model.weight.config.v1.raw";
const DOC: &str = "application/vnd.cncf.model.doc.v1.raw";
const CODE: &str = "application/vnd.cncf.model.code.v1.raw";
const DATASET: &str = "application/vnd.cncf.model.dataset.v1.raw";

/// The layer type of a file: by the artifact's kind, and within a model by the file's name.
pub(super) fn layer_type(kind: Kind, path: &RelPath) -> &'static str {
    match kind {
        Kind::Dataset | Kind::Samples => DATASET,
        Kind::Report | Kind::Signature => DOC,
        Kind::Model => model_layer_type(path),
    }
}

fn model_layer_type(path: &RelPath) -> &'static str {
    let name = path.file_name().to_ascii_lowercase();
    let stem = name.split('.').next().unwrap_or_default();
    if ["readme", "license", "licence", "notice", "changelog"].contains(&stem) {
        return DOC;
    }
    match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("md" | "pdf" | "rst") => DOC,
        Some("json" | "yaml" | "yml" | "toml" | "txt" | "cfg" | "vocab") => WEIGHT_CONFIG,
        Some("py" | "sh" | "ipynb") => CODE,
        _ => WEIGHT,
    }
}

/// Whether the layer's bytes are the file's own bytes, not an archive of them.
pub(super) fn is_plain(media_type: &str) -> bool {
    let archived = [".tar", "+gzip", "+zstd", "+xz", ".zip"].iter().any(|mark| media_type.contains(mark));
    !archived
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_are_typed_by_kind_and_name() {
        let of = |kind, path: &str| layer_type(kind, &path.parse().unwrap());
        assert_eq!(of(Kind::Model, "model.onnx"), WEIGHT);
        assert_eq!(of(Kind::Model, "weights.bin"), WEIGHT);
        assert_eq!(of(Kind::Model, "a/tokenizer.json"), WEIGHT_CONFIG);
        assert_eq!(of(Kind::Model, "LICENSE"), DOC);
        assert_eq!(of(Kind::Model, "modeling.py"), CODE);
        assert_eq!(of(Kind::Dataset, "holdout.npz"), DATASET);
        assert_eq!(of(Kind::Samples, "samples.npz"), DATASET);
        assert_eq!(of(Kind::Report, "report.json"), DOC);
        assert_eq!(of(Kind::Signature, "signature.json"), DOC);
    }

    #[test]
    fn archives_are_told_from_plain_files() {
        assert!(is_plain(WEIGHT));
        assert!(is_plain("application/octet-stream"));
        assert!(!is_plain("application/vnd.cncf.model.weight.v1.tar"));
        assert!(!is_plain("application/vnd.oci.image.layer.v1.tar+gzip"));
    }
}
