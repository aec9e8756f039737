//! `slipway run`, really killed (SIGKILL) at arbitrary moments.

use std::{process::Stdio, time::Duration};

use crate::program::{Room, example};

#[test]
fn a_killed_run_leaves_nothing_that_the_next_one_trusts() {
    let room = Room::new();
    let mut killed = 0;
    for round in 0..14_u64 {
        let mut run = room
            .command(&["run", "-f", &example(".")])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(10 + round * 40));
        run.kill().unwrap();
        killed += u32::from(run.wait().unwrap().code().is_none());
    }
    assert!(killed > 0, "every run was faster than its killer");

    let report = room.slipway(&["run", "-f", &example("."), "--json"]).json();
    assert_eq!(report["gate"]["verdict"], "Pass");
    assert_eq!(report["predictions"]["requests"], 200);
    let scratch = room.path(".cache/slipway/artifacts/.scratch");
    assert_eq!(std::fs::read_dir(scratch).unwrap().count(), 0, "what killed runs left is gone");
}

#[test]
fn a_folder_that_a_killed_run_left_half_filled_is_not_served() {
    let room = Room::new();
    let report = room.slipway(&["run", "-f", &example("."), "--json"]).json();
    let digest = report["stages"][1]["outputDigest"].as_str().unwrap().trim_start_matches("sha256:");
    for folder in ["served", ".scratch"] {
        let folder = room.path(".cache/slipway/artifacts").join(folder).join(digest);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("model.onnx"), "half a mod").unwrap();
    }
    let again = room.slipway(&["run", "-f", &example("."), "--json"]).json();
    assert_eq!(again["predictions"]["requests"], 200);
}
