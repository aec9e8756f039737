//! Where a command makes copies that nobody needs afterwards.

use std::path::PathBuf;

use clap::Args;

/// Where a command makes copies that nobody needs afterwards.
#[derive(Args, Clone)]
pub(crate) struct Scratch {
    /// The folder for temporary copies of the model, which need room on a disk. Default: the system's folder for
    /// temporary files, which may be memory.
    #[arg(long = "scratch", value_name = "DIR", value_parser = folder)]
    folder: Option<PathBuf>,
}

impl Scratch {
    /// Whether nothing was said.
    pub(crate) fn is_empty(&self) -> bool {
        self.folder.is_none()
    }

    /// The folder.
    pub(crate) fn folder(&self) -> PathBuf {
        self.folder.clone().unwrap_or_else(std::env::temp_dir)
    }
}

/// A folder that is there.
fn folder(text: &str) -> Result<PathBuf, String> {
    let folder = PathBuf::from(text);
    if folder.is_dir() { Ok(folder) } else { Err(format!("{text:?} is no folder: make it first")) }
}
