//! `slipway plan`.

use serde_json::Value;

use crate::program::{Done, Room, example};

fn objects(plan: Done) -> Vec<Value> {
    let list = plan.json();
    assert_eq!((&list["apiVersion"], &list["kind"]), (&"v1".into(), &"List".into()));
    list["items"].as_array().unwrap().clone()
}

fn names(objects: &[Value]) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    objects.iter().map(|object| text(&object["kind"]) + " " + &text(&object["metadata"]["name"])).collect()
}

fn of<'a>(objects: &'a [Value], kind: &str) -> &'a Value {
    objects.iter().find(|object| object["kind"] == kind).unwrap()
}

#[test]
fn every_object_that_the_operator_makes_is_printed() {
    let room = Room::new();
    let objects = objects(room.slipway(&["plan", "-f", &example("."), "--json"]));
    assert_eq!(
        names(&objects),
        [
            "Job digits-source-3c9fa385",
            "Job digits-data-holdout-c3eeb87b",
            "Job digits-int8-<key>",
            "Job digits-gate-<key>",
            "ControllerRevision digits-<hash>",
            "Service digits",
            "Service digits-metrics-cc6b6bad",
            "PodDisruptionBudget digits",
            "ServiceMonitor digits",
            "Deployment digits-<hash>",
        ]
    );
    let template = &of(&objects, "Deployment")["spec"]["template"];
    let fetch = template["spec"]["initContainers"][0]["args"].to_string();
    assert!(
        fetch.contains("@sha256:<output of int8>") && fetch.contains("@sha256:<golden samples of gate>"),
        "{fetch}"
    );
    assert_eq!(template["metadata"]["labels"]["slipway.dev/revision"], "<hash>");
    assert_eq!(of(&objects, "Service")["spec"]["selector"]["slipway.dev/revision"], "<hash>");
    assert_eq!(&of(&objects, "ControllerRevision")["data"]["template"], template);
    let gate = objects[3]["spec"]["template"]["spec"]["containers"][0]["args"].to_string();
    assert!(gate.contains("<key of gate>") && gate.contains("sha256:<output of source>"), "{gate}");
}

#[test]
fn the_text_is_the_same_objects_as_yaml() {
    let room = Room::new();
    let objects = objects(room.slipway(&["plan", "-f", &example("."), "--json"]));
    let text = room.slipway(&["plan", "-f", &example(".")]).text();
    let titles: Vec<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# "))
        .map(|title| title.split(';').next().unwrap().to_owned())
        .collect();
    assert_eq!(titles, names(&objects));
    assert_eq!(text.lines().filter(|line| *line == "---").count(), objects.len());
}

#[test]
fn only_what_the_spec_asks_for_is_made() {
    let room = Room::new();
    let one = room
        .deployment("replicas: 2", "replicas: 1\n  monitoring:\n    serviceMonitor:\n      enabled: false");
    let kinds = names(&objects(room.slipway(&["plan", "-f", &one, "--json"]))).join(" ");
    assert!(!kinds.contains("PodDisruptionBudget") && !kinds.contains("ServiceMonitor"), "{kinds}");
    assert!(kinds.contains("Deployment digits-<hash>"), "{kinds}");

    let suspended = room.deployment("spec:\n", "spec:\n  suspend: true\n");
    let plan = room.slipway(&["plan", "-f", &suspended]);
    assert_eq!((plan.code, plan.out.as_str()), (0, ""));
    assert!(plan.err.contains("suspend is true"), "{}", plan.err);
}

#[test]
fn what_a_cluster_refuses_is_refused() {
    let room = Room::new();
    let source = "uri: configmap://digits-model";
    let cases = [
        (source, "uri: file://model.onnx", "a cluster cannot read your disk"),
        ("  stages:", "  stagez: 1\n  stages:", "spec.stagez: unknown field"),
        ("data: holdout", "data: other", "gate.data must be the name of a data set"),
        ("replicas: 2", "replicas: two", "spec.serving.replicas: is a string"),
        ("      labels: labels", "", "labels"),
        ("replicas: 2", "replicas: 2\n    batching: { maxSize: 4 }", "allowCrossRequestEffects"),
        ("name: digits\n", "name: digits\n  namespace: ../../etc\n", "metadata.namespace"),
        ("slipway.dev/v1alpha1", "slipway.dev/v9", "write slipway.dev/v1alpha1"),
    ];
    for (from, to, words) in cases {
        let folder = room.deployment(from, to);
        room.slipway(&["plan", "-f", &folder]).fails(2, &[words]);
    }
}

#[test]
fn an_object_may_come_from_standard_input() {
    let room = Room::new();
    let text = std::fs::File::open(example("modeldeployment.yaml")).unwrap();
    let output = room.command(&["plan", "-f", "-"]).stdin(text).output().unwrap();
    let planned = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && planned.contains("kind: Deployment"), "{planned}");
    let broken = std::fs::File::open(example("model.onnx")).unwrap();
    let output = room.command(&["plan", "-f", "-"]).stdin(broken).output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && told.contains("standard input"), "{told}");
}

#[test]
fn a_kind_of_another_spelling_is_named() {
    let room = Room::new();
    let folder = room.deployment("kind: ModelDeployment", "kind: Modeldeployment");
    let words = "kind Modeldeployment is not known: write ModelDeployment";
    room.slipway(&["plan", "-f", &folder]).fails(2, &[words]);
}

#[test]
fn files_without_a_model_deployment_are_a_wrong_call() {
    let room = Room::new();
    room.slipway(&["plan", "-f", "absent.yaml"]).fails(1, &["cannot read absent.yaml"]);
    let maps = room.write("maps.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: a }\n");
    room.slipway(&["plan", "-f", &maps]).fails(2, &["no ModelDeployment"]);
    let broken = room.write("broken.yaml", "a: [");
    room.slipway(&["plan", "-f", &broken]).fails(2, &["broken.yaml", "not valid YAML"]);
}
