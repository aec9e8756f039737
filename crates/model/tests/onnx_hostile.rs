//! ONNX files that lie: each is an error that names the culprit, none a panic.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests, helpers included")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use slipway_model::onnx::build::{self, ModelBuilder, external_tensor, float_tensor};
use slipway_model::onnx::proto::TensorProto;
use slipway_model::onnx::{DataType, Limits, OnnxError, OnnxModel, TensorProblem};

fn base() -> ModelBuilder {
    ModelBuilder::new().input("x", &[-1, 2]).output("y", &[-1, 2]).node("MatMul", &["x", "w"], &["y"])
}

fn open_bytes(bytes: &[u8]) -> Result<OnnxModel, OnnxError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    fs::write(&path, bytes).unwrap();
    OnnxModel::open(&path)
}

fn tensor_problem(tensor: TensorProto) -> String {
    match open_bytes(&base().initializer(tensor).bytes()) {
        Err(OnnxError::Tensor { tensor, problem }) => {
            assert_eq!(tensor, "w");
            problem.to_string()
        }
        other => panic!("expected a tensor error, got {other:?}"),
    }
}

#[test]
fn a_file_cut_anywhere_is_an_error() {
    let bytes = base().floats("w", &[2, 2], &[1.0, 2.0, 3.0, 4.0]).bytes();
    open_bytes(&bytes).unwrap();
    for end in 0..bytes.len() {
        assert!(open_bytes(&bytes[..end]).is_err(), "cut after {end} bytes");
    }
}

#[test]
fn a_file_with_any_byte_changed_never_panics() {
    let bytes = base().floats("w", &[2, 2], &[1.0, 2.0, 3.0, 4.0]).bytes();
    for place in 0..bytes.len() {
        for value in [0x00, 0x7f, 0x80, 0xff] {
            let mut changed = bytes.clone();
            changed[place] = value;
            let _ = open_bytes(&changed);
        }
    }
}

#[test]
fn what_is_no_model_says_so() {
    assert!(matches!(open_bytes(b""), Err(OnnxError::NotAModel { .. })));
    assert!(matches!(open_bytes(b"\x08\x07"), Err(OnnxError::NotAModel { .. })));
    assert!(matches!(open_bytes(b"<html>not found</html>"), Err(OnnxError::OtherFormat { .. })));
    assert!(matches!(open_bytes(b"not found"), Err(OnnxError::Malformed { .. })));
    assert!(matches!(OnnxModel::open("/"), Err(OnnxError::NotAFile { .. })));
    assert!(matches!(OnnxModel::open("/no/such/file"), Err(OnnxError::Read { .. })));
}

#[test]
fn limits_hold_before_decoding() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    base().floats("w", &[2, 2], &[0.0; 4]).write(&path).unwrap();
    let small = Limits { file_bytes: 10, ..Limits::default() };
    assert!(matches!(OnnxModel::open_with(&path, small), Err(OnnxError::TooLarge { limit: 10, .. })));
    let few = Limits { structure_bytes: 300, ..Limits::default() };
    assert!(matches!(OnnxModel::open_with(&path, few), Err(OnnxError::TooComplex { limit: 300 })));
    let none = Limits { value_bytes: 3, ..Limits::default() };
    assert!(matches!(OnnxModel::open_with(&path, none), Err(OnnxError::TooManyValues { limit: 3 })));
}

#[test]
fn impossible_shapes_are_named() {
    assert_eq!(tensor_problem(float_tensor("w", &[-1, 2], &[])), "dimension -1 is negative");
    assert!(tensor_problem(float_tensor("w", &[i64::MAX, i64::MAX], &[])).contains("overflow"));
    assert!(tensor_problem(float_tensor("w", &[i64::MAX], &[])).contains("overflow"));
    assert!(tensor_problem(float_tensor("w", &[1 << 31, 1 << 31], &[])).contains("overflow"));
    assert_eq!(
        tensor_problem(float_tensor("w", &[3_000_000_000, 3], &[1.0])),
        "has 4 bytes, its shape and type need 36000000000"
    );
    assert!(tensor_problem(float_tensor("w", &[1; 65], &[0.0])).contains("65 dimensions"));
    assert_eq!(tensor_problem(float_tensor("w", &[2, 2], &[1.0])), "has 4 bytes, its shape and type need 16");
}

#[test]
fn unknown_types_and_short_typed_fields_are_named() {
    let unknown = TensorProto { data_type: Some(99), ..float_tensor("w", &[1], &[0.0]) };
    assert_eq!(tensor_problem(unknown), "unknown data type 99");
    let short = TensorProto { raw_data: None, float_data: vec![1.0], ..float_tensor("w", &[2], &[]) };
    assert_eq!(tensor_problem(short), "has 4 bytes, its shape and type need 8");
    let integers = TensorProto { raw_data: None, int32_data: vec![1], ..float_tensor("w", &[2], &[]) };
    let integers = TensorProto { data_type: Some(DataType::INT32.code()), ..integers };
    assert_eq!(tensor_problem(integers), "has 1 values, its shape and type need 2");
}

#[test]
fn tensors_in_attributes_and_twice_defined_ones_are_checked() {
    let constant = build::tensor("value", float_tensor("", &[3], &[1.0]));
    let model = base().node_with("Constant", &[], &["w"], vec![constant]);
    assert!(matches!(open_bytes(&model.bytes()), Err(OnnxError::Tensor { tensor, .. }) if tensor == "w"));
    let twice = base().floats("w", &[1], &[0.0]).floats("w", &[1], &[0.0]);
    assert!(matches!(open_bytes(&twice.bytes()), Err(OnnxError::DuplicateTensor { .. })));
}

