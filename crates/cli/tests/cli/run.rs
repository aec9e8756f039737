//! `slipway run`.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use serde_json::Value;
use slipway_model::onnx::build::{self, ModelBuilder};

use crate::{
    npz::{floats, npz},
    program::{Room, example},
    serve::http,
};

fn stage<'a>(report: &'a Value, name: &str) -> &'a Value {
    report["stages"].as_array().unwrap().iter().find(|stage| stage["name"] == name).unwrap()
}

#[test]
fn digits_go_the_whole_way_to_the_same_digest_as_in_a_cluster() {
    let room = Room::new();
    let report = room.slipway(&["run", "-f", &example("."), "--json"]).json();
    let committed = include_str!("../../../../examples/digits/int8.digest").trim();
    assert_eq!(stage(&report, "int8")["outputDigest"], committed);
    assert_eq!(report["gate"]["verdict"], "Pass");
    assert_eq!(report["predictions"]["requests"], 200);
    assert!(report["engine"].as_str().unwrap().starts_with("onnxruntime 1."), "{}", report["engine"]);
    assert_eq!(stage(&report, "gate")["reused"], false);

    let again = room.slipway(&["run", "-f", &example("."), "--json"]).json();
    for (name, reused) in [("source", false), ("int8", true), ("data-holdout", false), ("gate", true)] {
        assert_eq!(stage(&again, name)["outputDigest"], stage(&report, name)["outputDigest"]);
        assert_eq!(stage(&again, name)["reused"], reused, "{name}: what was fetched may have changed");
    }
}

#[test]
fn the_report_lines_up_and_no_bar_is_drawn_where_nobody_watches() {
    let room = Room::new();
    let text = room.slipway(&["run", "-f", &example(".")]).text();
    assert!(text.is_ascii(), "no bar, no colour: {text}");
    for (head, cell, rows) in [("STATE", "done", 4), ("VERDICT", "pass", 5)] {
        let column = text.lines().find_map(|line| line.find(head)).unwrap();
        let starts: Vec<_> = text.lines().filter_map(|line| line.find(cell)).collect();
        assert_eq!(starts, vec![column; rows], "{text}");
    }
}

#[test]
fn a_gate_that_does_not_pass_ends_with_three_and_its_report() {
    let room = Room::new();
    let folder = room.deployment("minimum: \"0.93\"", "minimum: \"0.999\"");
    let done = room.slipway(&["run", "-f", &folder, "--json"]);
    assert_eq!(done.code, 3, "{done:?}");
    let error = done.error();
    assert!(error.starts_with("the gate did not pass (CheckFailed): acc.minimum: "), "{error}");
    let report: Value = serde_json::from_str(&done.out).unwrap();
    assert_eq!(report["gate"]["verdict"], "Fail");
    assert_eq!(report["url"], Value::Null, "nothing was served");
}

#[test]
fn a_step_that_fails_ends_with_one_and_names_the_cause() {
    let room = Room::new();
    let wrong = format!("file: model.onnx\n      digest: sha256:{}", "0".repeat(64));
    let short = "uri: file://short.onnx";
    let whole = std::fs::read(example("model.onnx")).unwrap();
    room.write("short.onnx", &whole[..whole.len() / 2]);
    let cases = [
        ("configmap://digits-model", "configmap://absent", "absent"),
        ("file: model.onnx", "file: other.onnx", "other.onnx"),
        ("file: model.onnx", wrong.as_str(), "DigestMismatch"),
        ("uri: configmap://digits-model\n      file: model.onnx", short, "InvalidModel"),
    ];
    for (from, to, words) in cases {
        let folder = room.deployment(from, to);
        let done = room.slipway(&["run", "-f", &folder]);
        assert_eq!(done.code, 1, "{done:?}");
        assert!(done.err.starts_with("error: ") && done.err.contains(words), "{words}: {done:?}");
    }
}

#[test]
fn a_refused_spec_ends_with_two() {
    let room = Room::new();
    let unknown = room.deployment("  stages:", "  stagez: 1\n  stages:");
    room.slipway(&["run", "-f", &unknown]).fails(2, &["spec.stagez: unknown field"]);
    let batching = room.deployment("replicas: 2", "replicas: 2\n    batching: { maxSize: 4 }");
    let done = room.slipway(&["run", "-f", &batching]);
    assert_eq!(done.code, 2, "{done:?}");
    assert!(done.err.contains("allowCrossRequestEffects"), "{done:?}");
}

