//! What the tests share that ask others: the engine that serves, and Python.

use std::path::{Path, PathBuf};
use std::process::Command;

use slipway_model::npz::{Array, NpzFile};
use slipway_server::{BackendChoice, EngineOptions, Tensor, TensorData};

/// The models of a folder, by name.
pub fn names(models: &Path) -> Vec<String> {
    let files = models.read_dir().unwrap().map(|entry| entry.unwrap().path());
    let onnx = files.filter(|path| path.extension().is_some_and(|end| end == "onnx"));
    let mut names: Vec<String> =
        onnx.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

/// The outputs of a model in the engine that serves.
pub fn answers(path: &Path, feeds: &[(String, Array)]) -> Result<Vec<Vec<f64>>, String> {
    let engine = slipway_server::Engine::load(
        path,
        &EngineOptions { backend: BackendChoice::Rten, ..EngineOptions::default() },
    )
    .map_err(|error| error.to_string())?;
    let inputs = engine.inputs().iter().map(|spec| {
        let (_, array) = feeds.iter().find(|(name, _)| *name == spec.name).unwrap();
        let data = TensorData::from_le_bytes(spec.datatype, array.bytes()).unwrap();
        Tensor::new(array.shape().to_vec(), data).unwrap()
    });
    let outputs = engine.run(inputs.collect()).map_err(|error| error.to_string())?;
    Ok(outputs.iter().map(|tensor| tensor.data().to_f64()).collect())
}

/// The inputs of a model, by name.
pub fn feeds(path: &Path) -> Vec<(String, Array)> {
    let mut file = NpzFile::open(path).unwrap();
    let names: Vec<String> = file.names().map(str::to_owned).collect();
    names.into_iter().map(|name| (name.clone(), file.array(&name).unwrap())).collect()
}

/// Runs a script of the folder `oracle`; what it printed, when it fails.
pub fn python(script: &str, arguments: &[&PathBuf]) -> Result<(), String> {
    let cache = std::env::var_os("SLIPWAY_CACHE").map(PathBuf::from);
    let cache =
        cache.unwrap_or_else(|| PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache/slipway"));
    let program = cache.join("venv-oracle/bin/python");
    assert!(program.exists(), "{} is missing: run `make setup`", program.display());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle").join(script);
    let output = Command::new(program).arg(script).args(arguments).output().unwrap();
    if output.status.success() {
        return Ok(());
    }
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    Err(if out.is_empty() { err.into_owned() } else { out.into_owned() })
}
