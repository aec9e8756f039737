//! Commands that are asked to end (Ctrl-C, SIGTERM) while they work: nothing half done stays, and the exit code says so.

use std::{
    fs::File,
    io::Write,
    process::{Child, Command, Stdio},
};

use crate::program::{Room, example};

/// Samples for seconds of work, which is far more than a signal takes.
const SAMPLES: usize = 100_000;

/// A data file for the example's model.
fn data(room: &Room) {
    let mut archive = zip::ZipWriter::new(File::create(room.path("d.npz")).unwrap());
    let stored = zip::write::SimpleFileOptions::default()
        .compression_method(zip::CompressionMethod::Stored)
        .large_file(true);
    archive.start_file("pixels.npy", stored).unwrap();
    let head = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({SAMPLES}, 64), }}\n");
    archive.write_all(b"\x93NUMPY\x01\x00").unwrap();
    archive.write_all(&u16::try_from(head.len()).unwrap().to_le_bytes()).unwrap();
    archive.write_all(head.as_bytes()).unwrap();
    let row: Vec<u8> = (0..64_u8).flat_map(|index| (f32::from(index) / 64.0).to_le_bytes()).collect();
    for _ in 0..SAMPLES {
        archive.write_all(&row).unwrap();
    }
    archive.finish().unwrap();
}

fn entries(room: &Room, folder: &str) -> usize {
    room.path(folder).read_dir().unwrap().count()
}

/// Waits until a command has begun to copy its model.
fn wait_for_scratch(room: &Room, child: &mut Child) {
    while entries(room, "scratch") == 0 {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it was asked to");
        std::thread::yield_now();
    }
}

#[test]
fn a_command_that_is_asked_to_end_removes_what_is_half_done() {
    let room = Room::new();
    data(&room);
    std::fs::create_dir(room.path("scratch")).unwrap();
    std::fs::create_dir(room.path("out")).unwrap();
    let model = example("model.onnx");
    let many = SAMPLES.to_string();
    let four = ["--scheme", "weight-only", "--weights", "int4", "--block", "16", "--fit", "gptq"];
    let gptq = ["quantize", &model, "out/o.onnx", "--data", "d.npz", "--samples", &many];
    let calls: [(&[&str], &str, i32); 4] = [
        (&["calibrate", &model, "d.npz", "out/o.json", "--samples", &many], "-TERM", 143),
        (&["smooth", &model, "d.npz", "out/o.onnx", "--samples", &many], "-INT", 130),
        (&["sensitivity", &model, "d.npz", "--budget", "1", "--asked-samples", &many], "-INT", 130),
        (&[&gptq[..], &four].concat(), "-TERM", 143),
    ];
    for (call, signal, code) in calls {
        let mut child = room
            .command(&[call, &["--scratch", "scratch"]].concat())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        wait_for_scratch(&room, &mut child);
        assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
        let output = child.wait_with_output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{call:?}: {told}");
        assert_eq!((told.as_str(), output.stdout.len()), ("error: asked to end: nothing was written\n", 0));
        assert_eq!((entries(&room, "scratch"), entries(&room, "out")), (0, 0), "{call:?}");
    }
}

#[test]
fn a_scratch_folder_that_is_not_there_is_a_wrong_call() {
    let room = Room::new();
    let [model, data] = [example("model.onnx"), example("holdout.npz")];
    room.slipway(&["calibrate", &model, &data, "c.json", "--scratch", "absent"])
        .fails(2, &["\"absent\" is no folder: make it first"]);
    std::fs::create_dir(room.path("scratch")).unwrap();
    room.slipway(&["quantize", &model, "no.onnx", "--scratch", "scratch"])
        .fails(2, &["--scratch is for --scheme static without --calibration"]);
}
