//! Where an ONNX Runtime library usually lies.

use std::env;
use std::path::{Path, PathBuf};

/// The folders that may hold the library, in the order in which they are looked through: beside the program, in the cache
/// that `make setup` fills, and in the `onnxruntime` package of the active Python environment.
pub(super) fn usual() -> Vec<PathBuf> {
    let beside = env::current_exe().ok().and_then(|program| program.parent().map(Path::to_path_buf));
    beside.into_iter().chain(cache()).chain(python()).collect()
}

/// The library's folder in the cache, named as in the project's Makefile.
fn cache() -> Option<PathBuf> {
    let home = || Some(PathBuf::from(env::var_os("HOME")?).join(".cache/slipway"));
    let cache = env::var_os("SLIPWAY_CACHE").map(PathBuf::from).or_else(home)?;
    Some(cache.join("onnxruntime"))
}

/// The package's folder in an activated environment, in that of the first `python3` on the path, and in the user's own.
fn python() -> Vec<PathBuf> {
    let active = ["VIRTUAL_ENV", "CONDA_PREFIX"].into_iter().filter_map(env::var_os).map(PathBuf::from);
    let interpreter = env::var_os("PATH").and_then(|path| prefix_of_interpreter(&path));
    let own = env::var_os("HOME").map(|home| PathBuf::from(home).join(".local"));
    active.chain(interpreter).chain(own).flat_map(|prefix| packages(&prefix)).collect()
}

fn prefix_of_interpreter(path: &std::ffi::OsStr) -> Option<PathBuf> {
    let folder = env::split_paths(path).find(|folder| folder.join("python3").is_file())?;
    folder.parent().map(Path::to_path_buf)
}

/// The package's folder for each Python version below a prefix, in order of their names.
fn packages(prefix: &Path) -> Vec<PathBuf> {
    let Ok(entries) = prefix.join("lib").read_dir() else { return Vec::new() };
    let is_python =
        |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("python3"));
    let mut versions: Vec<_> = entries.flatten().map(|entry| entry.path()).filter(is_python).collect();
    versions.sort();
    versions.into_iter().map(|python| python.join("site-packages/onnxruntime/capi")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn package_is_found_below_the_prefix_of_an_interpreter() {
        let prefix = tempfile::tempdir().unwrap();
        let (programs, package) =
            (prefix.path().join("bin"), prefix.path().join("lib/python3.12/site-packages/onnxruntime/capi"));
        std::fs::create_dir_all(&programs).unwrap();
        std::fs::create_dir_all(&package).unwrap();
        std::fs::write(programs.join("python3"), "").unwrap();
        let path = env::join_paths([Path::new("/nowhere"), &programs]).unwrap();
        let found = prefix_of_interpreter(&path).unwrap();
        assert_eq!(packages(&found), [package]);
        assert!(packages(Path::new("/nowhere")).is_empty());
    }
}
