//! Both engines give the same answers to the same model and inputs, within what rounding explains.
#![cfg(not(target_feature = "crt-static"))]
#![allow(clippy::unwrap_used, reason = "a helper that cannot work fails its test")]

mod common;

use std::path::{Path, PathBuf};

use common::{cache, engine, pseudo_inputs};
use slipway_server::{BackendChoice, Engine};

/// Cosine of the angle between two answers.
fn cosine(left: &[f64], right: &[f64]) -> f64 {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    dot(left, right) / (dot(left, left) * dot(right, right)).sqrt()
}

fn engines_agree(model: &Path) {
    let load = |backend| Engine::load(model, &engine(backend)).unwrap();
    let (rten, onnxruntime) = (load(BackendChoice::Rten), load(BackendChoice::OnnxRuntime));
    assert_eq!(rten.inputs(), onnxruntime.inputs());
    assert_eq!(rten.outputs(), onnxruntime.outputs());
    let inputs = pseudo_inputs(&rten, 8);
    let answers = [rten.run(inputs.clone()).unwrap(), onnxruntime.run(inputs).unwrap()];
    for (left, right) in answers[0].iter().zip(&answers[1]) {
        assert_eq!((left.shape(), left.datatype()), (right.shape(), right.datatype()));
        let cosine = cosine(&left.data().to_f64(), &right.data().to_f64());
        assert!(cosine >= 0.999, "{cosine}");
    }
}

#[test]
fn engines_agree_on_digits() {
    engines_agree(concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/digits/model.onnx").as_ref());
}

/// The model lies where the scripts' virtual environment has it, whatever its Python.
fn magika() -> Option<PathBuf> {
    let libraries = std::fs::read_dir(cache().join("venv-magika/lib")).ok()?;
    let inside = "site-packages/magika/models/standard_v3_3/model.onnx";
    libraries.flatten().map(|python| python.path().join(inside)).find(|path| path.exists())
}

#[test]
fn engines_agree_on_magika() {
    let Some(model) = magika() else {
        println!("skipped: scripts/setup.sh has not installed magika");
        return;
    };
    engines_agree(&model);
}
