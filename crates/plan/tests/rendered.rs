//! What of a spec reaches which object: every field that is only handed on has its row here.

#![allow(
    clippy::panic,
    clippy::too_many_lines,
    reason = "helpers fail by panicking, and a table is as long as it is"
)]

mod world;

use serde_json::{Value, json};
use slipway_plan::Plan;
use world::{World, digest, spec};

/// The objects that a spec makes on its way: by kind, the last of each name, and Jobs by their step.
struct Made(Vec<(String, Value)>);

impl Made {
    fn by(spec: &Value) -> Self {
        let mut world = World::new(spec.clone());
        world.observed.monitoring.service_monitors = true;
        let mut made = Self(Vec::new());
        for _ in 0..60 {
            made.take(&world.plan());
            if !world.step() {
                break;
            }
        }
        assert_eq!(world.condition("Ready").0, "True", "{spec}");
        made
    }

    fn take(&mut self, plan: &Plan) {
        for desired in &plan.apply {
            let step =
                desired.body["metadata"]["labels"]["slipway.dev/stage"].as_str().unwrap_or(&desired.name);
            self.0.push((format!("{}/{step}", desired.kind), desired.body.clone()));
        }
    }

    /// The last object of a kind, or of a kind and a name or step.
    fn object(&self, name: &str) -> &Value {
        let is = |its: &str| its == name || its.split_once('/').is_some_and(|(kind, _)| kind == name);
        let found = self.0.iter().rev().find(|(its, _)| is(its));
        &found.unwrap_or_else(|| panic!("no {name}")).1
    }

    /// Every pod that was rendered, with the name of its object.
    fn pods(&self) -> impl Iterator<Item = (&str, &Value)> {
        let pods = self.0.iter().map(|(name, body)| (name.as_str(), &body["spec"]["template"]["spec"]));
        pods.filter(|(_, pod)| pod.is_object())
    }
}

const POD: &str = "/spec/template/spec";
const SERVER: &str = "/spec/template/spec/containers/0";

