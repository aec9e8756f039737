//! Users' sources: where a model or a data set is fetched from, one file a scheme.
//!
//! Every fetch writes aside, verifies, and then moves all files into place. What a source is afterwards is its digest:
//! of the bytes of a single file, of the manifest of an artifact, of the list of files of a folder.

mod configmap;
mod file;
mod folder;
mod https;
mod oci;
mod pvc;
mod uri;

pub use configmap::ConfigMapData;
pub use https::{Authorization, HttpsPolicy};
pub use uri::SourceUri;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::companions::{Companions, alone};
use crate::digest::{Digest, Hasher};
use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::path::RelPath;
use crate::progress::{SharedProgress, silent};
use crate::registry::RegistryOptions;
use crate::store::blocking;

/// What to fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceSpec {
    /// Where it is.
    pub uri: SourceUri,
    /// The file that matters in a folder or an artifact; the key of a ConfigMap.
    pub file: Option<RelPath>,
    /// What it must be: the digest of the file that matters, where no other belongs to it; of the manifest for `oci://`;
    /// of the whole list of files.
    pub digest: Option<Digest>,
}

/// What this machine or pod can reach, and how far a fetch may go.
#[derive(Clone, Debug)]
pub struct FetchOptions {
    /// Bounds on what is written.
    pub limits: Limits,
    /// Who hears of the progress.
    pub progress: SharedProgress,
    /// How to speak to registries.
    pub registry: RegistryOptions,
    /// Which URLs may be fetched.
    pub https: HttpsPolicy,
    /// Each ConfigMap by name.
    pub config_maps: BTreeMap<String, ConfigMapData>,
    /// Where volume claims are mounted, by name.
    pub claims: BTreeMap<String, PathBuf>,
    /// Which files belong to the file that matters: they are fetched with it where a source is one file.
    pub companions: Companions,
    /// The folder that relative `file://` and layout paths start from; without it both schemes are refused.
    pub files: Option<PathBuf>,
}

impl Default for FetchOptions {
    /// Registries and public `https://` hosts only, default limits, no progress.
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            progress: silent(),
            registry: RegistryOptions::default(),
            https: HttpsPolicy::default(),
            config_maps: BTreeMap::new(),
            claims: BTreeMap::new(),
            companions: alone,
            files: None,
        }
    }
}

/// One file that was fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedFile {
    /// Its path in the destination.
    pub path: RelPath,
    /// Its length in bytes.
    pub size: u64,
    /// The digest of its bytes.
    pub digest: Digest,
}

/// A source that lies in the destination folder now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// Its files, sorted by path; at least one.
    pub files: Vec<FetchedFile>,
    /// The file that matters: as the spec or the artifact says, else the only one.
    pub entry: Option<RelPath>,
    /// The content: of the bytes of a single file, of the manifest of an artifact, of the list of files of a folder.
    pub digest: Digest,
}

impl Fetched {
    /// Total bytes of all files.
    pub fn size(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }
}

/// Fetches a source into a folder, which is created when it is missing, and verifies it.
///
/// # Errors
/// Every [`crate::Category`]: the message names the source and what to do; on failure the folder is as before.
pub async fn fetch(spec: &SourceSpec, dest: &Path, options: &FetchOptions) -> Result<Fetched> {
    let (file, wanted) = (spec.file.as_ref(), spec.digest.as_ref());
    match &spec.uri {
        SourceUri::ConfigMap { name } => configmap::fetch(name, file, wanted, dest, options).await,
        SourceUri::Claim { claim, path } => {
            let (place, root) = pvc::place(claim, path.as_ref(), options)?;
            local(place, Some(root), spec, dest, options).await
        }
        SourceUri::File { path } => {
            let place = file::place(path, options)?;
            local(place, None, spec, dest, options).await
        }
        SourceUri::Oci(reference) => oci::fetch(reference, file, wanted, dest, options).await,
        SourceUri::Https(url) => https::fetch(url, file, wanted, dest, options).await,
    }
}

async fn local(
    place: PathBuf,
    root: Option<PathBuf>,
    spec: &SourceSpec,
    dest: &Path,
    options: &FetchOptions,
) -> Result<Fetched> {
    let copy = folder::Copy {
        place,
        root,
        file: spec.file.clone(),
        wanted: spec.digest,
        dest: dest.to_owned(),
        limits: options.limits,
        progress: options.progress.clone(),
        companions: options.companions,
    };
    blocking(move || copy.run()).await
}

/// The digest of a folder: SHA-256 over the lines `<64 hex digits>  <path>\n`, sorted by path.
///
/// The same as `LC_ALL=C sha256sum $(find * -type f | LC_ALL=C sort) | sha256sum` inside the folder.
pub fn folder_digest(files: &[FetchedFile]) -> Digest {
    let mut sorted: Vec<&FetchedFile> = files.iter().collect();
    sorted.sort_by(|a, b| a.path.cmp(&b.path));
    let mut hasher = Hasher::new();
    for FetchedFile { path, digest, .. } in sorted {
        hasher.update(format!("{}  {path}\n", digest.hex()).as_bytes());
    }
    hasher.finish().0
}

/// Refuses content that has none of the digests that it may be named by.
fn check_wanted(what: &str, wanted: Option<&Digest>, content: &Digest, entry: Option<&Digest>) -> Result<()> {
    match wanted {
        Some(wanted) if wanted != content && entry != Some(wanted) => Err(Error::DigestMismatch {
            what: what.to_owned(),
            wanted: *wanted,
            got: *entry.unwrap_or(content),
        }),
        _ => Ok(()),
    }
}

/// The content of a file and its companions: of its own bytes where it is alone, else of the list of files.
///
/// A digest of the file that matters says nothing of the weights beside it, so it does not name them all.
fn check_whole(what: &str, wanted: Option<&Digest>, files: &[FetchedFile]) -> Result<Digest> {
    let (content, list) = match files {
        [only] => (only.digest, ""),
        _ => (folder_digest(files), " (the list of its files)"),
    };
    check_wanted(&format!("{what}{list}"), wanted, &content, None).map(|()| content)
}

/// The file that matters, which must be among those that were found.
fn choose_entry(what: &str, file: Option<&RelPath>, files: &[FetchedFile]) -> Result<Option<RelPath>> {
    match (file, files) {
        (Some(file), _) if files.iter().any(|found| found.path == *file) => Ok(Some(file.clone())),
        (Some(file), _) => {
            let some: Vec<&str> = files.iter().take(10).map(|found| found.path.as_str()).collect();
            Err(Error::not_found(format!("file {file:?} in {what}"), format!("; it has {}", some.join(", "))))
        }
        (None, [only]) => Ok(Some(only.path.clone())),
        (None, _) => Ok(None),
    }
}

#[cfg(test)]
mod tests;
