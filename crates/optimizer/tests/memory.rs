//! What quantizing costs in memory; a process of its own, so that the peak is this test's.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "these are tests, helpers included")]

use slipway_model::onnx::build::ModelBuilder;
use slipway_model::onnx::{Limits, OnnxModel};
use slipway_optimizer::progress::Silent;
use slipway_optimizer::stage::quantize::{Options, quantize};

const MIB: u64 = 1 << 20;

/// The most memory that this process has used, in bytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

/// Floats in a typed field are read from the file like raw data.
#[test]
fn typed_floats_are_streamed() {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("input.onnx"), folder.path().join("output.onnx"));
    let model = ModelBuilder::new().input("x", &[-1, 8192]).output("y", &[-1, 8192]).node(
        "MatMul",
        &["x", "w"],
        &["y"],
    );
    model.write_with_zeros(&input, "w", &[8192, 8192]).unwrap();
    let before = peak();
    let report = quantize(&input, &output, &Options::default(), &Silent).unwrap();
    let grown = peak() - before;
    assert_eq!((report.tensors.len(), report.size_before / MIB), (1, 256));
    assert!(grown < 64 * MIB, "a weight of 256 MiB took {grown} bytes of memory");
    OnnxModel::open_with(&output, Limits::STREAMED).unwrap();
}
