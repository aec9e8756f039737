//! Files that belong to another: the weights that a model keeps in files beside its own.

use std::path::Path;

use crate::error::{Error, Result};
use crate::path::RelPath;

/// Tells which files another one needs, as paths relative to its folder; nothing here knows what a model is.
pub type Companions = fn(&Path) -> Vec<String>;

/// Says that a file needs no other.
pub fn alone(_: &Path) -> Vec<String> {
    Vec::new()
}

/// The companions of a file, by their paths beside `entry`; `local` is where its bytes lie now.
pub(crate) fn paths(tell: Companions, entry: &RelPath, local: &Path) -> Result<Vec<RelPath>> {
    let beside = |name: String| match entry.as_str().rsplit_once('/') {
        Some((folder, _)) => format!("{folder}/{name}").parse(),
        None => name.parse(),
    };
    // A model may name itself: that is for who reads it to refuse.
    let needed: Result<Vec<RelPath>> = tell(local).into_iter().map(beside).collect();
    Ok(needed?.into_iter().filter(|path| path != entry).collect())
}

/// One that is not where the others are; `hint` begins with punctuation.
pub(crate) fn missing(name: &str, entry: &RelPath, place: &str, hint: &str) -> Error {
    Error::not_found(format!("{name:?} (tensors of {:?}) in {place}", entry.as_str()), hint)
}
