//! Warm-up, golden samples, and what the metrics say about it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a function that cannot work fails its test")]

mod common;

use common::{Client, Puppet, doubling, golden, row, start, start_engine};
use http::StatusCode;
use serde_json::json;
use slipway_server::golden::GoldenSamples;
use slipway_server::{BackendChoice, Config, Health, ServeError, serve};
use tokio_util::sync::CancellationToken;

for_each_engine!(
    metrics_tell_requests_model_and_process,
    golden_samples_are_replayed_by_the_engine_that_serves
);

#[tokio::test]
async fn golden_samples_within_tolerance_make_it_ready() {
    let server = start_engine(Puppet::default(), Some(golden([2.01, 4.0], 0.05)), |_| {}).await;
    let mut running = server.running;
    running.ready().await.unwrap();
    let metrics = Client::connect(running.metrics_addr).await.text("/metrics").await;
    assert!(metrics.contains("slipway_self_check_passed{model=\"doubler\",revision=\"\"} 1"), "{metrics}");
}

#[tokio::test]
async fn golden_samples_beyond_tolerance_keep_it_from_being_ready_and_say_why() {
    let mut server = start_engine(Puppet::default(), Some(golden([2.0, 5.5], 0.05)), |_| {}).await;
    let reason = server.running.ready().await.unwrap_err().to_string();
    let words = "self-check failed: sample 0: output \"y\" differs by 1.5 at element 1; 0.05 is allowed; ";
    assert!(reason.starts_with(words) && reason.contains("onMismatch: Warn"), "{reason}");
    let mut client = Client::connect(server.running.addr).await;
    let (status, body) = client.get("/v2/health/ready").await;
    assert_eq!((status, body), (StatusCode::SERVICE_UNAVAILABLE, json!({ "ready": false, "error": reason })));
    assert_eq!(client.get("/v2/health/live").await.0, StatusCode::OK);
    assert_eq!(client.infer(row(1.0, 2.0)).await.0, StatusCode::SERVICE_UNAVAILABLE);
    server.ended().await;
}

#[tokio::test]
async fn another_class_than_the_gates_keeps_it_from_being_ready_however_near_it_is() {
    for (output, class, is_ready) in [([2.0, 4.0], 1, true), ([4.1, 4.0], 0, false)] {
        let mut samples = golden(output, 10.0);
        samples.samples[0].outputs[0].class = Some(class);
        let mut server = start_engine(Puppet::default(), Some(samples), |_| {}).await;
        let reason = server.running.ready().await.err().map(|error| error.to_string()).unwrap_or_default();
        assert_eq!(reason.is_empty(), is_ready, "{reason}");
        assert!(is_ready || reason.contains("does not have its highest score at class 0"), "{reason}");
        server.ended().await;
    }
}

#[tokio::test]
async fn a_model_too_large_for_samples_is_ready_without_them() {
    let samples = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(samples.path(), GoldenSamples::default().to_bytes().unwrap()).unwrap();
    let server = start(BackendChoice::Rten, &doubling(), |config| {
        config.golden = Some(samples.path().to_owned());
    })
    .await;
    let metrics = Client::connect(server.running.metrics_addr).await.text("/metrics").await;
    assert!(!metrics.contains("slipway_self_check_passed{"), "nothing was checked: {metrics}");
    server.ended().await;
}

#[test]
fn a_pod_whose_self_check_fails_ends_with_the_reason_as_its_last_words() {
    let (folder, model) = common::write(&doubling(), "net.onnx");
    let (samples, last_words) = (folder.path().join("samples.golden"), folder.path().join("termination-log"));
    std::fs::write(&samples, golden([2.0, 5.5], 0.05).to_bytes().unwrap()).unwrap();
    std::fs::write(&last_words, "").unwrap();
    let ended = std::process::Command::new(env!("CARGO_BIN_EXE_slipway-server"))
        .args([
            "serve",
            "--name",
            "doubler",
            "--address",
            "127.0.0.1",
            "--http-port",
            "0",
            "--metrics-port",
            "0",
        ])
        .arg("--model")
        .arg(&model)
        .arg("--golden")
        .arg(&samples)
        .arg("--termination-log")
        .arg(&last_words)
        .output()
        .unwrap();
    assert_eq!(ended.status.code(), Some(1), "{}", String::from_utf8_lossy(&ended.stderr));
    let words = std::fs::read_to_string(&last_words).unwrap();
    assert!(words.contains("differs by 1.5 at element 1; 0.05 is allowed"), "{words}");
    assert!(words.len() < 450, "the operator tells 512 characters: {words}");
}

