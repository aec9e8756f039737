//! How an artifact's bytes move into and out of each kind of store.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::on_disk;
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::landing::Landing;
use crate::layout::Layout;
use crate::manifest::{Bundle, BundleFile, Encoded, Manifest};
use crate::progress::{SharedProgress, silent};
use crate::registry::{Content, Registry};
use crate::tag::Tag;

pub(super) async fn push_to_layout(
    layout: &Layout,
    bundle: &Bundle,
    encoded: Encoded,
    tags: &[Tag],
    progress: &SharedProgress,
) -> Result<Digest> {
    let argument = (bundle.files.clone(), tags.to_vec(), Arc::clone(progress));
    let push = move |layout: &Layout,
                     (files, tags, progress): &(Vec<BundleFile>, Vec<Tag>, SharedProgress)| {
        let writer = layout.writer()?;
        for BundleFile { local, size, digest, .. } in files {
            let mut file = File::open(local).map_err(|e| Error::storage(local, e))?;
            writer.put(digest, *size, &mut file, |bytes| progress.advance(bytes))?;
        }
        writer.put_bytes(&encoded.config)?;
        writer.put_bytes(&encoded.manifest)?;
        writer.list(&encoded.digest, tags)?;
        Ok(encoded.digest)
    };
    on_disk(layout, &argument, push).await
}

pub(super) async fn push_to_registry(
    registry: &Registry,
    bundle: &Bundle,
    encoded: &Encoded,
    tags: &[Tag],
    progress: &SharedProgress,
) -> Result<Digest> {
    let mut pushed = BTreeSet::new();
    for file in &bundle.files {
        if pushed.insert(file.digest) {
            registry.push_blob(&file.digest, file.size, &file.local, progress).await?;
        }
    }
    let config = Content::Bytes(&encoded.config);
    registry
        .push_content(&Digest::of(&encoded.config), encoded.config.len() as u64, config, &silent())
        .await?;
    registry.put_manifest(&encoded.manifest, None).await?;
    for tag in tags {
        registry.put_manifest(&encoded.manifest, Some(tag)).await?;
    }
    Ok(encoded.digest)
}

pub(super) async fn pull_from_layout(
    layout: &Layout,
    manifest: &Manifest,
    dest: &Path,
    progress: &SharedProgress,
) -> Result<()> {
    let argument = (manifest.clone(), dest.to_owned(), Arc::clone(progress));
    let pull = |layout: &Layout, (manifest, dest, progress): &(Manifest, PathBuf, SharedProgress)| {
        let landing = Landing::new(dest)?;
        for file in manifest.files() {
            let place = landing.place(&file.path)?;
            let mut to = File::create(&place).map_err(|e| Error::storage(&place, e))?;
            layout.copy_blob(&file.digest, file.size, &mut to, |bytes| progress.advance(bytes))?;
        }
        landing.settle(manifest.files().iter().map(|file| &file.path))
    };
    on_disk(layout, &argument, pull).await
}

pub(super) async fn pull_from_registry(
    registry: &Registry,
    manifest: &Manifest,
    dest: &Path,
    progress: &SharedProgress,
) -> Result<()> {
    let landing = Landing::new(dest)?;
    for file in manifest.files() {
        let place = landing.place(&file.path)?;
        registry.pull_blob(&file.digest, file.size, &place, progress).await?;
    }
    landing.settle(manifest.files().iter().map(|file| &file.path))
}