/// The field, a value that a user may write there, the object that it reaches, where in it, and the value there. The
/// place is a pointer, or an argument that the value follows.
fn fields() -> Vec<(&'static str, Value, &'static str, String, Value)> {
    let pod = |field: &str| format!("{POD}/{field}");
    let toleration = json!([{ "key": "gpu", "operator": "Exists", "effect": "NoSchedule" }]);
    let limits = json!({ "limits": { "memory": "3Gi" }, "requests": { "cpu": "2" } });
    let server = |field: &str| format!("{SERVER}/{field}");
    vec![
        (
            "/serving/startupDeadline",
            json!("90s"),
            "Deployment",
            server("startupProbe/failureThreshold"),
            json!(90),
        ),
        (
            "/serving/pod/tolerations",
            toleration.clone(),
            "Deployment",
            pod("tolerations"),
            toleration.clone(),
        ),
        (
            "/serving/pod/nodeSelector",
            json!({ "disk": "ssd" }),
            "Deployment",
            pod("nodeSelector/disk"),
            json!("ssd"),
        ),
        (
            "/serving/pod/priorityClassName",
            json!("high"),
            "Deployment",
            pod("priorityClassName"),
            json!("high"),
        ),
        (
            "/serving/pod/imagePullSecrets",
            json!([{ "name": "pull" }]),
            "Deployment",
            pod("imagePullSecrets"),
            json!([{ "name": "pull" }]),
        ),
        (
            "/serving/pod/labels",
            json!({ "team": "vision" }),
            "Deployment",
            "/spec/template/metadata/labels/team".into(),
            json!("vision"),
        ),
        (
            "/serving/pod/annotations",
            json!({ "example.com/owner": "vision" }),
            "Deployment",
            "/spec/template/metadata/annotations/example.com~1owner".into(),
            json!("vision"),
        ),
        ("/serving/resources", limits.clone(), "Deployment", server("resources"), limits.clone()),
        ("/serving/resources", limits.clone(), "Job/gate", pod("initContainers/1/resources"), limits.clone()),
        ("/serving/resources", limits.clone(), "Job/gate", pod("initContainers/3/resources"), limits.clone()),
        (
            "/serving/runtime",
            json!({ "slipway": { "threads": 3 } }),
            "Deployment",
            "--threads".into(),
            json!("3"),
        ),
        (
            "/serving/runtime",
            json!({ "slipway": { "threads": 3 } }),
            "Job/gate",
            "--threads".into(),
            json!("3"),
        ),
        ("/serving/modelName", json!("seven"), "Deployment", "--name".into(), json!("seven")),
        (
            "/serving/batching",
            json!({ "maxSize": 8, "maxDelay": "7ms", "allowCrossRequestEffects": true }),
            "Deployment",
            "--max-batch".into(),
            json!("8"),
        ),
        (
            "/serving/batching",
            json!({ "maxSize": 8, "maxDelay": "7ms", "allowCrossRequestEffects": true }),
            "Deployment",
            "--max-delay".into(),
            json!("7ms"),
        ),
        (
            "/serving/batching",
            json!({ "maxSize": 8, "maxDelay": "7ms", "allowCrossRequestEffects": true }),
            "Deployment",
            "--cross-request-effects".into(),
            json!("allow"),
        ),
        ("/serving/service/type", json!("NodePort"), "Service/net", "/spec/type".into(), json!("NodePort")),
        ("/serving/service/port", json!(8000), "Service/net", "/spec/ports/0/port".into(), json!(8000)),
        ("/jobs/scratch", json!("3Gi"), "Job/small", pod("volumes/0/emptyDir/sizeLimit"), json!("3Gi")),
        ("/jobs/deadline", json!("2m"), "Job/small", "/spec/activeDeadlineSeconds".into(), json!(120)),
        ("/jobs/retries", json!(5), "Job/small", "/spec/backoffLimit".into(), json!(5)),
        ("/jobs/resources", limits.clone(), "Job/small", pod("containers/0/resources"), limits),
        ("/jobs/pod/tolerations", toleration.clone(), "Job/source", pod("tolerations"), toleration),
        (
            "/jobs/pod/nodeSelector",
            json!({ "disk": "ssd" }),
            "Job/source",
            pod("nodeSelector/disk"),
            json!("ssd"),
        ),
        (
            "/jobs/pod/labels",
            json!({ "team": "vision" }),
            "Job/source",
            "/spec/template/metadata/labels/team".into(),
            json!("vision"),
        ),
        (
            "/monitoring/serviceMonitor/interval",
            json!("45s"),
            "ServiceMonitor",
            "/spec/endpoints/0/interval".into(),
            json!("45s"),
        ),
        (
            "/monitoring/serviceMonitor/labels",
            json!({ "release": "kps" }),
            "ServiceMonitor",
            "/metadata/labels/release".into(),
            json!("kps"),
        ),
        (
            "/rollout/progressDeadline",
            json!("3m"),
            "Deployment",
            "/spec/progressDeadlineSeconds".into(),
            json!(180),
        ),
    ]
}

/// A spec with one value at a path whose parents may be absent.
fn with(path: &str, value: &Value) -> Value {
    let mut spec = spec();
    let mut place = &mut spec;
    for part in path.trim_start_matches('/').split('/') {
        place = &mut place[part];
    }
    *place = value.clone();
    spec
}

/// The value at a pointer, or behind an argument of any of a pod's containers.
fn found(object: &Value, place: &str) -> Option<Value> {
    if place.starts_with('/') {
        return object.pointer(place).cloned();
    }
    let pod = object.pointer(POD)?;
    let containers =
        ["containers", "initContainers"].map(|list| pod[list].as_array().cloned().unwrap_or_default());
    let args =
        containers.concat().into_iter().flat_map(|one| one["args"].as_array().cloned().unwrap_or_default());
    args.skip_while(|arg| arg != place).nth(1)
}

#[test]
fn every_field_has_its_effect_and_none_without_it() {
    let plain = Made::by(&spec());
    for (path, value, object, place, expected) in fields() {
        let made = Made::by(&with(path, &value));
        assert_eq!(found(made.object(object), &place), Some(expected.clone()), "{path} in {object}");
        let before = found(plain.object(object), &place);
        assert_ne!(before, Some(expected), "{path}: the row proves nothing, {object} has it anyway");
    }
}

