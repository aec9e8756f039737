//! Where an artifact is: a repository of a registry or a layout on disk, and which one in it.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::tag::Tag;

const REGISTRY_SCHEME: &str = "oci://";
const LAYOUT_SCHEME: &str = "oci-layout://";
const MAX_REPOSITORY: usize = 255;

/// A place that holds artifacts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Location {
    /// A repository of a registry: `oci://host[:port]/name`.
    Registry {
        /// Host and, unless it is the scheme's own, port.
        host: String,
        /// Lower-case path, such as `team-a/digits`.
        repository: String,
    },
    /// An OCI image layout directory: `oci-layout:///path`.
    Layout {
        /// The directory.
        path: PathBuf,
    },
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Registry { host, repository } => write!(f, "{REGISTRY_SCHEME}{host}/{repository}"),
            Self::Layout { path } => write!(f, "{LAYOUT_SCHEME}{}", path.display()),
        }
    }
}

/// A location with an optional tag and an optional digest.
///
/// Written `oci://host[:port]/name[:tag][@sha256:…]` or `oci-layout://path[:tag][@sha256:…]`. With both, the tag must
/// point at the digest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    /// Where.
    pub location: Location,
    /// By which name.
    pub tag: Option<Tag>,
    /// With which manifest.
    pub digest: Option<Digest>,
}

impl Reference {
    /// A reference to one manifest.
    pub const fn pinned(location: Location, digest: Digest) -> Self {
        Self { location, tag: None, digest: Some(digest) }
    }
}

impl FromStr for Reference {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let invalid = |reason: &str| Error::invalid(format!("reference {text:?}"), reason);
        if let Some(rest) = text.strip_prefix(REGISTRY_SCHEME) {
            let (rest, tag, digest) = split_suffixes(rest, true)?;
            let (host, repository) = rest
                .split_once('/')
                .ok_or_else(|| invalid("it must be oci://host[:port]/name, and the name is missing"))?;
            check_host(host).map_err(invalid)?;
            check_repository(repository).map_err(invalid)?;
            let location = Location::Registry { host: host.to_owned(), repository: repository.to_owned() };
            return Ok(Self { location, tag, digest });
        }
        if let Some(rest) = text.strip_prefix(LAYOUT_SCHEME) {
            let (path, tag, digest) = split_suffixes(rest, false)?;
            if path.is_empty() || path.contains('\0') {
                return Err(invalid("the directory is missing or holds a NUL"));
            }
            return Ok(Self { location: Location::Layout { path: PathBuf::from(path) }, tag, digest });
        }
        Err(invalid("it must start with oci:// (a registry) or oci-layout:// (a directory)"))
    }
}

/// Takes `@digest` and then `:tag` (a colon in the last part) off the end; a colon in the host belongs to its port.
fn split_suffixes(text: &str, has_host: bool) -> Result<(&str, Option<Tag>, Option<Digest>)> {
    let (text, digest) = match text.split_once('@') {
        Some((head, digest)) => (head, Some(digest.parse()?)),
        None => (text, None),
    };
    let last_part = match text.rfind('/') {
        Some(slash) => slash + 1,
        None if has_host => text.len(),
        None => 0,
    };
    match text[last_part..].rfind(':').map(|at| last_part + at) {
        Some(colon) => Ok((&text[..colon], Some(text[colon + 1..].parse()?), digest)),
        None => Ok((text, None, digest)),
    }
}

fn check_host(host: &str) -> std::result::Result<(), &'static str> {
    let (name, port) = split_port(host);
    if port.is_some_and(|port| port.parse::<u16>().map_or(true, |port| port == 0)) {
        return Err("the port must be between 1 and 65535");
    }
    let bracketed = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let valid = match bracketed {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            !name.is_empty()
                && name.len() <= 253
                && !name.starts_with(['-', '.'])
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.')
        }
    };
    if valid { Ok(()) } else { Err("the host is not a DNS name or an address") }
}