async fn golden_samples_are_replayed_by_the_engine_that_serves(backend: BackendChoice) {
    for (output, passes) in [([2.0, 4.0], true), ([2.0, 5.0], false)] {
        let samples = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(samples.path(), golden(output, 0.0).to_bytes().unwrap()).unwrap();
        let (_folder, model) = common::write(&doubling(), "model.onnx");
        let options = common::engine(backend);
        let config = Config {
            golden: Some(samples.path().to_owned()),
            backend,
            onnxruntime_library: options.library,
            ..Config::local(model, "doubler")
        };
        let stop = CancellationToken::new();
        let mut running = serve(config, stop.clone()).await.unwrap();
        assert_eq!(running.ready().await.is_ok(), passes, "{output:?}");
        stop.cancel();
        running.ended().await;
    }
}

#[tokio::test]
async fn self_check_can_be_a_warning_or_off() {
    for mode in [slipway_server::SelfCheck::Warn, slipway_server::SelfCheck::Off] {
        let samples = Some(golden([0.0, 0.0], 0.0));
        let mut server = start_engine(Puppet::default(), samples, |config| config.self_check = mode).await;
        server.running.ready().await.unwrap();
        server.ended().await;
    }
}

#[tokio::test]
async fn samples_of_another_model_are_a_clear_reason() {
    let mut wrong = golden([2.0, 4.0], 0.0);
    "z".clone_into(&mut wrong.samples[0].outputs[0].name);
    let mut server = start_engine(Puppet::default(), Some(wrong), |_| {}).await;
    let reason = server.running.ready().await.unwrap_err().to_string();
    assert!(reason.contains("does not fit the model: the model has no output \"z\""), "{reason}");
    server.ended().await;
}

#[tokio::test]
async fn engine_that_crashes_before_it_served_anybody_is_not_ready() {
    let puppet = Puppet::default();
    puppet.broken.store(true, std::sync::atomic::Ordering::SeqCst);
    let mut server = start_engine(puppet, Some(golden([2.0, 4.0], 0.0)), |_| {}).await;
    assert!(server.running.ready().await.unwrap_err().to_string().contains("crashed"));
    assert!(matches!(server.running.health(), Health::WarmUpFailed(_)));
    server.ended().await;
}

#[tokio::test]
async fn missing_model_and_taken_port_are_errors() {
    let start = |config| serve(config, CancellationToken::new());
    assert!(matches!(start(Config::local("/nowhere", "m")).await, Err(ServeError::Files(_))));
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut config = Config::local("/nowhere", "m");
    config.http = taken.local_addr().unwrap();
    assert!(matches!(start(config).await, Err(ServeError::Listen { .. })));
}

async fn metrics_tell_requests_model_and_process(backend: BackendChoice) {
    let server = start(backend, &doubling(), |config| {
        config.revision = Some("r1".to_owned());
        config.accuracy = Some(0.97);
    })
    .await;
    let mut client = Client::connect(server.running.addr).await;
    client.infer(row(1.0, 2.0)).await;
    client.infer("{").await;
    client.post("/v2/models/other/infer", "{}").await;
    client.get("/v2/health/ready").await;
    let mut scraper = Client::connect(server.running.metrics_addr).await;
    let metrics = scraper.text("/metrics").await;
    let of = "model=\"doubler\",revision=\"r1\"";
    for line in [
        format!("slipway_requests_total{{{of},protocol=\"rest\",code=\"200\"}} 1"),
        format!("slipway_requests_total{{{of},protocol=\"rest\",code=\"400\"}} 1"),
        format!("slipway_requests_total{{{of},protocol=\"rest\",code=\"404\"}} 1"),
        format!("slipway_request_duration_seconds_count{{{of},protocol=\"rest\"}} 3"),
        format!("slipway_request_duration_seconds_count{{{of},protocol=\"grpc\"}} 0"),
        format!("slipway_queue_wait_seconds_count{{{of}}} 1"),
        format!("slipway_queue_length{{{of}}} 0"),
        format!("slipway_batch_size_bucket{{{of},le=\"1.0\"}} 1"),
        format!("slipway_requests_in_flight{{{of}}} 0"),
        format!("model_accuracy{{{of}}} 0.97"),
        format!("slipway_model_info{{{of},digest=\"\",backend=\"{}\"}} 1", common::name(backend)),
        format!("slipway_engine_info{{backend=\"{}\",version=\"", common::name(backend)),
        "# TYPE process_cpu_seconds counter".to_owned(),
        "# TYPE process_resident_memory_bytes gauge".to_owned(),
    ] {
        assert!(metrics.contains(&line), "{line}\nis not in\n{metrics}");
    }
    assert!(metrics.contains("slipway_build_info{version="));
    assert!(metrics.ends_with("# EOF\n"));
    assert_eq!(scraper.text("/").await, "the metrics are at /metrics\n");
    server.ended().await;
}
