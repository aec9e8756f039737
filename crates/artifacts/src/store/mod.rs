//! A place for artifacts, whichever kind it is: push, pull, resolve and tag by the same words.

mod transfer;

use std::path::{Path, PathBuf};

use crate::companions::Companions;
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::layout::Layout;
use crate::limits::Limits;
use crate::manifest::{Bundle, Kind, Manifest};
use crate::path::RelPath;
use crate::progress::SharedProgress;
use crate::reference::{Location, Reference};
use crate::registry::{Registry, RegistryOptions};
use crate::tag::Tag;

/// A repository of a registry, or a layout on disk; cheap to clone.
#[derive(Clone, Debug)]
pub enum Store {
    /// On disk.
    Layout(Layout),
    /// In a registry.
    Registry(Registry),
}

/// An artifact whose files are on disk, verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pulled {
    /// Its manifest.
    pub manifest: Manifest,
    /// The folder that holds its files under their paths.
    pub root: PathBuf,
}

impl Pulled {
    /// Where a file of the artifact is.
    pub fn path(&self, file: &RelPath) -> PathBuf {
        file.join_to(&self.root)
    }

    /// Where the file that matters is: as annotated, else the only one.
    pub fn entry_path(&self) -> Option<PathBuf> {
        self.manifest.entry().map(|entry| self.path(entry))
    }
}

impl Store {
    /// Opens a store; a layout is created when it is missing, and to a registry nothing is sent yet.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a folder of something else or bad options, [`Error::Storage`].
    pub fn open(location: &Location, options: &RegistryOptions) -> Result<Self> {
        match location {
            Location::Registry { host, repository } => {
                Ok(Self::Registry(Registry::new(host, repository, options)?))
            }
            Location::Layout { path } => Ok(Self::Layout(Layout::create(path)?)),
        }
    }

    /// Stores an artifact with all its files and points these tags at it; without tags it is found by digest alone.
    ///
    /// The same content gives the same digest, and what is already stored is not moved again.
    ///
    /// # Errors
    /// As [`Bundle::encode`]; [`Error::DigestMismatch`] or [`Error::Protocol`] when a file changed since it was
    /// described; as every request to a registry.
    pub async fn push(&self, bundle: &Bundle, tags: &[Tag], progress: &SharedProgress) -> Result<Digest> {
        let encoded = bundle.encode()?;
        progress.start(&format!("push {}", bundle.kind), Some(bundle.size()));
        let pushed = match self {
            Self::Layout(layout) => transfer::push_to_layout(layout, bundle, encoded, tags, progress).await,
            Self::Registry(registry) => {
                transfer::push_to_registry(registry, bundle, &encoded, tags, progress).await
            }
        };
        progress.finish();
        pushed
    }

    /// Brings an artifact's files into a folder: verified aside, then all moved into place.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::TooLarge`] before anything is moved, [`Error::DigestMismatch`], and as every
    /// request to a registry.
    pub async fn pull(
        &self,
        digest: &Digest,
        dest: &Path,
        limits: &Limits,
        progress: &SharedProgress,
    ) -> Result<Pulled> {
        let manifest = self.manifest(digest).await?;
        check_limits(&manifest, limits)?;
        progress.start("pull", Some(manifest.size()));
        let pulled = match self {
            Self::Layout(layout) => transfer::pull_from_layout(layout, &manifest, dest, progress).await,
            Self::Registry(registry) => {
                transfer::pull_from_registry(registry, &manifest, dest, progress).await
            }
        };
        progress.finish();
        pulled.map(|()| Pulled { manifest, root: dest.to_owned() })
    }

    /// The manifest that a tag points at.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a damaged layout, and as every request to a registry.
    pub async fn resolve(&self, tag: &Tag) -> Result<Option<Digest>> {
        match self {
            Self::Layout(layout) => on_disk(layout, tag, Layout::resolve).await,
            Self::Registry(registry) => registry.resolve(tag).await,
        }
    }