/// OCI Distribution: parts of lower-case letters and digits, joined inside by `.`, `_`, `__` or dashes.
fn check_repository(name: &str) -> std::result::Result<(), &'static str> {
    let alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let part_is_valid = |part: &str| {
        let bytes = part.as_bytes();
        let ends = bytes.first().zip(bytes.last());
        ends.is_some_and(|(first, last)| alphanumeric(*first) && alphanumeric(*last))
            && bytes.iter().all(|b| alphanumeric(*b) || matches!(b, b'.' | b'_' | b'-'))
            && !["..", "___", "._", "_.", "-.", ".-", "-_", "_-"].iter().any(|bad| part.contains(bad))
    };
    if name.len() <= MAX_REPOSITORY && name.split('/').all(part_is_valid) {
        return Ok(());
    }
    Err(
        "a repository is lower-case letters, digits and single separators in parts between slashes, at most 255",
    )
}

/// Splits `host:port`; the brackets of an IPv6 address stay with the host.
fn split_port(host: &str) -> (&str, Option<&str>) {
    match host.rsplit_once(':') {
        Some((name, port)) if !name.contains(':') || name.ends_with(']') => (name, Some(port)),
        _ => (host, None),
    }
}

/// Whether this host may be spoken to without TLS: a loopback address always, others when listed.
///
/// `listed` holds `host` or `host:port`; an entry without a port covers every port.
pub fn plain_http_allowed(host: &str, listed: &[String]) -> bool {
    let (name, _) = split_port(host);
    is_loopback(name) || listed.iter().any(|entry| entry == host || entry == name)
}

fn is_loopback(name: &str) -> bool {
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    name == "localhost" || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.location)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        self.digest.iter().try_for_each(|digest| write!(f, "@{digest}"))
    }
}

impl Serialize for Reference {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Reference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest() -> Digest {
        Digest::of(b"")
    }

    #[test]
    fn references_read_back_as_they_are_written() {
        for text in [
            "oci://registry.example/models/digits".to_owned(),
            "oci://registry.example:5000/models/digits:v1".to_owned(),
            format!("oci://127.0.0.1:5000/a@{}", digest()),
            format!("oci://[::1]:5000/a/b-c_d.e:v1@{}", digest()),
            "oci-layout:///var/lib/store:work-1".to_owned(),
            "oci-layout://build/store".to_owned(),
            "oci-layout://store:v1".to_owned(),
            format!("oci-layout:///with:colon/store@{}", digest()),
        ] {
            assert_eq!(text.parse::<Reference>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_port_is_not_a_tag() {
        let reference: Reference = "oci://localhost:5000/a".parse().unwrap();
        let location = Location::Registry { host: "localhost:5000".into(), repository: "a".into() };
        assert_eq!(reference, Reference { location, tag: None, digest: None });
    }

    #[test]
    fn malformed_references_are_refused() {
        for bad in [
            "",
            "registry.example/a",
            "docker://a/b",
            "oci://",
            "oci://host",
            "oci://host:5000",
            "oci:///a",
            "oci://host/",
            "oci://host/A",
            "oci://host/a/../b",
            "oci://host/a//b",
            "oci://host/a___b",
            "oci://host/-a",
            "oci://host/a?x=1",
            "oci://user:pw@host/a",
            "oci://host:0/a",
            "oci://host:99999/a",
            "oci://ho st/a",
            "oci://host/a:",
            "oci://host/a:-x",
            "oci://host/a@sha256:12",
            "oci://host/a@md5:12",
            "oci-layout://",
        ] {
            assert!(bad.parse::<Reference>().is_err(), "{bad}");
        }
    }

    #[test]
    fn plain_http_is_for_loopback_and_the_listed() {
        let listed = ["registry.slipway:5000".to_owned(), "cache.lan".to_owned()];
        for host in ["localhost", "localhost:5000", "127.0.0.1:5000", "127.9.9.9", "[::1]:80", "cache.lan:81"]
        {
            assert!(plain_http_allowed(host, &listed), "{host}");
        }
        assert!(plain_http_allowed("registry.slipway:5000", &listed));
        for host in [
            "registry.slipway",
            "registry.slipway:5001",
            "localhost.evil.example",
            "10.0.0.1",
            "127.evil.example",
        ] {
            assert!(!plain_http_allowed(host, &listed), "{host}");
        }
    }
}
