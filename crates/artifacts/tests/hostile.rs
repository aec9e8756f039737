//! Registries that lie, stall, break and overload, and what becomes of it.

#![expect(clippy::format_push_string, clippy::unwrap_used, unreachable_pub, reason = "test helpers")]

mod common;

use std::path::Path;

use common::{Answer, Request, Server, manifest_of, quick};
use slipway_artifacts::{
    Category, Credentials, Digest, Error, Limits, Registry, RegistryOptions, Store, Tag, silent,
};

const CONTENT: &[u8] = b"0123456789abcdef";

fn store(server: &Server, options: &RegistryOptions) -> Store {
    Store::Registry(Registry::new(&server.host, "team/model", options).unwrap())
}

fn is_blob(request: &Request) -> bool {
    request.path.contains("/blobs/")
}

/// Pulls the artifact of `CONTENT` from a server that answers blobs by `blob` and the manifest truthfully.
async fn pull(
    dest: &Path,
    blob: impl Fn(&Request, usize) -> Answer + Send + Sync + 'static,
) -> (Server, Result<Vec<u8>, Error>) {
    let manifest = manifest_of(CONTENT, CONTENT.len() as u64);
    let digest = Digest::of(&manifest);
    let server =
        Server::start(
            move |request, n| {
                if is_blob(request) { blob(request, n - 1) } else { Answer::ok(manifest.clone()) }
            },
        )
        .await;
    let pulled = store(&server, &quick()).pull(&digest, dest, &Limits::default(), &silent()).await;
    let read = pulled.map(|pulled| std::fs::read(pulled.entry_path().unwrap()).unwrap());
    (server, read)
}

fn nothing_in(dest: &Path) -> bool {
    std::fs::read_dir(dest).unwrap().next().is_none()
}

#[tokio::test]
async fn a_blob_of_other_bytes_is_refused_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (server, read) = pull(dir.path(), |_, _| Answer::ok("0123456789abcdeX")).await;
    let error = read.unwrap_err();
    assert_eq!(error.category(), Category::DigestMismatch);
    let message = error.to_string();
    for part in
        [Digest::of(CONTENT).to_string(), Digest::of(b"0123456789abcdeX").to_string(), server.host.clone()]
    {
        assert!(message.contains(&part), "{message}");
    }
    assert!(nothing_in(dir.path()));
}

#[tokio::test]
async fn more_bytes_than_promised_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (server, read) = pull(dir.path(), |_, _| Answer::ok(vec![b'x'; 1 << 20])).await;
    assert!(matches!(read.unwrap_err(), Error::SizeMismatch { wanted: 16, .. }));
    assert_eq!(server.requests().len(), 2, "more bytes never become fewer by asking again");
}

#[tokio::test]
async fn a_broken_download_is_resumed_where_it_broke() {
    let dir = tempfile::tempdir().unwrap();
    let (server, read) = pull(dir.path(), |request, n| {
        if n == 0 {
            return Answer { promised: Some(16), ..Answer::ok(&CONTENT[..5]) };
        }
        assert_eq!(request.headers["range"], "bytes=5-");
        Answer { status: 206, ..Answer::ok(&CONTENT[5..]) }.header("content-range", "bytes 5-15/16")
    })
    .await;
    assert_eq!(read.unwrap(), CONTENT);
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn a_server_without_ranges_starts_over() {
    let dir = tempfile::tempdir().unwrap();
    let (_server, read) = pull(dir.path(), |_, n| match n {
        0 => Answer { promised: Some(16), ..Answer::ok(&CONTENT[..5]) },
        _ => Answer::ok(CONTENT),
    })
    .await;
    assert_eq!(read.unwrap(), CONTENT);
}

#[tokio::test]
async fn a_wrong_range_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (_server, read) = pull(dir.path(), |_, n| match n {
        0 => Answer { promised: Some(16), ..Answer::ok(&CONTENT[..5]) },
        _ => Answer { status: 206, ..Answer::ok(CONTENT) }.header("content-range", "bytes 0-15/16"),
    })
    .await;
    assert_eq!(read.unwrap_err().category(), Category::Protocol);
}