#[test]
fn files_of_this_machine_are_a_source_here() {
    let room = Room::new();
    std::fs::copy(example("model.onnx"), room.path("mine.onnx")).unwrap();
    let folder =
        room.deployment("uri: configmap://digits-model\n      file: model.onnx", "uri: file://mine.onnx");
    let report = room.slipway(&["run", "-f", &folder, "--json"]).json();
    assert_eq!(report["gate"]["verdict"], "Pass");

    std::fs::copy(example("holdout.npz"), room.path("mine.onnx")).unwrap();
    let other = room.slipway(&["run", "-f", &folder]);
    assert!(other.code == 1 && other.err.contains("mine.onnx is a NumPy archive"), "{other:?}");
    assert!(other.err.contains("then run again") && !other.err.contains("job"), "{other:?}");
    std::fs::remove_file(room.path("mine.onnx")).unwrap();
    let gone = room.slipway(&["run", "-f", &folder]);
    assert!(gone.code == 1 && gone.err.contains("mine.onnx"), "{gone:?}");
}

#[test]
fn an_operator_that_no_engine_has_is_not_sent_to_another_engine() {
    let room = Room::new();
    let source = "uri: configmap://digits-model\n      file: model.onnx";
    for (domain, words) in [
        (
            "com.acme",
            "com.acme.Odd: export the model without it: ONNX Runtime has no operators of that domain either",
        ),
        ("ai.onnx.ml", "set serving.runtime.slipway.backend to auto"),
    ] {
        let mut model =
            ModelBuilder::new().input("x", &[-1, 2]).output("y", &[-1, 2]).node("Odd", &["x"], &["y"]);
        model.graph().node[0].domain = Some(domain.to_owned());
        model.write(&room.path("mine.onnx")).unwrap();
        let folder = room.deployment(source, "uri: file://mine.onnx");
        let text = std::fs::read_to_string(room.path("modeldeployment.yaml")).unwrap();
        let built_in = "  serving:\n    runtime: { slipway: { backend: rten } }\n";
        room.write("modeldeployment.yaml", text.replacen("  serving:\n", built_in, 1));
        let done = room.slipway(&["run", "-f", &folder]);
        assert!(done.code == 1 && done.err.contains(words), "{done:?}");
    }
}

#[test]
fn an_array_of_another_name_is_told_with_how_to_name_it() {
    let room = Room::new();
    let folder = room.deployment("labels: labels", "labels: labels\n      inputs: { pixels: images }");
    let done = room.slipway(&["run", "-f", &folder]);
    let words =
        "there is no array \"images\"; the file has labels, pixels: write `inputs: { pixels: ARRAY }`";
    assert!(done.err.contains(words), "{done:?}");
}

#[test]
fn a_gate_that_cannot_run_says_nothing_of_the_model() {
    let room = Room::new();
    let folder = room.deployment("output: probabilities", "output: probs");
    let done = room.slipway(&["run", "-f", &folder]);
    assert!(done.code == 1 && done.err.contains("GateError: the source has no output \"probs\""), "{done:?}");
}

/// A folder served with TLS on this machine; it ends with this value.
struct Files {
    process: Child,
    port: String,
}

impl Drop for Files {
    fn drop(&mut self) {
        let _gone = self.process.kill();
        let _reaped = self.process.wait();
    }
}

impl Files {
    /// Serves the room, with a certificate of its own in `tls.crt`; none where there is no `openssl` command.
    fn serve(room: &Room) -> Option<Self> {
        let openssl = |arguments: &[&str]| {
            let mut command = Command::new("openssl");
            command.args(arguments).current_dir(room.path(".")).stderr(Stdio::null());
            command
        };
        let request = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=files"];
        let names =
            ["-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"];
        let files = ["-out", "tls.crt", "-keyout", "tls.key"];
        let made = openssl(&[&request[..], &names, &files].concat()).status();
        if !made.is_ok_and(|status| status.success()) {
            eprintln!("skipped: no `openssl` command to serve with");
            return None;
        }
        let serve = ["s_server", "-accept", "127.0.0.1:0", "-cert", "tls.crt", "-key", "tls.key", "-WWW"];
        let mut process = openssl(&serve).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines().map(Result::unwrap);
        let port = lines.find_map(|line| Some(line.strip_prefix("ACCEPT 127.0.0.1:")?.to_owned())).unwrap();
        // It says more with each request, and must not wait for a reader.
        std::thread::spawn(move || lines.count());
        Some(Self { process, port })
    }
}