fn open_external(folder: &Path, entries: &[(&str, &str)]) -> Result<OnnxModel, TensorProblem> {
    let path = folder.join("model.onnx");
    base().initializer(external_tensor("w", &[2, 2], entries)).write(&path).unwrap();
    OnnxModel::open(&path).map_err(|error| match error {
        OnnxError::Tensor { problem, .. } => problem,
        other => panic!("expected a tensor error, got {other:?}"),
    })
}

#[test]
fn external_data_stays_inside_the_folder() {
    let outer = tempfile::tempdir().unwrap();
    let folder = outer.path().join("model");
    fs::create_dir_all(folder.join("sub")).unwrap();
    fs::write(outer.path().join("secret"), [0; 16]).unwrap();
    fs::write(folder.join("sub/w.bin"), [0; 16]).unwrap();
    symlink(outer.path().join("secret"), folder.join("link")).unwrap();
    symlink(outer.path(), folder.join("linked")).unwrap();

    let absolute = outer.path().join("secret").display().to_string();
    for location in ["../secret", "sub/../../secret", absolute.as_str(), "", "..\\secret", "sub", "."] {
        let problem = open_external(&folder, &[("location", location)]).unwrap_err();
        assert!(matches!(problem, TensorProblem::OutsideFolder { .. }), "{location}: {problem}");
    }
    for location in ["link", "linked/secret"] {
        let problem = open_external(&folder, &[("location", location)]).unwrap_err();
        assert!(matches!(problem, TensorProblem::Symlink { .. }), "{location}: {problem}");
    }
    for location in ["nothing", "https://example.com/w.bin", "file:///etc/hostname", "sub/w.bin/x"] {
        let problem = open_external(&folder, &[("location", location)]).unwrap_err();
        assert!(matches!(problem, TensorProblem::ExternalRead { .. }), "{location}: {problem}");
    }
    assert!(matches!(open_external(&folder, &[]).unwrap_err(), TensorProblem::NoLocation));
    open_external(&folder, &[("location", "sub/w.bin")]).unwrap();
    // A hard link is a file of the folder like any other: nothing tells which of its names came first.
    fs::hard_link(folder.join("sub/w.bin"), folder.join("hard")).unwrap();
    open_external(&folder, &[("location", "./hard")]).unwrap();
}

#[test]
fn external_ranges_end_inside_the_file() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("w.bin"), [0; 20]).unwrap();
    let open = |offset: &str, length: &str| {
        open_external(folder.path(), &[("location", "w.bin"), ("offset", offset), ("length", length)])
    };
    open("4", "16").unwrap();
    assert!(matches!(open("5", "16").unwrap_err(), TensorProblem::BeyondFile { .. }));
    assert!(matches!(open("18446744073709551615", "16").unwrap_err(), TensorProblem::BeyondFile { .. }));
    assert!(matches!(open("0", "18446744073709551615").unwrap_err(), TensorProblem::BeyondFile { .. }));
    assert!(matches!(open("21", "0").unwrap_err(), TensorProblem::BeyondFile { .. }));
    for offset in ["-1", "", " 4", "4.0", "0x4", "18446744073709551616"] {
        let problem = open(offset, "16").unwrap_err();
        assert!(matches!(problem, TensorProblem::BadNumber { key: "offset", .. }), "{offset}: {problem}");
    }
    assert!(matches!(open("0", "-16").unwrap_err(), TensorProblem::BadNumber { key: "length", .. }));
    assert!(matches!(open("0", "12").unwrap_err(), TensorProblem::Length { actual: 12, expected: 16, .. }));
}

/// Opens a model of two tensors of 16 bytes each, at these places.
fn open_two(folder: &Path, places: [(&str, &str); 2]) -> Result<OnnxModel, OnnxError> {
    let path = folder.join("model.onnx");
    let tensor = |name: &str, (file, offset): (&str, &str)| {
        external_tensor(name, &[2, 2], &[("location", file), ("offset", offset), ("length", "16")])
    };
    base().initializer(tensor("w", places[0])).initializer(tensor("v", places[1])).write(&path).unwrap();
    OnnxModel::open(&path)
}

#[test]
fn external_tensors_share_a_range_or_keep_apart() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.bin"), [0; 64]).unwrap();
    fs::write(folder.path().join("b.bin"), [0; 64]).unwrap();
    fs::hard_link(folder.path().join("a.bin"), folder.path().join("also-a.bin")).unwrap();
    for places in [
        [("a.bin", "0"), ("a.bin", "0")],
        [("a.bin", "16"), ("a.bin", "0")],
        [("a.bin", "0"), ("b.bin", "4")],
    ] {
        open_two(folder.path(), places).unwrap();
    }
    for places in [
        [("a.bin", "0"), ("a.bin", "12")],
        [("./a.bin", "4"), ("a.bin", "0")],
        [("a.bin", "0"), ("also-a.bin", "4")],
    ] {
        let error = open_two(folder.path(), places).unwrap_err();
        let OnnxError::Overlap { first, second } = &error else { panic!("{places:?}: {error}") };
        assert_eq!(
            [first.as_str(), second.as_str()],
            if places[0].1 == "0" { ["w", "v"] } else { ["v", "w"] }
        );
        assert!(!error.is_retryable());
    }
    let path = folder.path().join("model.onnx");
    let part = |name: &str, length: &str, dims: &[i64]| {
        external_tensor(name, dims, &[("location", "a.bin"), ("length", length)])
    };
    base().initializer(part("w", "64", &[4, 4])).initializer(part("v", "16", &[4])).write(&path).unwrap();
    assert!(matches!(OnnxModel::open(&path), Err(OnnxError::Overlap { .. })), "one inside the other");
}