#[tokio::test]
async fn a_blob_that_is_always_cut_ends_as_a_size_mismatch() {
    let dir = tempfile::tempdir().unwrap();
    let (server, read) = pull(dir.path(), |_, _| Answer::ok(&CONTENT[..5])).await;
    assert!(matches!(read.unwrap_err(), Error::SizeMismatch { wanted: 16, got: 5, .. }));
    assert_eq!(server.requests().len(), 1 + 4);
    assert!(nothing_in(dir.path()));
}

#[tokio::test]
async fn failure_and_overload_are_retried_and_then_succeed() {
    let dir = tempfile::tempdir().unwrap();
    let (server, read) = pull(dir.path(), |_, n| match n {
        0 | 1 => Answer::status(500),
        2 => Answer::status(429).header("retry-after", 0),
        _ => Answer::ok(CONTENT),
    })
    .await;
    assert_eq!(read.unwrap(), CONTENT);
    assert_eq!(server.requests().len(), 1 + 4);
}

#[tokio::test]
async fn lasting_failure_names_the_host_the_attempts_and_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let (server, read) = pull(dir.path(), |_, _| Answer {
        status: 503,
        ..Answer::ok(r#"{"errors":[{"code":"UNAVAILABLE","message":"disk\u0007full"}]}"#)
    })
    .await;
    let error = read.unwrap_err();
    assert!(error.is_retryable());
    assert_eq!(error.category(), Category::Unreachable);
    let message = error.to_string();
    for part in [server.host.as_str(), "4 times", "503", "UNAVAILABLE disk full", "check that"] {
        assert!(message.contains(part), "{message}");
    }
}

#[tokio::test]
async fn a_host_that_is_down_is_unreachable() {
    let gone = Server::start(|_, _| Answer::status(200)).await.host.clone();
    let registry = Registry::new(&gone, "a", &quick()).unwrap();
    let error = registry.tags().await.unwrap_err();
    assert_eq!(error.category(), Category::Unreachable);
    assert!(error.to_string().contains(&gone), "{error}");
}

#[tokio::test]
async fn manifests_are_bounded_and_verified() {
    let huge = Server::start(|_, _| Answer::ok(vec![b' '; (4 << 20) + 1])).await;
    let error = store(&huge, &quick()).manifest(&Digest::of(b"x")).await.unwrap_err();
    assert_eq!(error.category(), Category::TooLarge);
    let lying = Server::start(|_, _| Answer::ok(manifest_of(b"other", 5))).await;
    let error = store(&lying, &quick()).manifest(&Digest::of(b"x")).await.unwrap_err();
    assert_eq!(error.category(), Category::DigestMismatch);
}

