//! An output that takes an older one's place: at every moment the old one is there or the new one, and whole.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests, helpers included")]

mod common;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use common::{Case, noise, options};
use slipway_model::onnx::OnnxModel;
use slipway_model::onnx::build::ModelBuilder;
use slipway_optimizer::progress::Silent;
use slipway_optimizer::stage::quantize::{Granularity, Method, Options, quantize};
use slipway_optimizer::stage::simplify;

/// Where a child finds its model.
const FOLDER: &str = "SLIPWAY_TEST_FOLDER";

/// A weight that is large enough for a file of its own.
fn model() -> ModelBuilder {
    ModelBuilder::new()
        .input("x", &[-1, 64])
        .output("y", &[-1, 64])
        .floats("w", &[64, 64], &noise(1, 4096))
        .node("MatMul", &["x", "w"], &["y"])
}

/// Two ways to quantize, with the weights in a file of their own.
fn ways() -> [Options; 2] {
    let external = |granularity| Options { inline_limit: 0, ..options(granularity) };
    let eight = Method::Eight { granularity: Granularity::PerChannel };
    [external(Granularity::PerChannel), Options { method: eight, ..external(Granularity::PerChannel) }]
}

/// All tensors of a model with their bytes, in order.
fn content(path: &Path) -> Vec<(String, Vec<u8>)> {
    let model = OnnxModel::open(path).unwrap();
    let tensors = model.graph().initializer.iter();
    tensors.map(|tensor| (tensor.name().to_owned(), common::tensor_bytes(&model, tensor.name()))).collect()
}

fn make(folder: &Path, way: &Options) {
    quantize(&folder.join("input.onnx"), &folder.join("output.onnx"), way, &Silent).unwrap();
}

/// This test program again, running one test of it as a child.
fn child(test: &str, folder: &Path, limit: Option<u32>) -> Command {
    let program = std::env::current_exe().unwrap();
    // A process that may not write on gets an error instead of a signal.
    let limited = limit.map_or_else(String::new, |blocks| format!("trap '' XFSZ; ulimit -f {blocks}; "));
    let mut command = Command::new("sh");
    command
        .args(["-c", &format!("{limited}exec \"$0\" \"$@\"")])
        .arg(program)
        .args(["--exact", test, "--ignored", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    command
}

fn folder() -> PathBuf {
    PathBuf::from(std::env::var_os(FOLDER).unwrap())
}

#[test]
#[ignore = "a child of another test, which kills it"]
fn replaces_without_end() {
    let folder = folder();
    for way in ways().iter().cycle() {
        make(&folder, way);
        println!("made");
    }
}

#[test]
#[ignore = "a child of another test, which lets it write too little"]
fn replaces_once() {
    make(&folder(), &ways()[1]);
}

/// Waits until the child has made an output.
fn wait_for_output(child: &mut Child) {
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.map(Result::unwrap).any(|line| line.ends_with("made")));
}

#[test]
fn a_process_that_is_killed_leaves_the_old_output_or_the_new_one() {
    let case = Case::new(&model());
    let folder = case.folder.path();
    let wanted = ways().map(|way| {
        make(folder, &way);
        content(&case.output)
    });
    assert!(wanted[0] != wanted[1]);
    let mut seen = [0; 2];
    for round in 0..60_u64 {
        let mut child = child("replaces_without_end", folder, None).spawn().unwrap();
        wait_for_output(&mut child);
        // Any moment will do: what is asserted holds at every one.
        std::thread::sleep(Duration::from_micros(round * 701 % 9000));
        child.kill().unwrap();
        child.wait().unwrap();
        let found = content(&case.output);
        let which = wanted.iter().position(|wanted| *wanted == found);
        seen[which.unwrap_or_else(|| panic!("round {round}: neither the old output nor the new one"))] += 1;
    }
    assert!(seen.iter().all(|count| *count > 0), "{seen:?}");
    // What the last one left behind does not disturb the next.
    make(folder, &ways()[0]);
    assert!(content(&case.output) == wanted[0]);
}

#[test]
fn a_disk_that_is_full_leaves_the_old_output() {
    let case = Case::new(&model());
    let folder = case.folder.path();
    make(folder, &ways()[0]);
    let (before, files) = (content(&case.output), case.files());
    for blocks in 0..2 {
        let status = child("replaces_once", folder, Some(blocks)).status().unwrap();
        assert!(!status.success(), "{blocks} blocks are too few");
        assert!(content(&case.output) == before, "{blocks} blocks");
        assert_eq!(case.files(), files, "{blocks} blocks");
    }
}

#[test]
fn the_data_of_a_replaced_output_goes_and_no_other_file_does() {
    let case = Case::new(&model());
    let folder = case.folder.path();
    let inline = Options { inline_limit: u64::MAX, ..ways()[0].clone() };
    std::fs::write(folder.join("output.onnx.data"), b"of nobody").unwrap();
    let mut names = Vec::new();
    for way in [&ways()[0], &ways()[1], &ways()[0], &ways()[0], &inline] {
        make(folder, way);
        let mut files = case.files();
        files.retain(|file| !["input.onnx", "output.onnx", "output.onnx.data"].contains(&file.as_str()));
        assert_eq!(files.len(), usize::from(way.inline_limit == 0), "{files:?}");
        names.extend(files);
    }
    assert!(names[0] != names[1] && names[0] == names[2] && names[0] == names[3], "{names:?}");
    assert_eq!(std::fs::read(folder.join("output.onnx.data")).unwrap(), b"of nobody");
}

#[test]
fn an_output_whose_data_the_input_uses_too_is_left() {
    let case = Case::new(&model());
    let base = case.folder.path().join("base.onnx");
    let external =
        simplify::Options { allow_unchanged: true, inline_limit: 0, ..simplify::Options::default() };
    simplify::simplify(&case.input, &case.output, &external, &Silent).unwrap();
    std::fs::copy(&case.output, &base).unwrap();
    let before = content(&case.output);
    let refused = simplify::simplify(&base, &case.output, &external, &Silent).unwrap_err().to_string();
    assert!(
        refused.contains("output.onnx.") && refused.contains(".data is a file of the input"),
        "{refused}"
    );
    assert_eq!(content(&case.output), before);
}
