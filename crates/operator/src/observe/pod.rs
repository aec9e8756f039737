//! Pods: the answer that a container left, and what keeps a pod from doing its work.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    ContainerStateTerminated, ContainerStateWaiting, ContainerStatus, Pod, PodStatus,
};
use slipway_api::{job::JobResult, names};
use slipway_plan::{JOB_CONTAINER, Trouble, TroubleKind};

use crate::cache::{Key, Seen};

/// The most characters of a container's own words that are kept.
const MAX_WORDS: usize = 512;

/// What is kept of a pod.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct PodSeen {
    /// The uid of the Job that it belongs to; a Job of the same name that went before had another.
    pub(crate) job: Option<String>,
    /// The revision that it serves.
    pub(crate) revision: Option<String>,
    pub(crate) created: Option<Timestamp>,
    pub(crate) deleting: bool,
    /// Whether all its containers have ended for good.
    pub(crate) ended: bool,
    /// Whether condition `Ready` is true.
    pub(crate) ready: bool,
    /// The answer that a container left as its termination message.
    pub(crate) result: Option<JobResult>,
    pub(crate) trouble: Option<Trouble>,
}

impl Seen for PodSeen {
    type Object = Pod;
    const COMPARED: bool = false;

    fn see(pod: &Pod) -> Option<Self> {
        let meta = &pod.metadata;
        let label = |name: &str| meta.labels.as_ref().and_then(|labels| labels.get(name)).cloned();
        let status = pod.status.clone().unwrap_or_default();
        let ready = condition(&status, "Ready").is_some_and(|(holds, _, _)| holds == "True");
        let fine = ready || status.phase.as_deref() == Some("Succeeded");
        Some(Self {
            job: job_uid(pod),
            revision: label(names::REVISION_LABEL),
            created: meta.creation_timestamp.as_ref().map(|time| time.0),
            deleting: meta.deletion_timestamp.is_some(),
            ended: matches!(status.phase.as_deref(), Some("Succeeded" | "Failed")),
            ready,
            result: result(&status),
            trouble: if fine { None } else { trouble(&status) },
        })
    }

    /// A pod's controller is a Job or a `ReplicaSet`; the label names the object behind it.
    fn owner(pod: &Pod) -> Option<(Key, Option<String>)> {
        let name = pod.metadata.labels.as_ref()?.get(names::DEPLOYMENT_LABEL)?.clone();
        Some((Key { namespace: pod.metadata.namespace.clone()?, name }, None))
    }
}

fn job_uid(pod: &Pod) -> Option<String> {
    let owners = pod.metadata.owner_references.iter().flatten();
    let mut jobs = owners.filter(|owner| owner.controller == Some(true) && owner.kind == "Job");
    jobs.next().map(|owner| owner.uid.clone())
}

/// Containers in the order in which their words count: the one that does a Job's work, then those that prepare, then
/// the others.
fn containers(status: &PodStatus) -> Vec<&ContainerStatus> {
    let all =
        || status.init_container_statuses.iter().flatten().chain(status.container_statuses.iter().flatten());
    all()
        .filter(|one| one.name == JOB_CONTAINER)
        .chain(all().filter(|one| one.name != JOB_CONTAINER))
        .collect()
}

fn endings(container: &ContainerStatus) -> impl Iterator<Item = &ContainerStateTerminated> {
    let now = container.state.as_ref().and_then(|state| state.terminated.as_ref());
    let before = container.last_state.as_ref().and_then(|state| state.terminated.as_ref());
    now.into_iter().chain(before)
}

fn result(status: &PodStatus) -> Option<JobResult> {
    let messages = (containers(status).into_iter().flat_map(endings))
        .filter_map(|ending| ending.message.as_deref())
        .map(str::trim);
    // A message of another program can be JSON too; without any of our fields it is no answer.
    messages
        .filter(|message| message.starts_with('{'))
        .filter_map(|message| serde_json::from_str::<JobResult>(message).ok())
        .find(|result| *result != JobResult::default())
}

fn condition<'a>(status: &'a PodStatus, name: &str) -> Option<(&'a str, &'a str, &'a str)> {
    let found = status.conditions.iter().flatten().find(|condition| condition.type_ == name)?;
    let text = |text: &'a Option<String>| text.as_deref().unwrap_or_default();
    Some((&found.status, text(&found.reason), text(&found.message)))
}

