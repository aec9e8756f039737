//! Which engine takes a model, and what is said where none does.
#![allow(clippy::unwrap_used, reason = "a helper that cannot work fails its test")]

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::{doubling, engine, write};
use slipway_server::{BackendChoice, Engine, LoadError};

const FOREST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/models/iris.onnx");

fn load(path: &Path, backend: BackendChoice) -> Result<Engine, LoadError> {
    Engine::load(path, &engine(backend))
}

#[test]
fn auto_takes_onnx_runtime_where_its_library_is() {
    let (_folder, path) = write(&doubling(), "model.onnx");
    let wanted = if cfg!(target_feature = "crt-static") { "rten" } else { "onnxruntime" };
    assert_eq!(load(&path, BackendChoice::Auto).unwrap().name(), wanted);
}

#[test]
fn built_in_engine_alone_names_what_it_lacks() {
    let error = load(FOREST.as_ref(), BackendChoice::Rten).unwrap_err();
    assert_eq!(error.to_string(), "rten cannot run ai.onnx.ml.TreeEnsembleClassifier, ai.onnx.ml.ZipMap");
}

#[cfg(not(target_feature = "crt-static"))]
#[test]
fn auto_takes_onnx_runtime_for_operators_that_the_built_in_engine_lacks() {
    let engine = load(FOREST.as_ref(), BackendChoice::Auto).unwrap();
    assert_eq!(engine.name(), "onnxruntime");
    assert!(engine.version().starts_with("1."), "{}", engine.version());
}

#[cfg(not(target_feature = "crt-static"))]
#[test]
fn operator_that_no_engine_has_is_named_by_both() {
    let model = doubling().node("Mystery", &["x"], &["z"]);
    let (_folder, path) = write(&model, "model.onnx");
    let error = load(&path, BackendChoice::Auto).unwrap_err();
    assert_eq!(error.category(), "UnsupportedOperators");
    let message = error.to_string();
    let (built_in, other) = message.split_once("; ONNX Runtime cannot load the model: ").unwrap();
    assert_eq!(built_in, "rten cannot run ai.onnx.Mystery");
    assert!(other.contains("Mystery"), "{message}");
}

#[cfg(target_feature = "crt-static")]
#[test]
fn program_without_onnx_runtime_says_which_image_has_it() {
    let elsewhere = "this program cannot load ONNX Runtime: the images slipway-server-onnxruntime and slipway-job-onnxruntime have it";
    let error = load(FOREST.as_ref(), BackendChoice::Auto).unwrap_err();
    let lacks = "rten cannot run ai.onnx.ml.TreeEnsembleClassifier, ai.onnx.ml.ZipMap";
    assert_eq!(error.to_string(), format!("{lacks}; {elsewhere}"));
    assert_eq!(error.category(), "UnsupportedOperators");
    let error = load(FOREST.as_ref(), BackendChoice::OnnxRuntime).unwrap_err();
    assert_eq!((error.to_string().as_str(), error.category()), (elsewhere, "EngineMissing"));
}

/// What the program says when it cannot start with a library, in an environment that keeps newer libraries silent or not.
fn complaint(library: &Path, silent: bool) -> String {
    let mut program = Command::new(env!("CARGO_BIN_EXE_slipway-server"));
    program.args(["serve", "--name", "m", "--http-port", "0", "--metrics-port", "0", "--model", FOREST]);
    program.args(["--address", "127.0.0.1", "--backend", "onnxruntime", "--onnxruntime-library"]);
    program.env_remove("ORT_DISABLE_TELEMETRY").envs(silent.then_some(("ORT_DISABLE_TELEMETRY", "1")));
    let output = program.arg(library).output().unwrap();
    assert!(!output.status.success());
    String::from_utf8(output.stderr).unwrap()
}

/// A library that calls itself ONNX Runtime of some version.
fn impostor(folder: &Path, version: &str) -> PathBuf {
    let (source, library) = (folder.join("impostor.c"), folder.join("libonnxruntime.so.1"));
    let code = format!(
        "static const void *api(unsigned v) {{ return 0; }}\n\
         static const char *version(void) {{ return \"{version}\"; }}\n\
         static struct {{ const void *(*a)(unsigned); const char *(*v)(void); }} base = {{ api, version }};\n\
         const void *OrtGetApiBase(void) {{ return &base; }}\n"
    );
    std::fs::write(&source, code).unwrap();
    let made = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(source).status();
    assert!(made.unwrap().success());
    library
}

#[cfg(not(target_feature = "crt-static"))]
#[test]
fn library_that_cannot_be_used_is_named_with_the_reason() {
    const EM_AARCH64: u8 = 183;
    let folder = tempfile::tempdir().unwrap();
    let old = impostor(folder.path(), "1.16.3");
    let foreign = folder.path().join("foreign.so");
    let mut elf = std::fs::read(&old).unwrap();
    elf[18] = EM_AARCH64;
    std::fs::write(&foreign, elf).unwrap();
    let other = folder.path().join("other.so");
    let made = Command::new("cc").args(["-shared", "-x", "c", "/dev/null", "-o"]).arg(&other).status();
    assert!(made.unwrap().success());
    let empty = folder.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    for (library, reason) in [
        (folder.path().join("gone.so"), "No such file"),
        (empty, "there is no libonnxruntime.so in it"),
        (old, "its version is 1.16.3"),
        (other, "it is not ONNX Runtime"),
        (PathBuf::from(FOREST), "invalid ELF header"),
        (foreign, "cannot open shared object file"),
    ] {
        let complaint = complaint(&library, true);
        let named = format!("cannot use the ONNX Runtime library {}: ", library.display());
        assert!(complaint.contains(&named), "{complaint}");
        assert!(complaint.contains(reason), "{reason}: {complaint}");
        assert!(complaint.contains("version 1.17 or newer"), "{complaint}");
    }
}

#[cfg(not(target_feature = "crt-static"))]
#[test]
fn library_that_would_report_to_its_makers_is_not_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let library = folder.path().join("libonnxruntime.so.1.29.0");
    std::fs::rename(impostor(folder.path(), "1.16.3"), &library).unwrap();
    let refused = complaint(&library, false);
    assert!(refused.contains("run with ORT_DISABLE_TELEMETRY=1"), "{refused}");
    let loaded = complaint(&library, true);
    assert!(loaded.contains("its version is 1.16.3"), "{loaded}");
}

#[cfg(target_feature = "crt-static")]
#[test]
fn static_program_refuses_to_load_a_library() {
    let folder = tempfile::tempdir().unwrap();
    let complaint = complaint(&impostor(folder.path(), "1.32.0"), true);
    assert!(complaint.contains("this program cannot load ONNX Runtime"), "{complaint}");
}
