//! The registry client against a real CNCF Distribution, and what it stores against the layout.

#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "tests")]

#[path = "common/distribution.rs"]
mod distribution;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use distribution::{Distribution, binary, start, start_in};
use serde_json::json;
use slipway_artifacts::{
    Bundle, Category, Digest, FetchOptions, Kind, Limits, Location, Reference, RegistryOptions, SourceSpec,
    Store, Tag, alone, fetch, push_path, silent,
};

/// What these tests ask of a registry.
trait Uses {
    fn store(&self, repository: &str) -> Store;
    fn folder(&self) -> PathBuf;
}

impl Uses for Distribution {
    fn store(&self, repository: &str) -> Store {
        let location = Location::Registry { host: self.host.clone(), repository: repository.into() };
        Store::open(&location, &RegistryOptions::default()).unwrap()
    }

    /// A folder with a small and a large file, one of them twice.
    fn folder(&self) -> PathBuf {
        let folder = self.dir.path().join("model");
        fs::create_dir_all(folder.join("data")).unwrap();
        fs::write(folder.join("model.onnx"), "model").unwrap();
        fs::write(folder.join("data/copy.onnx"), "model").unwrap();
        let large: Vec<u8> =
            (0..20_000_000_u32).map(|i| u8::try_from(i.wrapping_mul(2_654_435_761) >> 24).unwrap()).collect();
        fs::write(folder.join("data/weights.bin"), large).unwrap();
        folder
    }
}

fn bundle(folder: &Path) -> Bundle {
    let mut bundle = Bundle::from_path(Kind::Model, folder, &Limits::default()).unwrap();
    bundle.entry = Some("model.onnx".parse().unwrap());
    bundle.format = Some("onnx".into());
    bundle.lineage.key = Some("0123456789abcdef".repeat(4));
    bundle.lineage.inputs = vec![Digest::of(b"source")];
    bundle.lineage.stage = Some(json!({"name": "int8", "quantize": {"dynamic": {}}}));
    bundle.facts = Some(json!({"parameters": 5}));
    bundle
}

fn tag(text: &str) -> Tag {
    text.parse().unwrap()
}

#[tokio::test]
async fn an_artifact_goes_up_and_comes_down_unchanged() {
    let Some(distribution) = start() else { return };
    let folder = distribution.folder();
    let (store, bundle) = (distribution.store("team-a/digits"), bundle(&folder));
    let work = tag("work-0123456789abcdef");
    assert_eq!(store.resolve(&work).await.unwrap(), None);
    assert_eq!(store.tags().await.unwrap(), []);

    let digest = store.push(&bundle, &[work.clone(), tag("v1")], &silent()).await.unwrap();
    assert_eq!(digest, bundle.encode().unwrap().digest);
    assert_eq!(store.push(&bundle, &[], &silent()).await.unwrap(), digest);
    assert_eq!(store.resolve(&work).await.unwrap(), Some(digest));

    let dest = distribution.dir.path().join("pulled");
    let pulled = store.pull(&digest, &dest, &Limits::default(), &silent()).await.unwrap();
    for file in &bundle.files {
        assert_eq!(fs::read(pulled.path(&file.path)).unwrap(), fs::read(&file.local).unwrap());
    }
    assert_eq!(pulled.entry_path().unwrap(), dest.join("model.onnx"));
    assert_eq!(pulled.manifest.lineage().unwrap(), bundle.lineage);
    assert_eq!(pulled.manifest.facts(), bundle.facts);
}

#[tokio::test]
async fn registry_and_layout_give_one_digest() {
    let Some(distribution) = start() else { return };
    let bundle = bundle(&distribution.folder());
    let layout = Location::Layout { path: distribution.dir.path().join("layout") };
    let layout = Store::open(&layout, &RegistryOptions::default()).unwrap();
    let local = layout.push(&bundle, &[tag("v1")], &silent()).await.unwrap();
    assert_eq!(distribution.store("a").push(&bundle, &[tag("v1")], &silent()).await.unwrap(), local);
    assert_eq!(layout.tags().await.unwrap(), distribution.store("a").tags().await.unwrap());
}

