//! `slipway run` where what an earlier run kept is damaged.

use std::path::PathBuf;

use serde_json::Value;

use crate::program::{Room, example};

/// The artifact of a stage: its manifest, and the first of its files.
fn blobs(room: &Room, report: &Value, stage: &str) -> [PathBuf; 2] {
    let folder = room.path(".cache/slipway/artifacts/default/digits/blobs/sha256");
    let blob = |digest: &Value| folder.join(digest.as_str().unwrap().trim_start_matches("sha256:"));
    let mut stages = report["stages"].as_array().unwrap().iter();
    let manifest = blob(&stages.find(|one| one["name"] == stage).unwrap()["outputDigest"]);
    let text: Value = serde_json::from_slice(&std::fs::read(&manifest).unwrap()).unwrap();
    [manifest, blob(&text["layers"][0]["digest"])]
}

#[test]
fn what_is_missing_or_damaged_is_made_again() {
    let room = Room::new();
    let run = || room.slipway(&["run", "-f", &example("."), "--json"]);
    let first = run().json();
    let mut report = first.clone();
    for stage in ["int8", "gate"] {
        for place in [0, 1] {
            for removed in [false, true] {
                let blob = &blobs(&room, &report, stage)[place];
                if removed { std::fs::remove_file(blob) } else { std::fs::write(blob, "damaged") }.unwrap();
                let done = run();
                assert_eq!(done.code, 0, "{stage}: {done:?}");
                report = serde_json::from_str(&done.out).unwrap();
            }
        }
    }
    let model = |report: &Value| report["stages"][1]["outputDigest"].clone();
    assert_eq!(model(&report), model(&first));
}

#[test]
fn a_folder_that_cannot_be_mended_is_named_with_what_to_do() {
    let room = Room::new();
    room.slipway(&["run", "-f", &example("."), "--json"]).json();
    room.write(".cache/slipway/artifacts/default/digits/index.json", "{");
    let words = ["the artifact folder is damaged: remove ", "artifacts/default/digits and run again"];
    room.slipway(&["run", "-f", &example(".")]).fails(1, &words);
}
