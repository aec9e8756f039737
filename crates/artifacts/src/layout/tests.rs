use super::*;
use crate::error::Category;
use crate::manifest::{Bundle, Kind};
use std::thread;

fn tag(text: &str) -> Tag {
    text.parse().unwrap()
}

fn layout() -> (tempfile::TempDir, Layout) {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::create(dir.path().join("store")).unwrap();
    (dir, layout)
}

/// Stores an artifact of one file and lists it.
fn store(layout: &Layout, content: &[u8], tags: &[Tag]) -> Digest {
    let source = tempfile::tempdir().unwrap();
    let file = source.path().join("model.onnx");
    fs::write(&file, content).unwrap();
    let encoded =
        Bundle::from_files(Kind::Model, [("model.onnx".parse().unwrap(), file)]).unwrap().encode().unwrap();
    let writer = layout.writer().unwrap();
    writer.put_bytes(content).unwrap();
    writer.put_bytes(&encoded.config).unwrap();
    writer.put_bytes(&encoded.manifest).unwrap();
    writer.list(&encoded.digest, tags).unwrap();
    encoded.digest
}

fn blob_count(layout: &Layout) -> usize {
    fs::read_dir(layout.blobs()).unwrap().count()
}

#[test]
fn tags_are_set_moved_and_removed() {
    let (_dir, layout) = layout();
    let first = store(&layout, b"one", &[tag("a"), tag("b")]);
    let second = store(&layout, b"two", &[tag("b")]);
    assert_eq!(layout.tags().unwrap(), BTreeMap::from([(tag("a"), first), (tag("b"), second)]));
    assert!(layout.untag(&tag("a")).unwrap());
    assert!(!layout.untag(&tag("a")).unwrap());
    assert_eq!(layout.resolve(&tag("a")).unwrap(), None);
    assert_eq!(Layout::open(layout.root()).unwrap().resolve(&tag("b")).unwrap(), Some(second));
}

#[test]
fn a_tag_needs_its_manifest() {
    let (_dir, layout) = layout();
    let error = layout.writer().unwrap().list(&Digest::of(b"nowhere"), &[tag("a")]).unwrap_err();
    assert_eq!(error.category(), Category::NotFound);
}

#[test]
fn garbage_goes_and_roots_stay() {
    let (_dir, layout) = layout();
    let kept = store(&layout, b"kept", &[tag("a")]);
    let bare = store(&layout, b"listed without a tag", &[]);
    let gone = store(&layout, b"gone", &[tag("b")]);
    assert_eq!(layout.collect_garbage().unwrap(), Collected::default());
    layout.untag(&tag("b")).unwrap();
    let collected = layout.collect_garbage().unwrap();
    assert_eq!(collected.files, 3);
    assert!(collected.bytes > 4);
    assert_eq!(layout.manifest(&gone).unwrap_err().category(), Category::NotFound);
    assert_eq!(layout.read_blob(&Digest::of(b"kept"), 10).unwrap(), b"kept");
    assert!(layout.manifest(&kept).is_ok() && layout.manifest(&bare).is_ok());
}

#[test]
fn a_writer_killed_between_any_two_steps_leaves_a_valid_layout() {
    let (_dir, layout) = layout();
    let kept = store(&layout, b"kept", &[tag("a")]);
    // Killed while writing a blob, after a blob before its manifest, and while writing the index aside.
    fs::write(layout.temporary().join(".tmpHalf"), b"hal").unwrap();
    layout.writer().unwrap().put_bytes(b"a blob without a manifest").unwrap();
    fs::write(layout.temporary().join(".tmpIndex"), br#"{"schemaVersion":2,"manif"#).unwrap();

    let reopened = Layout::open(layout.root()).unwrap();
    assert_eq!(reopened.resolve(&tag("a")).unwrap(), Some(kept));
    assert_eq!(reopened.collect_garbage().unwrap().files, 3);
    assert_eq!(blob_count(&reopened), 3);
    store(&reopened, b"next", &[tag("b")]);
    assert_eq!(reopened.tags().unwrap().len(), 2);
}

#[test]
fn a_creation_that_was_killed_is_completed() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("store");
    fs::create_dir_all(root.join(".slipway/tmp")).unwrap();
    let layout = Layout::create(&root).unwrap();
    fs::remove_file(root.join("oci-layout")).unwrap();
    assert_eq!(Layout::open(&root).unwrap_err().category(), Category::NotFound);
    assert_eq!(Layout::create(&root).unwrap(), layout);
}

