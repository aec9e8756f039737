//! Where commands write: refused before the work, where a file that is read would be lost or the work be in vain.

use std::os::unix::fs::{PermissionsExt, symlink};

use crate::program::{Room, example};

/// The example's model and data under names of their own, which a wrong call could cost.
fn own(room: &Room) {
    for (from, to) in [("model.onnx", "m.onnx"), ("holdout.npz", "d.npz")] {
        std::fs::copy(example(from), room.path(to)).unwrap();
    }
    symlink("d.npz", room.path("link.npz")).unwrap();
    symlink("m.onnx", room.path("link.onnx")).unwrap();
    room.write("stages.yaml", "stages: [{ name: int8, quantize: { dynamic: {} } }]");
    room.slipway(&["calibrate", "m.onnx", "d.npz", "c.json"]).text();
}

#[test]
fn a_file_that_is_read_is_never_written() {
    let room = Room::new();
    own(&room);
    let read = || {
        let files = ["m.onnx", "d.npz", "c.json", "stages.yaml"];
        files.map(|file| std::fs::read(room.path(file)).unwrap())
    };
    let before = read();
    for (call, file) in [
        (&["calibrate", "m.onnx", "d.npz", "m.onnx"][..], "m.onnx"),
        (&["calibrate", "m.onnx", "d.npz", "./d.npz"], "./d.npz"),
        (&["calibrate", "m.onnx", "d.npz", "link.npz"], "link.npz"),
        (&["calibrate", "m.onnx", "link.npz", "d.npz"], "d.npz"),
        (&["sensitivity", "m.onnx", "d.npz", "--budget", "1", "--write", "m.onnx"], "m.onnx"),
        (&["sensitivity", "m.onnx", "d.npz", "--budget", "1", "--write", "d.npz"], "d.npz"),
        (
            &[
                "sensitivity",
                "m.onnx",
                "d.npz",
                "--budget",
                "1",
                "--stages",
                "stages.yaml",
                "--write",
                "stages.yaml",
            ],
            "stages.yaml",
        ),
        (&["smooth", "m.onnx", "d.npz", "d.npz"], "d.npz"),
        (&["smooth", "m.onnx", "d.npz", "m.onnx"], "m.onnx"),
        (&["smooth", "link.onnx", "d.npz", "m.onnx"], "m.onnx"),
        (&["simplify", "m.onnx", "m.onnx"], "m.onnx"),
        (&["simplify", "m.onnx", "link.onnx"], "link.onnx"),
        (&["quantize", "m.onnx", "./m.onnx"], "./m.onnx"),
        (&["quantize", "link.onnx", "m.onnx"], "m.onnx"),
        (&["quantize", "m.onnx", "link.onnx", "--scheme", "static", "--data", "d.npz"], "link.onnx"),
        (&["quantize", "m.onnx", "d.npz", "--scheme", "static", "--data", "d.npz"], "d.npz"),
        (&["quantize", "m.onnx", "c.json", "--scheme", "static", "--calibration", "c.json"], "c.json"),
        (&["quantize", "m.onnx", "stages.yaml", "--stages", "stages.yaml"], "stages.yaml"),
    ] {
        let words = format!("{file} is read by this command: write to another file");
        room.slipway(call).fails(2, &[&words]);
    }
    assert!(before == read());
}

#[test]
fn a_folder_that_is_absent_or_in_the_way_is_named_before_the_work() {
    let room = Room::new();
    own(&room);
    std::fs::create_dir(room.path("taken")).unwrap();
    for call in [
        &["calibrate", "m.onnx", "d.npz"][..],
        &["sensitivity", "m.onnx", "d.npz", "--budget", "1", "--write"],
        &["quantize", "m.onnx"],
        &["smooth", "m.onnx", "d.npz"],
        &["simplify", "m.onnx"],
    ] {
        let to = |output| room.slipway(&[call, &[output]].concat());
        to("no/such/out").fails(1, &["cannot write no/such/out: the folder no/such does not exist"]);
        to("taken").fails(1, &["cannot write taken: taken is a folder"]);
    }
}

#[test]
fn others_may_read_what_is_written() {
    let room = Room::new();
    own(&room);
    let find = ["sensitivity", "m.onnx", "d.npz", "--budget", "1", "--write", "found.yaml"];
    room.slipway(&find).text();
    let mode = |file| std::fs::metadata(room.path(file)).unwrap().permissions().mode();
    assert_eq!([mode("c.json"), mode("found.yaml")], [mode("stages.yaml"); 2], "as the umask says");
}