    /// The manifest that a reference means: its digest, else its tag, else `latest`.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a missing tag, [`Error::DigestMismatch`] when the reference's tag points elsewhere than
    /// its digest, and as [`Store::resolve`].
    pub async fn find(&self, reference: &Reference) -> Result<Digest> {
        let (tag, digest) = match (&reference.tag, &reference.digest) {
            (None, Some(digest)) => return Ok(*digest),
            (Some(tag), digest) => (tag.clone(), *digest),
            (None, None) => ("latest".parse()?, None),
        };
        let found = self.resolve(&tag).await?;
        let found =
            found.ok_or_else(|| Error::not_found(format!("tag {tag} in {}", reference.location), ""))?;
        match digest {
            Some(wanted) => {
                crate::error::check_digest(&reference.to_string(), &wanted, &found).map(|()| found)
            }
            None => Ok(found),
        }
    }

    /// Reads and verifies a manifest.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::DigestMismatch`], [`Error::TooLarge`], [`Error::Invalid`] for a malformed one.
    pub async fn manifest(&self, digest: &Digest) -> Result<Manifest> {
        match self {
            Self::Layout(layout) => on_disk(layout, digest, Layout::manifest).await,
            Self::Registry(registry) => Manifest::parse(&registry.manifest_bytes(digest).await?),
        }
    }

    /// Removes a tag; false when it was not there. The content stays until garbage is collected.
    ///
    /// # Errors
    /// [`Error::NotAllowed`] when the registry does not delete tags, and as every request to a registry.
    pub async fn untag(&self, tag: &Tag) -> Result<bool> {
        match self {
            Self::Layout(layout) => on_disk(layout, tag, Layout::untag).await,
            Self::Registry(registry) => registry.untag(tag).await,
        }
    }

    /// All tags, sorted.
    ///
    /// # Errors
    /// As [`Store::resolve`].
    pub async fn tags(&self) -> Result<Vec<Tag>> {
        match self {
            Self::Layout(layout) => {
                on_disk(layout, &(), |layout, ()| Ok(layout.tags()?.into_keys().collect())).await
            }
            Self::Registry(registry) => registry.tags().await,
        }
    }
}

/// Describes a file with its companions, or a folder, pushes it and returns its digest; the reference's tag, if any, will point at it.
///
/// # Errors
/// [`Error::DigestMismatch`] when the reference names another digest than the content has; nothing is pushed then.
/// Otherwise as [`Bundle::with_companions`] and [`Store::push`].
pub async fn push_path(
    path: &Path,
    reference: &Reference,
    kind: Kind,
    companions: Companions,
    options: &RegistryOptions,
    progress: &SharedProgress,
) -> Result<Digest> {
    let owned = path.to_owned();
    let describe = move || Bundle::with_companions(kind, &owned, &Limits::default(), companions);
    let bundle = blocking(describe).await?;
    if let Some(wanted) = &reference.digest {
        crate::error::check_digest(&path.display().to_string(), wanted, &bundle.encode()?.digest)?;
    }
    let tags: Vec<Tag> = reference.tag.iter().cloned().collect();
    Store::open(&reference.location, options)?.push(&bundle, &tags, progress).await
}

/// Runs blocking work on the thread pool that is for it.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(e) if e.is_panic() => std::panic::resume_unwind(e.into_panic()),
        Err(_) => Err(Error::Storage {
            path: PathBuf::new(),
            source: std::io::Error::other("the runtime is shutting down"),
        }),
    }
}

async fn on_disk<A: Clone + Send + 'static, T: Send + 'static>(
    layout: &Layout,
    argument: &A,
    work: impl FnOnce(&Layout, &A) -> Result<T> + Send + 'static,
) -> Result<T> {
    let (layout, argument) = (layout.clone(), argument.clone());
    blocking(move || work(&layout, &argument)).await
}

fn check_limits(manifest: &Manifest, limits: &Limits) -> Result<()> {
    let what = format!("artifact {}", manifest.digest());
    if manifest.size() > limits.max_bytes {
        return Err(Error::too_many_bytes(what, limits.max_bytes));
    }
    if manifest.files().len() > limits.max_files {
        return Err(Error::TooLarge { what, limit: limits.max_files as u64, unit: "files" });
    }
    Ok(())
}
