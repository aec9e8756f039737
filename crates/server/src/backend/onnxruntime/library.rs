//! The ONNX Runtime library: found, and loaded once for the whole process.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use ort::LoadDynamicError;
use ort::environment::Environment;
use ort::logging::LogLevel;

use super::{LoadError, places};

/// How the files of all versions begin.
const FILE: &str = "libonnxruntime.so";
/// The last version that sends nothing over the network by itself; a newer one has sent something before it can be told
/// not to, unless the environment tells it.
const LAST_SILENT: u32 = 28;
/// What a newer library looks for in the environment.
const SILENCE: &str = "ORT_DISABLE_TELEMETRY";

/// The version of a file whose name tells none.
const UNKNOWN: &str = "of unknown version";

/// Names the library, or a folder with it.
const VARIABLE: &str = "SLIPWAY_ONNXRUNTIME";

/// A loaded library.
#[derive(Clone)]
pub(super) struct Library {
    pub(super) environment: Environment,
    pub(super) version: String,
    path: PathBuf,
}

/// Kept until the process ends: a library that was unloaded cannot be loaded again.
static LOADED: Mutex<Option<Library>> = Mutex::new(None);

impl Library {
    /// Loads the library that is named, by argument or environment, or else the first that is found in the usual places.
    pub(super) fn load(named: Option<&Path>) -> Result<Self, LoadError> {
        let from_environment = std::env::var_os(VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from);
        match named.or(from_environment.as_deref()) {
            Some(place) => Self::load_from(&find(place)?),
            None => Self::load_usual(),
        }
    }

    /// Loads the first usable library in the usual places; what is unusable is passed over with its reason.
    fn load_usual() -> Result<Self, LoadError> {
        let mut passed_over = Vec::new();
        for place in places::usual().iter().filter(|place| holds_library(place)) {
            match find(place).and_then(|path| Self::load_from(&path)) {
                Ok(library) => return Ok(library),
                Err(error) => passed_over.push(error),
            }
        }
        Err(LoadError::NoLibrary { passed_over })
    }

    fn load_from(path: &Path) -> Result<Self, LoadError> {
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(library) = &*loaded {
            if library.path == path {
                return Ok(library.clone());
            }
            let other = library.path.display();
            return Err(unusable(path, format!("this process uses {other} already")));
        }
        let library = Self::open(path.to_path_buf())?;
        tracing::debug!(path = %library.path.display(), version = library.version, "ONNX Runtime loaded");
        *loaded = Some(library.clone());
        Ok(library)
    }

    fn open(path: PathBuf) -> Result<Self, LoadError> {
        let version = version(&path);
        if may_report(&version) && std::env::var_os(SILENCE).is_none_or(|value| value != "1") {
            return Err(LoadError::WouldReport { path: path.display().to_string(), version });
        }
        let builder = ort::init_from(&path).map_err(|error| unusable(&path, reason(&error)))?;
        let environment = builder
            .with_name("slipway")
            .with_telemetry(false)
            .with_logger(Arc::new(log))
            .build()
            .map_err(|error| unusable(&path, error.to_string()))?;
        environment.set_log_level(LogLevel::Warning);
        Ok(Self { environment, version, path })
    }
}

/// The library file in a place: the file itself, or the newest one in a folder.
fn find(place: &Path) -> Result<PathBuf, LoadError> {
    let file = if place.is_dir() { inside(place)? } else { place.to_path_buf() };
    // The name behind a link tells the version.
    std::fs::canonicalize(&file).map_err(|error| unusable(&file, error.to_string()))
}

fn holds_library(place: &Path) -> bool {
    place.is_dir() && inside(place).is_ok()
}

fn inside(folder: &Path) -> Result<PathBuf, LoadError> {
    let entries = std::fs::read_dir(folder).map_err(|error| unusable(folder, error.to_string()))?;
    let is_library = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(FILE)) && path.is_file()
    };
    let newest = entries.flatten().map(|entry| entry.path()).filter(is_library).max();
    newest.ok_or_else(|| unusable(folder, format!("there is no {FILE} in it")))
}

/// The end of the file's name: the C interface tells the version only before the library is initialised.
fn version(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    match name.strip_prefix(FILE).and_then(|end| end.strip_prefix('.')) {
        Some(version) if !version.is_empty() => version.to_owned(),
        _ => UNKNOWN.to_owned(),
    }
}

/// Whether a version sends telemetry, or does not say which one it is.
fn may_report(version: &str) -> bool {
    let mut parts = version.split('.').map(str::parse::<u32>);
    !matches!((parts.next(), parts.next()), (Some(Ok(1)), Some(Ok(minor))) if minor <= LAST_SILENT)
}

fn reason(error: &LoadDynamicError) -> String {
    match error {
        LoadDynamicError::Dlopen { error, .. } => {
            error.source().map_or_else(|| error.to_string(), ToString::to_string)
        }
        LoadDynamicError::MissingApi { .. } => "it is not ONNX Runtime".to_owned(),
        LoadDynamicError::InvalidVersionString => "it does not tell its version".to_owned(),
        LoadDynamicError::BadVersion { version_str, .. } => format!("its version is {version_str}"),
    }
}

fn unusable(path: &Path, message: String) -> LoadError {
    LoadError::Library { path: path.display().to_string(), message }
}

fn log(level: LogLevel, _category: &str, _id: &str, place: &str, message: &str) {
    match level {
        LogLevel::Verbose => tracing::trace!(target: "onnxruntime", place, "{message}"),
        LogLevel::Info => tracing::debug!(target: "onnxruntime", place, "{message}"),
        LogLevel::Warning => tracing::warn!(target: "onnxruntime", place, "{message}"),
        LogLevel::Error | LogLevel::Fatal => tracing::error!(target: "onnxruntime", place, "{message}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_is_told_by_the_files_name() {
        assert_eq!(version(Path::new("/lib/libonnxruntime.so.1.32.0")), "1.32.0");
        assert_eq!(version(Path::new("/lib/libonnxruntime.so")), UNKNOWN);
        assert_eq!(version(Path::new("/lib/mine.so")), UNKNOWN);
    }

    #[test]
    fn only_old_versions_are_known_to_be_silent() {
        assert!(!may_report("1.17.3") && !may_report("1.28.0"));
        assert!(may_report("1.29.0") && may_report("2.0.0") && may_report(UNKNOWN) && may_report("1"));
    }
}