#[tokio::test]
async fn tags_are_added_moved_listed_and_removed_alone() {
    let Some(distribution) = start() else { return };
    let store = distribution.store("team-b/m");
    let file = distribution.dir.path().join("model.onnx");
    let mut digests = Vec::new();
    for content in ["one", "two"] {
        fs::write(&file, content).unwrap();
        let bundle = Bundle::from_path(Kind::Model, &file, &Limits::default()).unwrap();
        digests.push(store.push(&bundle, &[tag("last"), tag(content)], &silent()).await.unwrap());
    }
    assert_eq!(store.tags().await.unwrap(), [tag("last"), tag("one"), tag("two")]);
    assert_eq!(store.resolve(&tag("last")).await.unwrap(), Some(digests[1]));
    assert_eq!(store.resolve(&tag("one")).await.unwrap(), Some(digests[0]));

    assert!(store.untag(&tag("last")).await.unwrap());
    assert!(!store.untag(&tag("last")).await.unwrap());
    assert_eq!(store.resolve(&tag("two")).await.unwrap(), Some(digests[1]), "only the tag is removed");
    assert!(store.manifest(&digests[1]).await.is_ok());
}

/// The command of docs/registry.md, with the config file of this registry.
fn documented_garbage_collection(config: &Path) -> Vec<std::ffi::OsString> {
    const IN_THE_CHART: &str = "/etc/slipway-registry/config.yml";
    assert!(include_str!("../../../charts/slipway/templates/registry.yaml").contains(IN_THE_CHART));
    let docs = include_str!("../../../docs/registry.md");
    let line = docs.lines().find_map(|line| line.trim().strip_prefix("registry garbage-collect ")).unwrap();
    let mut args = vec!["garbage-collect".into()];
    args.extend(line.split(' ').map(|word| if word == IN_THE_CHART { config.into() } else { word.into() }));
    assert!(args.contains(&config.into()), "{line}");
    args
}

#[tokio::test]
async fn the_documented_garbage_collection_frees_what_has_no_tag_and_nothing_else() {
    let Some(distribution) = start() else { return };
    let store = distribution.store("default/net");
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("gone"), vec![7; 100_000]).unwrap();
    fs::write(folder.path().join("kept"), vec![8; 100_000]).unwrap();
    let made = |name: &str| {
        Bundle::from_files(Kind::Model, [(name.parse().unwrap(), folder.path().join(name))]).unwrap()
    };
    store.push(&made("gone"), &[tag("work-gone")], &silent()).await.unwrap();
    let kept = store.push(&made("kept"), &[tag("work-kept")], &silent()).await.unwrap();
    assert!(store.untag(&tag("work-gone")).await.unwrap());

    let data = distribution.dir.path().join("data");
    let before = bytes(&data);
    let done = Command::new(binary().unwrap())
        .args(documented_garbage_collection(&distribution.dir.path().join("config.yml")))
        .env("OTEL_TRACES_EXPORTER", "none")
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert!(bytes(&data) + 100_000 <= before, "{before} bytes before, {} after", bytes(&data));
    let into = folder.path().join("pulled");
    store.pull(&kept, &into, &Limits::default(), &silent()).await.unwrap();
    assert_eq!(fs::read(into.join("kept")).unwrap(), vec![8; 100_000]);
    store.push(&made("gone"), &[tag("work-gone")], &silent()).await.unwrap();
}

fn bytes(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries
        .map(
            |entry| {
                if entry.path().is_dir() { bytes(&entry.path()) } else { entry.metadata().unwrap().len() }
            },
        )
        .sum()
}