#[test]
fn a_server_of_ones_own_network_is_a_source_where_the_user_says_so() {
    let room = Room::new();
    let Some(files) = Files::serve(&room) else { return };
    std::fs::copy(example("model.onnx"), room.path("mine.onnx")).unwrap();
    let uri = format!("uri: https://127.0.0.1:{}/mine.onnx", files.port);
    let folder = room.deployment("uri: configmap://digits-model\n      file: model.onnx", &uri);

    let refused = room.slipway(&["run", "-f", &folder]);
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.err.contains("127.0.0.1 is not allowed"), "{refused:?}");
    assert!(refused.err.contains("--allow-private-hosts"), "{refused:?}");

    let mut trusting = room.command(&["run", "-f", &folder, "--allow-private-hosts", "--json"]);
    let output = trusting.env("SSL_CERT_FILE", room.path("tls.crt")).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["gate"]["verdict"], "Pass");
}

#[test]
fn a_run_keeps_what_it_used_and_removes_what_earlier_runs_made() {
    let room = Room::new();
    let files = |room: &Room| {
        let blobs = room.path(".cache/slipway/artifacts/default/digits/blobs/sha256");
        std::fs::read_dir(blobs).unwrap().count()
    };
    room.slipway(&["run", "-f", &example("."), "--json"]).json();
    let once = files(&room);
    let folder = room.deployment("minSamples: 700", "minSamples: 701");
    let other = room.slipway(&["run", "-f", &folder, "--json"]).json();
    assert_eq!(stage(&other, "int8")["reused"], true, "what both use is kept");
    assert_eq!(stage(&other, "gate")["reused"], false);
    assert_eq!(files(&room), once, "what the gate of before made is gone");
}

