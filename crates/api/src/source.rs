//! `source`: where bytes come from.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{LocalReference, schema};

/// Where a model or a data set comes from: a file, or a folder with `file` naming the one that matters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(transform = schema::closed)]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "self.uri.startsWith('oci://') || self.uri.startsWith('https://') || self.uri.startsWith('configmap://') || self.uri.startsWith('pvc://') || self.uri.startsWith('file://')",
     "message": "uri must start with oci://, https://, configmap:// or pvc://; a path of your own machine is file://model.onnx or file:///models/model.onnx, for slipway run alone"},
    {"rule": "!has(self.file) || (!self.file.startsWith('/') && !self.file.split('/').exists(part, part == '..' || part == '.' || part == ''))",
     "message": "file must be a relative path without '..', such as model.onnx"},
    {"rule": "has(self.file) || !(self.uri.startsWith('configmap://'))",
     "message": "a configmap:// source needs file: the key that holds the bytes"},
    {"rule": "!has(self.credentialsSecretRef) || self.uri.startsWith('oci://') || self.uri.startsWith('https://')",
     "message": "credentialsSecretRef is for oci:// and https:// alone; other sources need no credentials"}
]))]
pub struct Source {
    /// Where the bytes are. `oci://host/path@sha256:…`, `https://…`, `configmap://NAME` and `pvc://CLAIM/path` (in the
    /// object's own namespace), or `file://…` on your own machine. In a cluster `https://` and `oci://` reach whatever the
    /// network lets a pod reach, private addresses included: limit it with a `NetworkPolicy` on job pods. `slipway run`
    /// fetches `https://` from public addresses alone, unless `--allow-private-hosts` is given. Example: `configmap://digits-model`.
    #[schemars(length(min = 7, max = 1024))]
    pub uri: String,
    /// The file that matters when the source is a folder, a relative path. Example: `model.onnx`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub file: Option<String>,
    /// The digest that the bytes must have: of the file itself, or of the manifest for `oci://`. Of a model that keeps tensors
    /// in other files, of the list of all files: `LC_ALL=C sha256sum model.onnx model.onnx.data | sha256sum`. Example: `sha256:` and 64 hexadecimal characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 71), regex(pattern = r"^sha256:[0-9a-f]{64}$"))]
    pub digest: Option<String>,
    /// A Secret of this namespace with the credentials: `.dockerconfigjson` for `oci://`; `token` (sent as a bearer
    /// token) or `username` and `password` for `https://`, sent to the host of `uri` alone. Its key `ca.crt`, which may
    /// stand alone, holds certificates of authorities (PEM) that are trusted besides the public ones. The kubelet mounts
    /// it; the operator never reads it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials_secret_ref: Option<LocalReference>,
}

/// What a model file is; told by its own bytes when left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ModelFormat {
    /// Open Neural Network Exchange.
    Onnx,
}