#[tokio::test]
async fn a_file_that_changed_after_it_was_described_is_not_stored() {
    let Some(distribution) = start() else { return };
    let file = distribution.dir.path().join("model.onnx");
    fs::write(&file, "before").unwrap();
    let bundle = Bundle::from_path(Kind::Model, &file, &Limits::default()).unwrap();
    fs::write(&file, "after!").unwrap();
    let store = distribution.store("a");
    let error = store.push(&bundle, &[tag("v1")], &silent()).await.unwrap_err();
    assert_eq!(error.category(), Category::Protocol, "{error}");
    assert!(error.to_string().contains("DIGEST_INVALID"), "{error}");
    assert_eq!(store.resolve(&tag("v1")).await.unwrap(), None);
}

#[tokio::test]
async fn what_a_user_pushes_is_fetched_as_a_source() {
    let Some(distribution) = start() else { return };
    let reference: Reference = format!("oci://{}/models/digits:v1", distribution.host).parse().unwrap();
    let options = RegistryOptions::default();
    let digest =
        push_path(&distribution.folder(), &reference, Kind::Model, alone, &options, &silent()).await.unwrap();
    let spec = SourceSpec {
        uri: format!("{reference}@{digest}").parse().unwrap(),
        file: Some("model.onnx".parse().unwrap()),
        digest: Some(digest),
    };
    let dest = distribution.dir.path().join("fetched");
    let fetched = fetch(&spec, &dest, &FetchOptions::default()).await.unwrap();
    assert_eq!((fetched.digest, fetched.files.len()), (digest, 3));
    assert_eq!(fs::read(dest.join("model.onnx")).unwrap(), b"model");

    let absent = SourceSpec {
        uri: format!("oci://{}/models/absent:v1", distribution.host).parse().unwrap(),
        ..spec.clone()
    };
    assert_eq!(
        fetch(&absent, &dest, &FetchOptions::default()).await.unwrap_err().category(),
        Category::NotFound
    );
    let wrong = SourceSpec { digest: Some(Digest::of(b"x")), ..spec };
    assert_eq!(
        fetch(&wrong, &dest, &FetchOptions::default()).await.unwrap_err().category(),
        Category::DigestMismatch
    );
}

/// Makes a self-signed certificate for 127.0.0.1; none where there is no `openssl` command.
fn certificate(dir: &Path) -> Option<(PathBuf, PathBuf)> {
    let (certificate, key) = (dir.join("tls.crt"), dir.join("tls.key"));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=registry"])
        .args(["-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"])
        .arg("-out")
        .arg(&certificate)
        .arg("-keyout")
        .arg(&key)
        .stderr(Stdio::null())
        .status();
    if made.is_ok_and(|status| status.success()) {
        return Some((certificate, key));
    }
    eprintln!("skipped: no `openssl` command to make a certificate with");
    None
}

#[tokio::test]
async fn a_certificate_is_trusted_only_when_it_is_given() {
    let dir = tempfile::tempdir().unwrap();
    let Some((certificate, key)) = certificate(dir.path()) else { return };
    let pem = fs::read(&certificate).unwrap();
    let tls = format!(", tls: {{ certificate: {}, key: {} }}", certificate.display(), key.display());
    let Some(distribution) = start_in(dir, &tls) else { return };
    let uri = format!("https://{}/v2/", distribution.host).parse().unwrap();
    let spec =
        SourceSpec { uri, file: Some("answer.json".parse().unwrap()), digest: Some(Digest::of(b"{}")) };
    let mut options = FetchOptions::default();
    options.https.allow_private = true;
    options.https.retry.attempts = 1;
    let dest = distribution.dir.path().join("fetched");
    let error = fetch(&spec, &dest, &options).await.unwrap_err();
    assert_eq!(error.category(), Category::Unreachable);
    assert!(error.to_string().contains("certificate"), "{error}");
    options.https.extra_ca = Some(pem);
    fetch(&spec, &dest, &options).await.unwrap();
}