/// What keeps a pod from doing its work; what befell the whole pod goes before what befell a container.
fn trouble(status: &PodStatus) -> Option<Trouble> {
    let pod_wide = |kind, message: String| Trouble {
        kind,
        container: String::new(),
        restarts: 0,
        message: one_line(&message),
    };
    if status.reason.as_deref() == Some("Evicted") {
        let words = status.message.clone().unwrap_or_else(|| "the pod was evicted".into());
        return Some(pod_wide(TroubleKind::Evicted, words));
    }
    let out_of_memory = containers(status).into_iter().find_map(out_of_memory);
    if out_of_memory.is_some() {
        return out_of_memory;
    }
    if let Some(("True", reason, message)) = condition(status, "DisruptionTarget") {
        return Some(pod_wide(TroubleKind::Evicted, format!("{reason}: {message}")));
    }
    if let Some(("False", "Unschedulable", message)) = condition(status, "PodScheduled") {
        return Some(pod_wide(TroubleKind::Unschedulable, format!("no node takes the pod: {message}")));
    }
    containers(status).into_iter().find_map(container_trouble)
}

fn out_of_memory(container: &ContainerStatus) -> Option<Trouble> {
    endings(container).find(|ending| ending.reason.as_deref() == Some("OOMKilled"))?;
    let message = format!("container {} used more memory than its limit and was killed", container.name);
    Some(of_container(container, TroubleKind::OutOfMemory, &message))
}

fn container_trouble(container: &ContainerStatus) -> Option<Trouble> {
    let waiting = container.state.as_ref().and_then(|state| state.waiting.as_ref());
    let (kind, message) = match waiting.and_then(waiting_kind) {
        Some(kind) => (kind, waiting_words(container, waiting)),
        None => (TroubleKind::Crashed, crash_words(container)?),
    };
    Some(of_container(container, kind, &message))
}

fn of_container(container: &ContainerStatus, kind: TroubleKind, message: &str) -> Trouble {
    let restarts = container.restart_count;
    Trouble { kind, container: container.name.clone(), restarts, message: one_line(message) }
}

fn waiting_kind(waiting: &ContainerStateWaiting) -> Option<TroubleKind> {
    match waiting.reason.as_deref()? {
        "ErrImagePull"
        | "ImagePullBackOff"
        | "InvalidImageName"
        | "ErrImageNeverPull"
        | "ImageInspectError"
        | "RegistryUnavailable"
        | "SignatureValidationFailed" => Some(TroubleKind::ImagePull),
        "CreateContainerConfigError"
        | "CreateContainerError"
        | "RunContainerError"
        | "StartError"
        | "PreStartHookError" => Some(TroubleKind::CannotStart),
        _ => None,
    }
}

fn waiting_words(container: &ContainerStatus, waiting: Option<&ContainerStateWaiting>) -> String {
    let words = |text: Option<&String>| text.cloned().unwrap_or_default();
    let reason = words(waiting.and_then(|waiting| waiting.reason.as_ref()));
    let message = words(waiting.and_then(|waiting| waiting.message.as_ref()));
    format!("container {} ({}): {reason}: {message}", container.name, container.image)
}

/// How a container ended with an error: its own last words, otherwise its exit code.
fn crash_words(container: &ContainerStatus) -> Option<String> {
    let ending = endings(container).find(|ending| ending.exit_code != 0)?;
    let said = ending.message.as_deref().map(str::trim).filter(|said| !said.is_empty());
    let again = if container.restart_count > 0 {
        format!(", {} times", i64::from(container.restart_count) + 1)
    } else {
        String::new()
    };
    let code = ending.exit_code;
    let what = if code == 137 { "was killed (137)".to_owned() } else { format!("ended with code {code}") };
    Some(match said {
        Some(said) => format!("container {} {what}{again}: {}", container.name, last_line(said)),
        None => format!("container {} {what}{again}; see its log", container.name),
    })
}

/// The last line says what happened; the lines before are the way to it.
fn last_line(text: &str) -> &str {
    text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or(text)
}

