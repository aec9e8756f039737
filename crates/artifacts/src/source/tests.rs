use super::*;
use crate::error::Category;
use std::fs;
use std::os::unix::fs::symlink;

struct Bench {
    dir: tempfile::TempDir,
    options: FetchOptions,
}

impl Bench {
    /// A claim `models`, local files, and a ConfigMap `digits` mounted as the kubelet does it.
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let claim = dir.path().join("claim");
        fs::create_dir_all(claim.join("bert/data")).unwrap();
        fs::write(claim.join("bert/model.onnx"), "model").unwrap();
        fs::write(claim.join("bert/data/w.bin"), "weights").unwrap();
        symlink("/etc", claim.join("out")).unwrap();
        let mount = dir.path().join("configmap");
        fs::create_dir_all(mount.join("..2026_01_01")).unwrap();
        fs::write(mount.join("..2026_01_01/model.onnx"), "small model").unwrap();
        fs::write(mount.join("..2026_01_01/data.npz"), "data").unwrap();
        symlink("..2026_01_01", mount.join("..data")).unwrap();
        symlink("..data/model.onnx", mount.join("model.onnx")).unwrap();
        symlink("..data/data.npz", mount.join("data.npz")).unwrap();
        let options = FetchOptions {
            claims: BTreeMap::from([("models".into(), claim)]),
            config_maps: BTreeMap::from([
                ("digits".into(), ConfigMapData::Directory(mount)),
                (
                    "inline".into(),
                    ConfigMapData::Bytes(BTreeMap::from([("m.onnx".into(), b"inline".to_vec())])),
                ),
            ]),
            files: Some(dir.path().to_owned()),
            ..FetchOptions::default()
        };
        Self { dir, options }
    }

    fn dest(&self) -> PathBuf {
        self.dir.path().join("dest")
    }

    async fn fetch(&self, uri: &str, file: Option<&str>, digest: Option<Digest>) -> Result<Fetched> {
        let spec = SourceSpec { uri: uri.parse()?, file: file.map(|file| file.parse().unwrap()), digest };
        fetch(&spec, &self.dest(), &self.options).await
    }

    async fn category(&self, uri: &str, file: Option<&str>, digest: Option<Digest>) -> Category {
        self.fetch(uri, file, digest).await.unwrap_err().category()
    }
}

#[tokio::test]
async fn a_mounted_configmap_gives_one_key() {
    let bench = Bench::new();
    let fetched = bench.fetch("configmap://digits", Some("model.onnx"), None).await.unwrap();
    assert_eq!(fetched.digest, Digest::of(b"small model"));
    assert_eq!(fetched.entry.unwrap().as_str(), "model.onnx");
    assert_eq!(fs::read(bench.dest().join("model.onnx")).unwrap(), b"small model");
    assert!(!fs::symlink_metadata(bench.dest().join("model.onnx")).unwrap().is_symlink());
    let inline = bench.fetch("configmap://inline", None, Some(Digest::of(b"inline"))).await.unwrap();
    assert_eq!((inline.digest, inline.size()), (Digest::of(b"inline"), 6));
}

#[tokio::test]
async fn configmaps_say_what_is_missing() {
    let bench = Bench::new();
    assert_eq!(bench.category("configmap://other", Some("x"), None).await, Category::NotFound);
    let message = bench.fetch("configmap://digits", Some("modle.onnx"), None).await.unwrap_err().to_string();
    assert!(message.contains("modle.onnx") && message.contains("data.npz, model.onnx"), "{message}");
    let message = bench.fetch("configmap://digits", None, None).await.unwrap_err().to_string();
    assert!(message.contains("file:") && message.contains("data.npz, model.onnx"), "{message}");
    assert!(!bench.dest().exists());
}

#[tokio::test]
async fn a_folder_of_a_claim_is_named_by_its_list_of_files() {
    let bench = Bench::new();
    let fetched = bench.fetch("pvc://models/bert", Some("model.onnx"), None).await.unwrap();
    let list =
        format!("{}  data/w.bin\n{}  model.onnx\n", Digest::of(b"weights").hex(), Digest::of(b"model").hex());
    assert_eq!(fetched.digest, Digest::of(list.as_bytes()));
    assert_eq!(fetched.entry.as_ref().unwrap().as_str(), "model.onnx");
    assert_eq!(fs::read(bench.dest().join("data/w.bin")).unwrap(), b"weights");
    for digest in [fetched.digest, Digest::of(b"model")] {
        bench.fetch("pvc://models/bert", Some("model.onnx"), Some(digest)).await.unwrap();
    }
    let single = bench.fetch("pvc://models/bert/model.onnx", None, Some(Digest::of(b"model"))).await.unwrap();
    assert_eq!((single.files.len(), single.digest), (1, Digest::of(b"model")));
}

#[tokio::test]
async fn claims_keep_what_is_outside_outside() {
    let bench = Bench::new();
    assert_eq!(bench.category("pvc://models/out/passwd", None, None).await, Category::NotAllowed);
    assert_eq!(bench.category("pvc://models/out", None, None).await, Category::NotAllowed);
    assert_eq!(bench.category("pvc://models", None, None).await, Category::NotAllowed);
    assert_eq!(bench.category("pvc://models/absent", None, None).await, Category::NotFound);
    assert_eq!(bench.category("pvc://absent/x", None, None).await, Category::NotFound);
    assert_eq!(bench.category("pvc://models/bert", Some("x.onnx"), None).await, Category::NotFound);
}