#[test]
fn every_pod_meets_the_restricted_standard_and_has_no_token() {
    let made = Made::by(&spec());
    let mut containers = Vec::new();
    for (name, pod) in made.pods() {
        assert_eq!(pod["automountServiceAccountToken"], false, "{name}");
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true, "{name}");
        assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault", "{name}");
        for list in ["initContainers", "containers"] {
            for container in pod[list].as_array().into_iter().flatten() {
                let context = json!({
                    "allowPrivilegeEscalation": false,
                    "capabilities": { "drop": ["ALL"] },
                    "readOnlyRootFilesystem": true,
                });
                assert_eq!(container["securityContext"], context, "{name}: {}", container["name"]);
                containers.push(container["name"].as_str().unwrap().to_owned());
            }
        }
    }
    containers.sort();
    containers.dedup();
    let all = ["baseline", "candidate", "fetch", "fetch-baseline", "fetch-candidate", "job", "server"];
    assert_eq!(containers, all);
}

/// A fault of the serving engine would else be on both sides, and the gate would not see it.
#[test]
fn a_gate_judges_the_serving_engine_by_onnx_runtime() {
    let made = Made::by(&with("/serving/runtime/slipway/backend", &json!("rten")));
    let (_, pod) = made.pods().find(|(name, _)| *name == "Job/gate").expect("a gate");
    let backend = |name: &str| {
        let containers = pod["initContainers"].as_array().unwrap();
        let container = containers.iter().find(|container| container["name"] == name).unwrap();
        let backend =
            container["args"].as_array().unwrap().iter().skip_while(|arg| *arg != "--backend").nth(1);
        backend.map(|backend| backend.as_str().unwrap().to_owned())
    };
    assert_eq!(backend("candidate").as_deref(), Some("rten"));
    assert_eq!(backend("baseline"), None, "the server takes ONNX Runtime by default");
}

#[test]
fn whatever_publishes_has_the_key_to_sign_with_and_nothing_else_has() {
    let made = Made::by(&spec());
    let volume =
        json!({ "name": "signing", "secret": { "secretName": "slipway-signing", "defaultMode": 0o400 } });
    let mount = json!({ "name": "signing", "mountPath": "/slipway/signing", "readOnly": true });
    let mut with_key = Vec::new();
    for (name, pod) in made.pods() {
        let has = |list: &Value, one: &Value| list.as_array().is_some_and(|list| list.contains(one));
        let is_job = name.starts_with("Job/");
        assert_eq!(has(&pod["volumes"], &volume), is_job, "{name}: {}", pod["volumes"]);
        let containers =
            ["initContainers", "containers"].map(|list| pod[list].as_array()).into_iter().flatten();
        for container in containers.flatten() {
            let name_of = container["name"].as_str().unwrap();
            let mounted = has(&container["volumeMounts"], &mount);
            assert_eq!(mounted, name_of == "job", "{name}: {name_of}");
            assert_eq!(
                mounted,
                container["volumeMounts"].to_string().contains("signing"),
                "{name}: {name_of}"
            );
            with_key.extend(mounted.then_some(name));
        }
    }
    with_key.sort_unstable();
    with_key.dedup();
    assert_eq!(with_key, ["Job/data-unseen", "Job/gate", "Job/small", "Job/source"]);
}

#[test]
fn models_have_room_for_their_size_and_no_more() {
    let made = Made::by(&spec());
    let (gate, deployment) = (made.object("Job/gate"), made.object("Deployment"));
    let volume = |object: &Value| {
        let volumes = object.pointer(POD).unwrap()["volumes"].as_array().unwrap().clone();
        volumes.into_iter().find(|volume| volume["name"] == "models").unwrap()["emptyDir"]["sizeLimit"]
            .clone()
    };
    // A thousand bytes each, in the world of these tests.
    assert_eq!((volume(deployment), volume(gate)), (json!("257Mi"), json!("514Mi")));
    for object in [deployment, gate] {
        assert_eq!(found(object, "--size-limit"), Some(json!((257 << 20).to_string())));
    }
    let uri = format!("oci://registry.test/models/net@{}", digest("net"));
    let pinned = Made::by(&json!({ "model": { "source": { "uri": uri } } }));
    assert_eq!(volume(pinned.object("Deployment")), "64Gi", "nobody knows the size");
}

#[test]
fn a_job_pod_ends_soon_and_its_failure_policy_ends_the_job_for_good_codes_alone() {
    let made = Made::by(&spec());
    let job = made.object("Job/small");
    assert_eq!(found(job, "/spec/template/spec/terminationGracePeriodSeconds"), Some(json!(10)));
    let codes = found(job, "/spec/podFailurePolicy/rules/1/onExitCodes").unwrap();
    assert_eq!((&codes["containerName"], &codes["values"]), (&json!("job"), &json!([42, 137])));
}
