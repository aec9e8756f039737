//! Which engine runs a model.

use std::path::{Path, PathBuf};

use super::{Backend, LoadError, rten};

/// Which engine is to run a model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BackendChoice {
    /// The built-in engine where it has every operator and type of the model, else ONNX Runtime where it is here.
    #[default]
    Auto,
    /// The built-in engine.
    Rten,
    /// ONNX Runtime, in a program that was built with it.
    OnnxRuntime,
}

/// How an engine is to run, and which one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineOptions {
    /// Threads that compute one inference, at least one.
    pub threads: usize,
    /// The engine.
    pub backend: BackendChoice,
    /// The ONNX Runtime library, or a folder with it; by default it is looked for beside the program.
    ///
    /// A process uses one library: the first that was loaded.
    pub library: Option<PathBuf>,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self { threads: 1, backend: BackendChoice::default(), library: None }
    }
}

/// Loads a model into the engine that is to run it.
pub(crate) fn load(path: &Path, options: &EngineOptions) -> Result<Box<dyn Backend>, LoadError> {
    choose(options.backend, || built_in(path, options), || onnxruntime(path, options))
}

/// Whether the engine that would be taken has what the model needs, as far as that can be told without its weights.
///
/// # Errors
/// As when loading. ONNX Runtime tells its missing operators only then.
pub(crate) fn check(path: &Path, options: &EngineOptions) -> Result<(), LoadError> {
    choose(options.backend, || rten::check(path), || check_onnxruntime(path, options))
}

fn choose<T>(
    choice: BackendChoice,
    built_in: impl FnOnce() -> Result<T, LoadError>,
    onnxruntime: impl FnOnce() -> Result<T, LoadError>,
) -> Result<T, LoadError> {
    match choice {
        BackendChoice::Rten => built_in(),
        BackendChoice::OnnxRuntime => onnxruntime(),
        BackendChoice::Auto => built_in().or_else(|reason| {
            if !reason.is_of_the_engine() {
                return Err(reason);
            }
            let outcome = onnxruntime();
            if outcome.is_ok() {
                tracing::info!(%reason, "taking ONNX Runtime");
            }
            outcome.map_err(|other| LoadError::NoEngine { built_in: reason.into(), other: other.into() })
        }),
    }
}

fn built_in(path: &Path, options: &EngineOptions) -> Result<Box<dyn Backend>, LoadError> {
    Ok(Box::new(rten::Rten::load(path, options.threads)?))
}

#[cfg(not(target_feature = "crt-static"))]
fn onnxruntime(path: &Path, options: &EngineOptions) -> Result<Box<dyn Backend>, LoadError> {
    Ok(Box::new(super::onnxruntime::OnnxRuntime::load(path, options)?))
}

#[cfg(not(target_feature = "crt-static"))]
fn check_onnxruntime(path: &Path, options: &EngineOptions) -> Result<(), LoadError> {
    super::onnxruntime::check(path, options)
}

#[cfg(target_feature = "crt-static")]
fn onnxruntime(_: &Path, _: &EngineOptions) -> Result<Box<dyn Backend>, LoadError> {
    Err(LoadError::NotBuiltIn)
}

#[cfg(target_feature = "crt-static")]
fn check_onnxruntime(_: &Path, _: &EngineOptions) -> Result<(), LoadError> {
    Err(LoadError::NotBuiltIn)
}
