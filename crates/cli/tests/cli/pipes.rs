//! Files that are none: a pipe is not waited for, a device is not read to its end, and a folder is named.

use std::process::Command;

use crate::program::{Room, example};

/// A pipe that nobody writes to.
fn pipe(room: &Room) -> String {
    let pipe = room.argument("fifo");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    pipe
}

#[test]
fn a_pipe_is_no_file_to_read() {
    let room = Room::new();
    let (pipe, model) = (pipe(&room), example("model.onnx"));
    let (pipe, model) = (pipe.as_str(), model.as_str());
    let quantize = ["quantize", model, "o.onnx"];
    let with = |more: &[&'static str]| [&quantize[..], more, &[pipe]].concat();
    for call in [
        vec!["calibrate", model, pipe, "c.json"],
        vec!["smooth", model, pipe, "o.onnx"],
        vec!["sensitivity", model, pipe, "--budget", "1"],
        vec!["evaluate", model, "--data", pipe],
        with(&["--scheme", "static", "--data"]),
        with(&["--scheme", "static", "--calibration"]),
        with(&["--correct-bias", "--data"]),
        with(&["--stages"]),
        vec!["push", pipe, "oci://localhost:1/net:1"],
        vec!["push", pipe, "oci://localhost:1/net:1", "--kind", "dataset"],
        vec!["run", "-f", pipe],
        vec!["plan", "-f", pipe],
        vec!["inspect", pipe],
        vec!["serve", pipe],
    ] {
        room.slipway(&call).fails(1, &["fifo", "not a regular file"]);
    }
}

#[test]
fn a_small_file_that_never_ends_is_refused() {
    let room = Room::new();
    let model = example("model.onnx");
    let quantize = |more: &[&str]| room.slipway(&[&["quantize", &model, "o.onnx"], more].concat());
    for option in [&["--stages"][..], &["--scheme", "static", "--calibration"]] {
        quantize(&[option, &["/dev/zero"]].concat())
            .fails(1, &["cannot read /dev/zero: it is a device, not a regular file"]);
    }
    let long = room.write("long.yaml", vec![b' '; (4 << 20) + 1]);
    quantize(&["--stages", &long]).fails(1, &["long.yaml: it has more than 4194304 bytes"]);
}

#[test]
fn a_folder_is_no_data() {
    let room = Room::new();
    std::fs::create_dir(room.path("dd")).unwrap();
    let model = example("model.onnx");
    for call in [["evaluate", &model, "--data", "dd"], ["calibrate", &model, "dd", "c.json"]] {
        room.slipway(&call).fails(1, &["dd is a folder, not a regular file: name an .npz file"]);
    }
}
