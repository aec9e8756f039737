//! The URIs that name sources.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use reqwest::Url;

use crate::error::{Error, Result};
use crate::path::RelPath;
use crate::reference::Reference;

/// A parsed source URI.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceUri {
    /// `configmap://NAME`, in the object's namespace.
    ConfigMap {
        /// The ConfigMap.
        name: String,
    },
    /// `pvc://CLAIM` or `pvc://CLAIM/path`, in the object's namespace.
    Claim {
        /// The name of the `PersistentVolumeClaim`.
        claim: String,
        /// A file or folder in it; the whole volume without it.
        path: Option<RelPath>,
    },
    /// `file:///absolute` or `file://relative`.
    File {
        /// As written.
        path: PathBuf,
    },
    /// `oci://…` or `oci-layout://…`.
    Oci(Reference),
    /// `https://…`, or `http://…` where a policy lets it.
    Https(Url),
}

impl FromStr for SourceUri {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let invalid = |reason: &str| Error::invalid(format!("source {text:?}"), reason);
        let (scheme, rest) =
            text.split_once("://").ok_or_else(|| invalid("it has no scheme such as oci://"))?;
        match scheme {
            "configmap" => Ok(Self::ConfigMap { name: object_name(rest).map_err(invalid)?.to_owned() }),
            "pvc" => {
                let (claim, path) = rest.split_once('/').unwrap_or((rest, ""));
                let path = path.trim_end_matches('/');
                let path = if path.is_empty() { None } else { Some(path.parse()?) };
                Ok(Self::Claim { claim: object_name(claim).map_err(invalid)?.to_owned(), path })
            }
            "file" if rest.is_empty() || rest.contains('\0') => {
                Err(invalid("the path is missing or holds a NUL"))
            }
            "file" => Ok(Self::File { path: PathBuf::from(rest) }),
            "oci" | "oci-layout" => text.parse().map(Self::Oci),
            "https" | "http" => url(text).map(Self::Https),
            _ => Err(invalid("its scheme is not one of oci, https, configmap, pvc and file")),
        }
    }
}

impl fmt::Display for SourceUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ConfigMap { name } => write!(f, "configmap://{name}"),
            Self::Claim { claim, path: None } => write!(f, "pvc://{claim}"),
            Self::Claim { claim, path: Some(path) } => write!(f, "pvc://{claim}/{path}"),
            Self::File { path } => write!(f, "file://{}", path.display()),
            Self::Oci(reference) => reference.fmt(f),
            Self::Https(url) => url.fmt(f),
        }
    }
}

fn url(text: &str) -> Result<Url> {
    let url = Url::parse(text).map_err(|e| Error::invalid(format!("URL {text:?}"), e.to_string()))?;
    if url.username().is_empty() && url.password().is_none() {
        return Ok(url);
    }
    // The message leaves the URL out: it holds a password.
    Err(Error::invalid("URL", "it holds a user name or password; give credentials in a Secret instead"))
}

/// A DNS subdomain, as Kubernetes names its objects.
fn object_name(name: &str) -> std::result::Result<&str, &'static str> {
    let edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let valid = name.len() <= 253
        && name.starts_with(edge)
        && name.ends_with(edge)
        && name.chars().all(|c| edge(c) || c == '-' || c == '.');
    if valid { Ok(name) } else { Err("the object's name is missing or not a DNS name") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_read_back_as_they_are_written() {
        for text in [
            "configmap://digits-model",
            "pvc://models",
            "pvc://models/bert/v1/model.onnx",
            "file:///srv/model.onnx",
            "file://models/digits",
            "oci://registry.example:5000/models/digits:v1",
            "https://models.example/a/model.onnx?version=1",
        ] {
            assert_eq!(text.parse::<SourceUri>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn malformed_uris_are_refused() {
        for bad in [
            "",
            "model.onnx",
            "s4://a/b",
            "configmap://",
            "configmap://a/b",
            "configmap://A",
            "configmap://../x",
            "pvc://",
            "pvc:///x",
            "pvc://a/../b",
            "pvc://a//b",
            "file://",
            "oci://host",
            "https://",
            "https://u:p@h/x",
        ] {
            assert!(bad.parse::<SourceUri>().is_err(), "{bad}");
        }
        let message = "https://user:s3cret@host/x".parse::<SourceUri>().unwrap_err().to_string();
        assert!(!message.contains("s3cret"));
    }
}