#[tokio::test]
async fn a_wrong_digest_names_wanted_and_got_and_leaves_nothing() {
    let bench = Bench::new();
    let wanted = Digest::of(b"other");
    for (uri, file, got) in [
        ("configmap://digits", Some("model.onnx"), Digest::of(b"small model")),
        ("pvc://models/bert/model.onnx", None, Digest::of(b"model")),
        ("pvc://models/bert", Some("model.onnx"), Digest::of(b"model")),
    ] {
        let error = bench.fetch(uri, file, Some(wanted)).await.unwrap_err();
        let message = error.to_string();
        assert!(message.contains(&wanted.to_string()) && message.contains(&got.to_string()), "{message}");
        assert_eq!(error.category(), Category::DigestMismatch);
    }
    assert_eq!(fs::read_dir(bench.dest()).unwrap().count(), 0);
}

#[tokio::test]
async fn local_files_need_permission_and_limits_hold() {
    let mut bench = Bench::new();
    let fetched = bench.fetch("file://claim/bert/model.onnx", None, None).await.unwrap();
    assert_eq!(fetched.digest, Digest::of(b"model"));
    bench.options.limits.max_bytes = 4;
    assert_eq!(bench.category("file://claim/bert/model.onnx", None, None).await, Category::TooLarge);
    assert_eq!(bench.category("configmap://digits", Some("model.onnx"), None).await, Category::TooLarge);
    bench.options.files = None;
    assert_eq!(bench.category("file:///etc/passwd", None, None).await, Category::NotAllowed);
    assert_eq!(bench.category("oci-layout:///var/lib/x", None, None).await, Category::NotAllowed);
}

#[tokio::test]
async fn an_artifact_of_a_layout_is_fetched_by_tag_and_digest() {
    use crate::{Kind, Reference, RegistryOptions, alone, push_path};
    let bench = Bench::new();
    let reference = format!("oci-layout://{}/store:v1", bench.dir.path().display());
    let parsed: Reference = reference.parse().unwrap();
    let folder = bench.dir.path().join("claim/bert");
    let digest = push_path(&folder, &parsed, Kind::Model, alone, &RegistryOptions::default(), &silent())
        .await
        .unwrap();
    let fetched = bench.fetch("oci-layout://store:v1", Some("model.onnx"), Some(digest)).await.unwrap();
    assert_eq!((fetched.digest, fetched.files.len(), fetched.size()), (digest, 2, 12));
    assert_eq!(fs::read(bench.dest().join("data/w.bin")).unwrap(), b"weights");
    assert_eq!(bench.category("oci-layout://store:v2", None, None).await, Category::NotFound);
    let wrong = Some(Digest::of(b"x"));
    assert_eq!(bench.category("oci-layout://store:v1", None, wrong).await, Category::DigestMismatch);
}

#[test]
fn a_fetch_can_run_on_any_thread() {
    fn is_send<T: Send>(_: T) {}
    let spec = SourceSpec { uri: "configmap://a".parse().unwrap(), file: None, digest: None };
    let options = FetchOptions::default();
    is_send(fetch(&spec, Path::new("x"), &options));
}

/// What a file of these tests needs: a text `needs NAME` says it.
fn told(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap();
    text.strip_prefix("needs ").map(str::to_owned).into_iter().collect()
}

#[tokio::test]
async fn what_belongs_to_a_file_is_fetched_with_it_from_every_source_that_can_tell() {
    let mut bench = Bench::new();
    bench.options.companions = told;
    let claim = bench.dir.path().join("claim/pt");
    fs::create_dir(&claim).unwrap();
    let mounted = bench.dir.path().join("configmap/..2026_01_01");
    for folder in [&claim, &mounted] {
        fs::write(folder.join("m.onnx"), "needs m.data").unwrap();
        fs::write(folder.join("m.data"), "weights").unwrap();
    }
    let list =
        format!("{}  m.data\n{}  m.onnx\n", Digest::of(b"weights").hex(), Digest::of(b"needs m.data").hex());
    let content = Digest::of(list.as_bytes());
    let sources = [
        ("file://claim/pt/m.onnx", None),
        ("pvc://models/pt/m.onnx", None),
        ("configmap://digits", Some("m.onnx")),
    ];
    for (uri, file) in sources {
        let fetched = bench.fetch(uri, file, Some(content)).await.unwrap();
        assert_eq!((fetched.digest, fetched.files.len(), fetched.size()), (content, 2, 19), "{uri}");
        assert_eq!(fetched.entry.unwrap().as_str(), "m.onnx", "{uri}");
        assert_eq!(fs::read(bench.dest().join("m.data")).unwrap(), b"weights", "{uri}");
        fs::remove_dir_all(bench.dest()).unwrap();
        let alone = Some(Digest::of(b"needs m.data"));
        assert_eq!(bench.category(uri, file, alone).await, Category::DigestMismatch, "{uri}");
    }
    for folder in [&claim, &mounted] {
        fs::remove_file(folder.join("m.data")).unwrap();
    }
    for (uri, file) in sources {
        let message = bench.fetch(uri, file, None).await.unwrap_err().to_string();
        assert!(message.starts_with("\"m.data\" (tensors of \"m.onnx\") in "), "{message}");
    }
    symlink("/etc/hostname", claim.join("m.data")).unwrap();
    assert_eq!(bench.category("pvc://models/pt/m.onnx", None, None).await, Category::NotAllowed);
}
