//! Which engine runs a model.

use std::path::{Path, PathBuf};

use super::{Backend, LoadError, rten};

/// Which engine is to run a model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BackendChoice {
    /// ONNX Runtime where its library is here and loads the model, else the built-in engine.
    #[default]
    Auto,
    /// The built-in engine.
    Rten,
    /// ONNX Runtime, in a program that can load its library.
    OnnxRuntime,
}

/// How an engine is to run, and which one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineOptions {
    /// Threads that compute one inference, at least one.
    pub threads: usize,
    /// The engine.
    pub backend: BackendChoice,
    /// The ONNX Runtime library, or a folder with it; where absent, what `SLIPWAY_ONNXRUNTIME` names, and else it is
    /// looked for beside the program, in the project's cache and in the active Python environment.
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
        BackendChoice::Auto => onnxruntime().or_else(|reason| {
            if !reason.leaves_the_model_to_another_engine() {
                return Err(reason);
            }
            let outcome = built_in();
            if outcome.is_ok() {
                tracing::info!(%reason, "taking rten");
            }
            outcome.map_err(|other| LoadError::NoEngine { onnxruntime: reason.into(), rten: other.into() })
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