#[test]
fn damage_is_found_when_read_and_healed_when_pushed_again() {
    let (_dir, layout) = layout();
    let digest = store(&layout, b"content", &[tag("a")]);
    let blob = Digest::of(b"content");
    for damaged in [&b"c0ntent"[..], b"content and more", b"cont"] {
        fs::write(layout.blob_path(&blob), damaged).unwrap();
        let copied = layout.copy_blob(&blob, 7, &mut Vec::new(), |_| ());
        assert_eq!(copied.unwrap_err().category(), Category::DigestMismatch);
        assert_eq!(layout.read_blob(&blob, 100).unwrap_err().category(), Category::DigestMismatch);
        assert_eq!(store(&layout, b"content", &[tag("a")]), digest);
        assert_eq!(layout.read_blob(&blob, 100).unwrap(), b"content");
    }
    assert_eq!(layout.read_blob(&blob, 6).unwrap_err().category(), Category::TooLarge);
}

#[test]
fn what_is_damaged_loses_its_tags_alone() {
    let (_dir, layout) = layout();
    let whole = store(&layout, b"whole", &[tag("whole")]);
    let first = store(&layout, b"first", &[tag("manifest")]);
    store(&layout, b"second", &[tag("file"), tag("again")]);
    assert_eq!(layout.untag_damaged().unwrap(), []);
    fs::remove_file(layout.blob_path(&first)).unwrap();
    fs::write(layout.blob_path(&Digest::of(b"second")), b"s3cond").unwrap();
    assert_eq!(layout.untag_damaged().unwrap(), [tag("again"), tag("file"), tag("manifest")]);
    assert_eq!(layout.tags().unwrap(), BTreeMap::from([(tag("whole"), whole)]));
}

#[test]
fn a_blob_of_other_content_is_never_stored() {
    let (_dir, layout) = layout();
    let writer = layout.writer().unwrap();
    let promised = Digest::of(b"promised");
    for other in [&b"promisee"[..], b"promis", b"promised and more"] {
        let error = writer.put(&promised, 8, &mut &other[..], |_| ()).unwrap_err();
        assert_eq!(error.category(), Category::DigestMismatch);
    }
    assert_eq!(blob_count(&layout), 0);
    assert_eq!(fs::read_dir(layout.temporary()).unwrap().count(), 0);
}

#[test]
fn concurrent_writers_lose_no_tag() {
    let (_dir, layout) = layout();
    thread::scope(|scope| {
        for worker in 0..4 {
            let layout = &layout;
            scope.spawn(move || {
                for turn in 0..8 {
                    let name = format!("w{worker}-{turn}");
                    store(layout, name.as_bytes(), &[tag(&name), tag(&format!("last-{worker}"))]);
                    if turn % 4 == 0 {
                        layout.collect_garbage().unwrap();
                    }
                }
            });
        }
    });
    let tags = layout.tags().unwrap();
    assert_eq!(tags.len(), 4 * 8 + 4);
    for digest in tags.values() {
        layout.manifest(digest).unwrap();
    }
}

#[test]
fn a_folder_of_something_else_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("oci-layout"), r#"{"imageLayoutVersion":"9.0.0"}"#).unwrap();
    assert_eq!(Layout::create(dir.path()).unwrap_err().category(), Category::InvalidInput);
    assert_eq!(Layout::open(dir.path().join("absent")).unwrap_err().category(), Category::NotFound);
    let (_dir, layout) = layout();
    fs::write(layout.index_path(), "{").unwrap();
    assert_eq!(layout.tags().unwrap_err().category(), Category::InvalidInput);
    assert_eq!(layout.collect_garbage().unwrap_err().category(), Category::InvalidInput);
}

#[test]
fn entries_of_other_tools_are_kept() {
    let (_dir, layout) = layout();
    let digest = store(&layout, b"x", &[]);
    let index = format!(
        r#"{{"schemaVersion":2,"annotations":{{"by":"other"}},"manifests":[{{"mediaType":"a/b","digest":"{digest}","size":1,"platform":{{"os":"linux","architecture":"arm64"}}}}]}}"#
    );
    fs::write(layout.index_path(), index).unwrap();
    store(&layout, b"y", &[tag("t")]);
    let text = fs::read_to_string(layout.index_path()).unwrap();
    assert!(text.contains(r#""by":"other""#) && text.contains("arm64"), "{text}");
}
