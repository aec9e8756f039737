//! `slipway push`, to a real registry.

use crate::{
    distribution,
    program::{Room, example},
};

#[test]
fn a_model_is_pushed_once_and_found_by_its_digest() {
    let Some(registry) = distribution::start() else { return };
    let (room, model) = (Room::new(), example("model.onnx"));
    let reference = format!("oci://{}/models/net:1", registry.host);
    let pushed = room.slipway(&["push", &model, &reference, "--json"]).json();
    let digest = pushed["digest"].as_str().unwrap();
    assert_eq!(pushed["reference"], format!("{reference}@{digest}"));
    assert_eq!(room.slipway(&["push", &model, &reference]).text(), format!("{reference}@{digest}\n"));

    let pinned = format!("oci://{}/models/net@{digest}", registry.host);
    let yaml = std::fs::read_to_string(example("modeldeployment.yaml")).unwrap();
    let (head, _) = yaml.split_once("  data:\n").unwrap();
    let head = head.replace("uri: configmap://digits-model", &format!("uri: {pinned}"));
    let plan = room.write("pinned.yaml", head.replace("      file: model.onnx\n", ""));
    let planned = room.slipway(&["plan", "-f", &plan]).text();
    assert!(planned.contains(&pinned) && !planned.contains('<'), "all of it is known: {planned}");
    room.slipway(&["run", "-f", &plan, "--json"]).json();
}

#[test]
fn another_content_than_the_named_digest_is_not_pushed() {
    let Some(registry) = distribution::start() else { return };
    let room = Room::new();
    let wrong = format!("sha256:{}", "0".repeat(64));
    let reference = format!("oci://{}/models/wrong:1@{wrong}", registry.host);
    room.slipway(&["push", &example("model.onnx"), &reference]).fails(1, &[&wrong]);
    assert!(!registry.dir.path().join("data").exists(), "nothing was pushed");
}

#[test]
fn a_push_that_cannot_be_done_says_why() {
    let room = Room::new();
    let model = example("model.onnx");
    room.slipway(&["push", "absent", "oci://localhost:5000/net:1"]).fails(1, &["absent does not exist"]);
    room.slipway(&["push", &model, "localhost:5000/net:1"]).fails(2, &["must start with oci://"]);
}

#[test]
fn a_folder_on_this_machine_is_a_place_to_push_to() {
    let room = Room::new();
    let help = room.slipway(&["push", "--help"]).text();
    assert!(help.contains("oci-layout://DIR"), "{help}");
    let told = room.slipway(&["push", &example("model.onnx"), "oci-layout://kept:1"]).text();
    assert!(told.starts_with("oci-layout://kept:1@sha256:"), "{told}");
    assert!(room.path("kept/index.json").exists());
}