fn one_line(text: &str) -> String {
    let words: Vec<_> = text.split_whitespace().collect();
    words.join(" ").chars().take(MAX_WORDS).collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::needless_pass_by_value, reason = "values are written where they are used")]

    use super::*;
    use serde_json::{Value, json};

    fn see(status: Value) -> PodSeen {
        let pod = json!({
            "metadata": { "name": "p", "namespace": "vision", "labels": { names::DEPLOYMENT_LABEL: "net" } },
            "status": status,
        });
        PodSeen::see(&serde_json::from_value(pod).unwrap()).unwrap()
    }

    fn container(name: &str, state: Value) -> Value {
        json!({ "name": name, "image": "registry.test/job:1", "imageID": "", "ready": false, "restartCount": 0, "state": state })
    }

    fn ended(code: i32, reason: &str, message: &str) -> Value {
        json!({ "terminated": { "exitCode": code, "reason": reason, "message": message } })
    }

    fn kind(status: Value) -> (TroubleKind, String) {
        let trouble = see(status).trouble.expect("trouble");
        (trouble.kind, trouble.message)
    }

    #[test]
    fn the_jobs_own_container_answers_before_all_others() {
        let status = json!({
            "initContainerStatuses": [container("candidate", ended(0, "Completed", r#"{"output":"sha256:other"}"#))],
            "containerStatuses": [container("job", ended(0, "Completed", "{\"output\":\"sha256:own\"}\n"))],
        });
        assert_eq!(see(status).result.unwrap().output.as_deref(), Some("sha256:own"));
    }

    #[test]
    fn what_is_not_an_answer_is_none() {
        for message in ["", "panicked at", "{", "{}", r#"{"level":"error"}"#, "[1]", "null"] {
            let status = json!({ "containerStatuses": [container("job", ended(1, "Error", message))] });
            assert_eq!(see(status).result, None, "{message}");
        }
    }

    #[test]
    fn an_answer_survives_the_restart_of_its_container() {
        let mut status = container("fetch", json!({ "waiting": { "reason": "CrashLoopBackOff" } }));
        status["lastState"] =
            ended(1, "Error", r#"{"failure":{"category":"UnsupportedOperator","message":"no Scan"}}"#);
        status["restartCount"] = json!(3);
        let seen = see(json!({ "initContainerStatuses": [status] }));
        assert_eq!(seen.result.unwrap().failure.unwrap().message, "no Scan");
        assert_eq!(seen.trouble.unwrap().kind, TroubleKind::Crashed);
    }

    #[test]
    fn every_trouble_has_its_kind_and_the_kubelets_words() {
        let waiting = |reason: &str| {
            let state = json!({ "waiting": { "reason": reason, "message": "the words" } });
            json!({ "containerStatuses": [container("server", state)] })
        };
        for reason in ["ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"] {
            let (kind, message) = kind(waiting(reason));
            assert_eq!(kind, TroubleKind::ImagePull, "{reason}");
            assert!(message.contains("registry.test/job:1") && message.contains("the words"), "{message}");
        }
        assert_eq!(kind(waiting("CreateContainerConfigError")).0, TroubleKind::CannotStart);
        let unschedulable = json!({ "conditions": [{ "type": "PodScheduled", "status": "False",
            "reason": "Unschedulable", "message": "0/1 nodes: Insufficient memory" }] });
        assert_eq!(kind(unschedulable).0, TroubleKind::Unschedulable);
        let evicted = json!({ "phase": "Failed", "reason": "Evicted", "message": "low on disk" });
        assert_eq!(kind(evicted), (TroubleKind::Evicted, "low on disk".into()));
        let drained = json!({ "conditions": [{ "type": "DisruptionTarget", "status": "True",
            "reason": "EvictionByEvictionAPI", "message": "drain" }] });
        assert_eq!(kind(drained).0, TroubleKind::Evicted);
    }

    #[test]
    fn memory_goes_before_everything_that_it_causes() {
        let mut server = container("server", json!({ "waiting": { "reason": "CrashLoopBackOff" } }));
        server["lastState"] = ended(137, "OOMKilled", "");
        let (kind, message) =
            kind(json!({ "containerStatuses": [container("x", ended(1, "Error", "")), server] }));
        assert_eq!(kind, TroubleKind::OutOfMemory);
        assert!(message.contains("container server used more memory"), "{message}");
    }

    #[test]
    fn a_crash_tells_the_last_line_and_stays_short() {
        let status =
            |message: &str| json!({ "containerStatuses": [container("job", ended(101, "Error", message))] });
        let (_, message) = kind(status("thread main\n  at x\nindex out of bounds\n\n"));
        assert_eq!(message, "container job ended with code 101: index out of bounds");
        assert_eq!(kind(status("")).1, "container job ended with code 101; see its log");
        assert!(kind(status(&"é".repeat(9000))).1.chars().count() <= MAX_WORDS);
    }

    #[test]
    fn a_failed_self_check_is_told_from_the_servers_last_words() {
        let words = "self-check failed: sample 0: output \"y\" differs by 1.5 at element 1; 0.05 is allowed";
        let mut server = container("server", json!({ "waiting": { "reason": "CrashLoopBackOff" } }));
        server["lastState"] = ended(1, "Error", words);
        server["restartCount"] = json!(2);
        let (kind, message) = kind(json!({ "containerStatuses": [server] }));
        assert_eq!(kind, TroubleKind::Crashed);
        assert_eq!(message, format!("container server ended with code 1, 3 times: {words}"));
    }

    #[test]
    fn a_pod_that_is_well_has_no_trouble_whatever_was_before() {
        let mut restarted = container("server", json!({ "running": {} }));
        restarted["lastState"] = ended(1, "Error", "once");
        let ready = json!({ "conditions": [{ "type": "Ready", "status": "True" }], "containerStatuses": [restarted] });
        assert_eq!(see(ready).trouble, None);
        let sidecars = json!({ "phase": "Succeeded",
            "initContainerStatuses": [container("candidate", ended(143, "Error", ""))] });
        assert_eq!(see(sidecars).trouble, None, "sidecars of a gate are ended by a signal");
        assert_eq!(see(json!({ "phase": "Pending" })).trouble, None);
    }
}
