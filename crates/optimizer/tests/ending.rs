//! A job pod that is asked to end ends at once, with an answer that has it tried again.
#![allow(clippy::unwrap_used, reason = "a helper that cannot work fails its test")]

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::json;
use slipway_api::job::{JobResult, JobSpec};

/// Answers requests until one asks for the source, and gives the connection on which that one waits.
fn serve_until_the_source_is_asked_for(listener: &TcpListener, job: &mut Child) -> TcpStream {
    listener.set_nonblocking(true).unwrap();
    loop {
        let Ok((mut stream, _)) = listener.accept() else {
            assert!(job.try_wait().unwrap().is_none(), "it ended before it asked for the source");
            std::thread::yield_now();
            continue;
        };
        stream.set_nonblocking(false).unwrap();
        // To the end of the head: what is left unread would reset the connection before the answer is read.
        let lines = BufReader::new(stream.try_clone().unwrap()).lines().map(Result::unwrap);
        let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
        if head[0].contains("/v2/theirs/") {
            return stream;
        }
        stream
            .write_all(b"HTTP/1.1 404 Not Found\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
            .unwrap();
    }
}

fn spec(host: &str) -> JobSpec {
    let uri = format!("oci://{host}/theirs/net@sha256:{}", "0".repeat(64));
    serde_json::from_value(json!({
        "key": "0".repeat(64), "step": "source",
        "registry": { "host": host, "repository": "ours/net", "plainHttp": true },
        "work": { "source": { "source": { "uri": uri } } },
    }))
    .unwrap()
}

fn entries(folder: &Path) -> usize {
    fs::read_dir(folder).unwrap().count()
}

#[test]
fn a_job_that_is_asked_to_end_says_that_it_may_be_tried_again_and_leaves_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let spec = serde_json::to_string(&spec(&listener.local_addr().unwrap().to_string())).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let scratch = folder.path().join("scratch");
    fs::create_dir(&scratch).unwrap();
    let (answer, signing) = (folder.path().join("answer"), folder.path().join("signing"));
    fs::create_dir(&signing).unwrap();
    fs::write(signing.join("key"), [7; 32]).unwrap();
    let mut job = Command::new(env!("CARGO_BIN_EXE_slipway-job"))
        .args(["run", "--spec", &spec, "--scratch", scratch.to_str().unwrap()])
        .args(["--answer", answer.to_str().unwrap(), "--signing", signing.to_str().unwrap()])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let hanging = serve_until_the_source_is_asked_for(&listener, &mut job);
    assert_eq!(entries(&scratch), 1, "it works");
    let asked = Instant::now();
    let killed = Command::new("kill").args(["-TERM", &job.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let status = job.wait().unwrap();
    assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
    drop(hanging);
    assert_eq!(status.code(), Some(1), "a code that the Job tries again");
    let result: JobResult = serde_json::from_str(&fs::read_to_string(&answer).unwrap()).unwrap();
    let failure = result.failure.unwrap();
    assert!(failure.retryable && failure.message.contains("asked to end"), "{failure:?}");
    assert_eq!(entries(&scratch), 0, "temporary files are gone");
}