#[tokio::test]
async fn what_exceeds_the_limits_is_refused_before_any_byte_of_it_moves() {
    let manifest = manifest_of(CONTENT, u64::MAX);
    let digest = Digest::of(&manifest);
    let server = Server::start(move |_, _| Answer::ok(manifest.clone())).await;
    let dir = tempfile::tempdir().unwrap();
    let pulled = store(&server, &quick()).pull(&digest, dir.path(), &Limits::default(), &silent()).await;
    assert_eq!(pulled.unwrap_err().category(), Category::TooLarge);
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_tag_without_a_digest_header_is_resolved_by_its_bytes() {
    let manifest = manifest_of(CONTENT, 16);
    let digest = Digest::of(&manifest);
    let server = Server::start(move |_, _| Answer::ok(manifest.clone())).await;
    let tag: Tag = "v1".parse().unwrap();
    assert_eq!(store(&server, &quick()).resolve(&tag).await.unwrap(), Some(digest));
}

#[tokio::test]
async fn a_bearer_challenge_is_answered_with_the_login_and_the_scope() {
    let server = Server::start(|request, _| {
        let host = &request.headers["host"];
        let authorization = request.headers.get("authorization").map(String::as_str);
        if request.path.starts_with("/token") {
            assert_eq!(authorization, Some("Basic dTpw"));
            assert!(
                request.path.contains("service=r")
                    && request.path.contains("scope=repository%3Ateam%2Fmodel%3Apull")
            );
            return Answer::ok(r#"{"token":"t0ken"}"#);
        }
        match authorization {
            Some("Bearer t0ken") => Answer::ok(r#"{"name":"team/model","tags":["b","a","not a tag"]}"#),
            _ => Answer::status(401).header(
                "www-authenticate",
                format!(
                    r#"Bearer realm="http://{host}/token",service="r",scope="repository:team/model:pull""#
                ),
            ),
        }
    })
    .await;
    let mut options = quick();
    options.credentials = Credentials::default().with_basic(&server.host, "u", "p");
    let tags = store(&server, &options).tags().await.unwrap();
    assert_eq!(tags.iter().map(Tag::as_str).collect::<Vec<_>>(), ["a", "b"]);
}

#[tokio::test]
async fn a_password_never_goes_to_a_realm_without_tls() {
    let server = Server::start(|_, _| {
        Answer::status(401)
            .header("www-authenticate", r#"Bearer realm="http://collector.example/token",service="r""#)
    })
    .await;
    let mut options = quick();
    options.credentials = Credentials::default().with_basic(&server.host, "u", "p");
    let error = store(&server, &options).tags().await.unwrap_err();
    assert_eq!(error.category(), Category::NotAllowed);
}

#[tokio::test]
async fn missing_and_refused_credentials_say_so() {
    for challenge in ["Basic realm=\"r\"", "Negotiate"] {
        let server =
            Server::start(move |_, _| Answer::status(401).header("www-authenticate", challenge)).await;
        let error = store(&server, &quick()).tags().await.unwrap_err();
        assert_eq!(error.category(), Category::Unauthorized);
        assert!(error.to_string().contains("credentials"), "{error}");
        let mut options = quick();
        options.credentials = Credentials::default().with_basic(&server.host, "u", "p");
        let error = store(&server, &options).tags().await.unwrap_err();
        assert_eq!(error.category(), Category::Unauthorized);
    }
}

#[tokio::test]
async fn a_redirect_down_from_trust_is_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    let (_server, read) =
        pull(dir.path(), |_, _| Answer::status(307).header("location", "http://elsewhere.example/blob"))
            .await;
    assert_eq!(read.unwrap_err().category(), Category::NotAllowed);
}

#[tokio::test]
async fn an_upload_that_breaks_is_started_over() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("model.onnx");
    std::fs::write(&file, CONTENT).unwrap();
    let server = Server::start(|request, n| match (request.method.as_str(), n) {
        ("HEAD", _) => Answer::status(404),
        ("POST", _) => Answer::status(202).header("location", format!("/upload/{n}?state=x")),
        ("PUT", 0..=4) => Answer::status(502),
        _ => Answer::status(201),
    })
    .await;
    let registry = Registry::new(&server.host, "a", &quick()).unwrap();
    let digest = Digest::of(CONTENT);
    registry.push_blob(&digest, 16, &file, &silent()).await.unwrap();
    let puts: Vec<_> = server.requests().into_iter().filter(|request| request.method == "PUT").collect();
    assert_eq!(puts.len(), 3);
    assert_eq!(puts[2].path, format!("/upload/5?state=x&digest={}", digest.to_string().replace(':', "%3A")));
    assert_eq!(puts[2].body, CONTENT);
}

#[tokio::test]
async fn a_registry_that_cannot_delete_says_how_to_let_it() {
    for status in [400, 405] {
        let server = Server::start(move |_, _| Answer::status(status)).await;
        let error = store(&server, &quick()).untag(&"v1".parse().unwrap()).await.unwrap_err();
        assert_eq!(error.category(), Category::NotAllowed, "{status}");
        assert!(error.to_string().contains("REGISTRY_STORAGE_DELETE_ENABLED"), "{error}");
    }
}
