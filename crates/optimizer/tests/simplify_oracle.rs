//! The quantizer's hard models and some with too much in them, simplified and held against everything that others say
//! about them: the ONNX checker, the reference evaluator, ONNX Runtime, and the engine that serves.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests, helpers included")]

mod common;

use std::collections::BTreeMap;
use std::path::Path;

use common::oracle::{answers, feeds, names, python};
use serde::Deserialize;
use slipway_optimizer::progress::Silent;
use slipway_optimizer::stage::simplify::{Options, SimplifyError, simplify};

/// What has to become of a model; see `oracle/simplify_models.py`.
#[derive(Deserialize)]
struct Facts {
    /// Operators that are left; absent where the model was made for another test.
    nodes: Option<BTreeMap<String, u64>>,
    #[serde(default = "yes")]
    rten: bool,
    #[serde(default)]
    exact: f64,
}

fn yes() -> bool {
    true
}

#[test]
fn models_with_too_much_in_them_come_out_right() {
    all_come_out_right("simplify_models.py", 52);
}

#[test]
fn chains_come_out_as_one_operator_and_what_looks_like_them_stays() {
    all_come_out_right("fusion_models.py", 19);
}

/// Simplifies every model that a script makes, at least so many.
fn all_come_out_right(script: &str, least: usize) {
    let folder = tempfile::tempdir().unwrap();
    let (models, outputs) = (folder.path().join("models"), folder.path().join("outputs"));
    std::fs::create_dir(&models).unwrap();
    std::fs::create_dir(&outputs).unwrap();
    python(script, &[&models]).unwrap();
    let mut problems = Vec::new();
    let mut seen = 0;
    for name in names(&models) {
        seen += 1;
        if let Err(problem) = one(&models, &outputs, &name) {
            problems.push(format!("{name}: {problem}"));
        }
    }
    if let Err(told) = python("check_simplified.py", &[&models, &outputs]) {
        problems.extend(told.lines().map(str::to_owned));
    }
    assert!(seen >= least, "{seen} models");
    assert!(problems.is_empty(), "of {seen} models\n{}", problems.join("\n"));
}

/// Simplifies one model twice: the second time there must be nothing left to do.
fn one(models: &Path, outputs: &Path, name: &str) -> Result<(), String> {
    let facts = std::fs::read(models.join(format!("{name}.json"))).unwrap();
    let facts: Facts = serde_json::from_slice(&facts).unwrap();
    let (input, output) = (models.join(format!("{name}.onnx")), outputs.join(format!("{name}.onnx")));
    match simplify(&input, &output, &Options::default(), &Silent) {
        Err(SimplifyError::NothingChanged) if facts.nodes.is_none() => return Ok(()),
        Err(error) => return Err(format!("refused: {error}")),
        Ok(_) => {}
    }
    match simplify(&output, &outputs.join("again"), &Options::default(), &Silent) {
        Err(SimplifyError::NothingChanged) => {}
        other => return Err(format!("the second time: {other:?}")),
    }
    let feeds = feeds(&models.join(format!("{name}.npz")));
    let before = match answers(&input, &feeds) {
        Ok(before) => before,
        // Models of other tests may be more than the engine runs.
        Err(_) if !facts.rten || facts.nodes.is_none() => return Ok(()),
        Err(error) => return Err(format!("rten, before: {error}")),
    };
    let after = answers(&output, &feeds).map_err(|error| format!("rten: {error}"))?;
    for (wanted, found) in before.iter().zip(&after) {
        let largest = wanted.iter().fold(0.0_f64, |largest, value| largest.max(value.abs()));
        let worst = wanted.iter().zip(found).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        if wanted.len() != found.len() || worst > facts.exact * largest {
            return Err(format!("rten is off by {worst} of {largest}"));
        }
    }
    Ok(())
}
