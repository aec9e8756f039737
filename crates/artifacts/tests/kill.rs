//! A writer that is really killed (SIGKILL) at arbitrary moments never leaves a layout that cannot be used.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use slipway_artifacts::{Digest, Kind, Layout, Tag};

const ROOT: &str = "SLIPWAY_TEST_LAYOUT";

/// Stores an artifact of one file, moves a tag to it and takes another away.
fn write_once(layout: &Layout, scratch: &Path, turn: u64) {
    let file = scratch.join("model.onnx");
    std::fs::write(&file, vec![u8::try_from(turn % 251).unwrap(); 50_000]).unwrap();
    let bundle =
        slipway_artifacts::Bundle::from_files(Kind::Model, [("model.onnx".parse().unwrap(), file.clone())]);
    let (bundle, writer) = (bundle.unwrap(), layout.writer().unwrap());
    let encoded = bundle.encode().unwrap();
    let mut from = std::fs::File::open(&file).unwrap();
    writer.put(&bundle.files[0].digest, bundle.files[0].size, &mut from, |_| ()).unwrap();
    writer.put_bytes(&encoded.config).unwrap();
    writer.put_bytes(&encoded.manifest).unwrap();
    writer.list(&encoded.digest, &[tag(turn % 7), tag(100)]).unwrap();
    layout.untag(&tag((turn + 3) % 7)).unwrap();
}

fn tag(number: u64) -> Tag {
    format!("t{number}").parse().unwrap()
}

#[test]
#[ignore = "the victim of the other test"]
fn victim() {
    let Some(root) = std::env::var_os(ROOT) else { return };
    let layout = Layout::create(root).unwrap();
    let scratch = tempfile::tempdir().unwrap();
    for turn in 0.. {
        write_once(&layout, scratch.path(), turn);
        if turn % 5 == 4 {
            layout.collect_garbage().unwrap();
        }
    }
}

#[test]
fn a_killed_writer_leaves_a_layout_whose_every_tag_can_be_read() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("store");
    for round in 0..12_u64 {
        let mut victim = Command::new(std::env::current_exe().unwrap())
            .args(["victim", "--exact", "--ignored"])
            .env(ROOT, &root)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(20 + round * 17));
        victim.kill().unwrap();
        victim.wait().unwrap();
        check(&root);
    }
    assert!(!Layout::open(&root).unwrap().tags().unwrap().is_empty(), "the victim never got to write");
}

fn check(root: &Path) {
    let layout = Layout::create(root).unwrap();
    for digest in layout.tags().unwrap().values() {
        for file in layout.manifest(digest).unwrap().files() {
            let bytes = layout.read_blob(&file.digest, file.size).unwrap();
            assert_eq!(Digest::of(&bytes), file.digest);
        }
    }
    layout.collect_garbage().unwrap();
}
