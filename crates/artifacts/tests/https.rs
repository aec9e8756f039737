//! Fetching from web servers that redirect, lie and reach inwards.

#![expect(
    clippy::format_push_string,
    clippy::unwrap_used,
    dead_code,
    unreachable_pub,
    reason = "test helpers"
)]

mod common;

use common::{Answer, Server, quick_retry};
use slipway_artifacts::{
    Authorization, Category, Digest, Error, FetchOptions, Fetched, HttpsPolicy, SourceSpec, fetch,
};

/// A policy that a test on loopback needs.
fn inward() -> HttpsPolicy {
    HttpsPolicy { allow_http: true, allow_private: true, retry: quick_retry(), ..HttpsPolicy::default() }
}

async fn get(url: &str, policy: HttpsPolicy, digest: Option<Digest>) -> Result<Fetched, Error> {
    let dir = tempfile::tempdir().unwrap();
    let spec = SourceSpec { uri: url.parse().unwrap(), file: None, digest };
    let mut options = FetchOptions { https: policy, ..FetchOptions::default() };
    options.limits.max_bytes = 100;
    let fetched = fetch(&spec, dir.path(), &options).await;
    let files = std::fs::read_dir(dir.path()).unwrap().count();
    assert_eq!(files, usize::from(fetched.is_ok()), "on failure nothing stays");
    fetched
}

#[tokio::test]
async fn a_file_is_fetched_named_and_verified() {
    let server = Server::start(|_, n| if n == 0 { Answer::status(503) } else { Answer::ok("model") }).await;
    let url = format!("http://{}/models/digits.onnx?sig=1", server.host);
    let fetched = get(&url, inward(), Some(Digest::of(b"model"))).await.unwrap();
    assert_eq!(fetched.entry.unwrap().as_str(), "digits.onnx");
    assert_eq!(fetched.digest, Digest::of(b"model"));
    let error = get(&url, inward(), Some(Digest::of(b"other"))).await.unwrap_err();
    assert_eq!(error.category(), Category::DigestMismatch);
    assert!(!error.to_string().contains("sig"), "{error}");
}

#[tokio::test]
async fn redirects_are_followed_bounded_and_checked() {
    let server = Server::start(|request, _| match request.path.as_str() {
        "/moved" => Answer::status(302).header("location", "/model.onnx"),
        "/loop" => Answer::status(302).header("location", "/loop"),
        "/away" => Answer::status(302).header("location", "http://elsewhere.example/x"),
        "/nowhere" => Answer::status(302),
        _ => Answer::ok("model"),
    })
    .await;
    let url = |path: &str| format!("http://{}{path}", server.host);
    assert_eq!(get(&url("/moved"), inward(), None).await.unwrap().digest, Digest::of(b"model"));
    let before = server.requests().len();
    assert_eq!(get(&url("/loop"), inward(), None).await.unwrap_err().category(), Category::NotAllowed);
    assert_eq!(server.requests().len() - before, 6);
    let listed = HttpsPolicy { allowed_hosts: vec!["127.0.0.1".into()], ..inward() };
    assert_eq!(get(&url("/away"), listed, None).await.unwrap_err().category(), Category::NotAllowed);
    assert_eq!(get(&url("/nowhere"), inward(), None).await.unwrap_err().category(), Category::Protocol);
}

#[tokio::test]
async fn private_addresses_are_refused_as_literals_and_as_names() {
    let server = Server::start(|_, _| Answer::ok("secret")).await;
    let port = server.host.rsplit(':').next().unwrap();
    for host in ["127.0.0.1", "localhost"] {
        let policy = HttpsPolicy { allow_private: false, ..inward() };
        let error = get(&format!("http://{host}:{port}/x"), policy, None).await.unwrap_err();
        assert_eq!(error.category(), Category::NotAllowed, "{error}");
        assert!(error.to_string().contains(host), "{error}");
    }
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn plain_http_needs_permission() {
    let policy = HttpsPolicy { allow_http: false, ..inward() };
    let error = get("http://127.0.0.1:1/x", policy, None).await.unwrap_err();
    assert_eq!(error.category(), Category::NotAllowed);
}

#[tokio::test]
async fn size_is_limited_with_and_without_an_honest_length() {
    let announced = Server::start(|_, _| Answer { promised: Some(1 << 40), ..Answer::ok("x") }).await;
    let error = get(&format!("http://{}/x", announced.host), inward(), None).await.unwrap_err();
    assert_eq!(error.category(), Category::TooLarge);
    let long = Server::start(|_, _| Answer::ok(vec![0; 101]).header("x", "y")).await;
    let error = get(&format!("http://{}/x", long.host), inward(), None).await.unwrap_err();
    assert_eq!(error.category(), Category::TooLarge);
}

#[tokio::test]
async fn a_cut_body_is_fetched_again_from_the_start() {
    let server = Server::start(|_, n| match n {
        0 => Answer { promised: Some(5), ..Answer::ok("mo") },
        _ => Answer::ok("model"),
    })
    .await;
    let fetched = get(&format!("http://{}/x", server.host), inward(), None).await.unwrap();
    assert_eq!(fetched.digest, Digest::of(b"model"));
}

#[tokio::test]
async fn credentials_stay_with_their_host() {
    let other = Server::start(|_, _| Answer::ok("model")).await;
    let target = format!("http://{}/m", other.host);
    let server = Server::start(move |_, _| Answer::status(302).header("location", &target)).await;
    let policy = HttpsPolicy { authorization: Some(Authorization::bearer("t")), ..inward() };
    get(&format!("http://{}/x", server.host), policy, None).await.unwrap();
    assert_eq!(server.requests()[0].headers["authorization"], "Bearer t");
    assert!(!other.requests()[0].headers.contains_key("authorization"));
}

#[tokio::test]
async fn missing_and_forbidden_files_are_told_apart() {
    for (status, category) in
        [(404, Category::NotFound), (403, Category::Unauthorized), (418, Category::Protocol)]
    {
        let server = Server::start(move |_, _| Answer::status(status)).await;
        let error = get(&format!("http://{}/x", server.host), inward(), None).await.unwrap_err();
        assert_eq!(error.category(), category);
        assert_eq!(server.requests().len(), 1);
    }
}

#[tokio::test]
async fn a_model_that_keeps_tensors_in_another_file_is_refused_with_its_name() {
    let server = Server::start(|_, _| Answer::ok("model")).await;
    let spec = SourceSpec {
        uri: format!("http://{}/models/net.onnx", server.host).parse().unwrap(),
        file: None,
        digest: None,
    };
    let companions = |_: &std::path::Path| vec!["net.onnx.data".to_owned()];
    let options = FetchOptions { https: inward(), companions, ..FetchOptions::default() };
    let dest = tempfile::tempdir().unwrap();
    let message = fetch(&spec, dest.path(), &options).await.unwrap_err().to_string();
    assert!(message.contains("net.onnx.data") && message.contains("slipway push"), "{message}");
    assert_eq!(std::fs::read_dir(dest.path()).unwrap().count(), 0);
}