#[test]
fn a_static_stage_is_calibrated_once_whatever_is_made_of_it() {
    let room = Room::new();
    let fixed = |granularity: &str| {
        format!("        static:\n          data: usual\n          granularity: {granularity}")
    };
    let dynamic = "        dynamic:\n          granularity: perChannel";
    let run = |granularity: &str| {
        let folder = room.deployment_with_usual(dynamic, &fixed(granularity));
        room.slipway(&["run", "-f", &folder, "--json"]).json()
    };
    let first = run("perChannel");
    assert_eq!(first["gate"]["verdict"], "Pass");
    let names: Vec<_> =
        first["stages"].as_array().unwrap().iter().map(|stage| stage["name"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        ["source", "data-usual", "calibrate-int8", "int8", "data-holdout", "gate"],
        "what the stage needs comes before it, and what the gate needs behind"
    );
    let second = run("perTensor");
    assert_eq!(stage(&second, "calibrate-int8")["reused"], true);
    assert_eq!(stage(&second, "int8")["reused"], false);
    assert_ne!(stage(&second, "int8")["outputDigest"], stage(&first, "int8")["outputDigest"]);

    let told = room.slipway(&["run", "-f", &room.argument(".")]).text();
    assert!(told.starts_with("note: stage int8 quantizes statically") && told.contains("slower"), "{told}");

    let missing = room.deployment(dynamic, "        static: { data: absent }");
    room.slipway(&["run", "-f", &missing]).fails(2, &["quantize.static.data must be the name of a data set"]);
    let share = room.deployment_with_usual(dynamic, "        static: { data: usual, percentile: \"99\" }");
    room.slipway(&["run", "-f", &share]).fails(2, &["percentile is for range: Percentile"]);
}

#[test]
fn the_port_of_the_metrics_is_the_one_that_was_asked_for() {
    let room = Room::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let port = address.port().to_string();
    let done = room.slipway(&["run", "-f", &example("."), "--serve", "--metrics-port", &port]);
    assert!(done.code == 1 && done.err.contains(&format!("cannot listen on {address}")), "{done:?}");
    assert!(done.err.ends_with("; --metrics-port 0 takes any free one\n"), "{done:?}");
    let done = room.slipway(&["run", "-f", &example("."), "--serve", "--port", &port]);
    assert!(done.code == 1 && done.err.ends_with("; --port 0 takes any free one\n"), "{done:?}");
}

#[test]
fn a_model_that_cannot_be_served_is_named_by_its_object() {
    let room = Room::new();
    let mixes = ModelBuilder::new().input("x", &[-1, 4]).output("y", &[-1, 4]).node_with(
        "Softmax",
        &["x"],
        &["y"],
        vec![build::int("axis", 0)],
    );
    let odd = ModelBuilder::new().input("x", &[-1, 4]).output("y", &[-1, 4]).node("Odd", &["x"], &["y"]);
    let gate = "data: [{ name: set, source: { uri: \"file://data.npz\" } }], gate: { data: set, task: { classification: \
                { output: y } }, checks: [{ name: same, parity: { top1Agreement: \"0.9\" } }] }, ";
    room.write(
        "data.npz",
        npz(&[floats("x", &[200, 4], |place| f32::from(u8::try_from(place % 7).unwrap()))]),
    );
    for (model, serving, words) in [
        (mixes, "batching: { maxSize: 8 }", "requests that share a run change each other's answers"),
        (odd, "runtime: { slipway: { backend: onnxruntime } }", "Load model from model.onnx failed"),
    ] {
        model.write(&room.path("model.onnx")).unwrap();
        for (gate, role) in [(gate, "net: the gate's candidate: "), ("", "net: the model to serve: ")] {
            let head = "apiVersion: slipway.dev/v1alpha1\nkind: ModelDeployment\nmetadata: { name: net }\n";
            let spec = format!(
                "spec: {{ model: {{ source: {{ uri: \"file://model.onnx\" }} }}, {gate}serving: {{ {serving} }} }}\n"
            );
            let file = room.write("net.yaml", head.to_owned() + &spec);
            let done = room.slipway(&["run", "-f", &file]);
            done.fails(1, &[role, words]);
            assert!(!done.err.contains(".scratch") && done.err.lines().count() == 1, "{done:?}");
        }
    }
}

#[test]
fn a_confidence_that_proves_nothing_is_a_wrong_spec() {
    let room = Room::new();
    for confidence in ["1.0", "0.3"] {
        let gate = format!("minSamples: 700\n    onInconclusive: Pass\n    confidence: \"{confidence}\"");
        let folder = room.deployment("minSamples: 700", &gate);
        for command in ["run", "plan"] {
            room.slipway(&[command, "-f", &folder]).fails(2, &["at least 0.5 and below 1"]);
        }
    }
}

#[test]
fn what_is_in_a_cluster_alone_is_told_with_what_there_is_here() {
    let room = Room::new();
    for (source, words) in [
        ("pvc://models/net.onnx", "on this machine name a copy with file://"),
        ("configmap://absent", "into the file or folder that -f names"),
    ] {
        let from = "uri: configmap://digits-model\n      file: model.onnx";
        let file = if source.starts_with("pvc") { "" } else { "\n      file: model.onnx" };
        let folder = room.deployment(from, &format!("uri: {source}{file}"));
        let done = room.slipway(&["run", "-f", &folder]);
        assert!(done.code == 1 && done.err.contains(words), "{done:?}");
    }
}

#[test]
fn a_model_that_went_the_whole_way_stays_until_it_is_told_to_end() {
    let room = Room::new();
    let mut run =
        room.command(&["run", "-f", &example("."), "--serve"]).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(run.stderr.take().unwrap()).lines().map(Result::unwrap);
    let line = lines.find(|line| line.starts_with("serving at ")).unwrap();
    let url = line.split(' ').nth(2).unwrap();
    let body = std::fs::read_to_string(example("requests/eight.json")).unwrap();
    let answer: Value = serde_json::from_str(&http("POST", &format!("{url}/infer"), &body)).unwrap();
    let scores: Vec<f64> = serde_json::from_value(answer["outputs"][0]["data"].clone()).unwrap();
    assert!((0..10).all(|digit| scores[digit] <= scores[8]), "the readme says an 8: {scores:?}");
    assert!(Command::new("kill").args(["-TERM", &run.id().to_string()]).status().unwrap().success());
    assert_eq!(run.wait().unwrap().code(), Some(0), "it drained and ended by itself");
}
