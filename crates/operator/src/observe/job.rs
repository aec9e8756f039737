//! Jobs: how far each is, with the answer and the troubles of its pods.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use k8s_openapi::api::batch::v1 as batch;
use slipway_api::names;
use slipway_plan::{Job, JobState};

use super::{PodSeen, hold_back};
use crate::cache::{Entry, Seen};

impl Seen for Job {
    type Object = batch::Job;
    const COMPARED: bool = false;

    fn see(object: &batch::Job) -> Option<Self> {
        let meta = &object.metadata;
        let (state, finished_at) = state(object);
        Some(Self {
            name: meta.name.clone()?,
            uid: meta.uid.clone()?,
            step: (meta.labels.iter().flatten())
                .find(|(name, _)| *name == names::STAGE_LABEL)
                .map(|(_, step)| step.clone())
                .unwrap_or_default(),
            key: (meta.annotations.iter().flatten())
                .find(|(name, _)| *name == names::KEY_ANNOTATION)
                .map(|(_, key)| key.clone())
                .unwrap_or_default(),
            deleting: meta.deletion_timestamp.is_some(),
            state,
            finished_at,
            result: None,
            trouble: None,
        })
    }
}

fn state(object: &batch::Job) -> (JobState, Option<Timestamp>) {
    let conditions = || object.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let holds =
        |name: &str| conditions().find(|condition| condition.type_ == name && condition.status == "True");
    if let Some(failed) = holds("Failed") {
        let reason = failed.reason.clone().unwrap_or_default();
        let message = failed.message.clone().unwrap_or_default();
        let at = failed.last_transition_time.as_ref().map(|time| time.0);
        return (JobState::Failed { reason, message }, at);
    }
    match holds("Complete") {
        Some(complete) => {
            let ended = object.status.as_ref().and_then(|status| status.completion_time.as_ref());
            (JobState::Succeeded, ended.or(complete.last_transition_time.as_ref()).map(|time| time.0))
        }
        None => (JobState::Active, None),
    }
}

/// Every Job with what its pods say, and when to look again for an answer that is still under way.
pub(super) fn observe(
    jobs: &[Arc<Entry<Job>>],
    pods: &[Arc<Entry<PodSeen>>],
    now: Timestamp,
) -> (Vec<Job>, Option<Duration>) {
    let mut recheck = None;
    let jobs = jobs
        .iter()
        .map(|entry| {
            let mut job = entry.seen.clone();
            add_pods(&mut job, pods);
            let wait = hold_back(&mut job, now);
            recheck = recheck.into_iter().chain(wait).min();
            job
        })
        .collect();
    (jobs, recheck)
}

/// The answer of the newest pod that gave one, and the trouble of the newest pod that has one.
fn add_pods(job: &mut Job, pods: &[Arc<Entry<PodSeen>>]) {
    let mut own: Vec<_> =
        pods.iter().map(|pod| &pod.seen).filter(|pod| pod.job.as_deref() == Some(&job.uid)).collect();
    own.sort_by_key(|pod| std::cmp::Reverse(pod.created));
    job.result = own.iter().find_map(|pod| pod.result.clone());
    job.trouble = own.iter().find_map(|pod| pod.trouble.clone());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::Key;
    use serde_json::json;
    use slipway_api::job::{Failure, FailureCategory, JobResult};

    fn job(status: &serde_json::Value) -> Job {
        let object = json!({
            "metadata": { "name": "net-small-1", "uid": "u", "labels": { names::STAGE_LABEL: "small" },
                          "annotations": { names::KEY_ANNOTATION: "abc" } },
            "status": status,
        });
        Job::see(&serde_json::from_value(object).unwrap()).unwrap()
    }

    fn entry<T: Seen>(name: &str, seen: T) -> Arc<Entry<T>> {
        let key = Key { namespace: "vision".into(), name: name.into() };
        let owner = Key { namespace: "vision".into(), name: "net".into() };
        Arc::new(Entry { key, owner, owner_uid: None, version: 1, body: None, seen })
    }

    fn pod(job_uid: &str, created: &str, result: Option<JobResult>) -> Arc<Entry<PodSeen>> {
        let created = Some(created.parse().unwrap());
        entry("pod", PodSeen { job: Some(job_uid.into()), created, result, ..PodSeen::default() })
    }

    #[test]
    fn states_follow_the_conditions_that_are_true() {
        let condition = |name: &str, status: &str| {
            json!({ "type": name, "status": status, "reason": "R", "message": "M",
                    "lastTransitionTime": "2026-01-01T00:00:00Z" })
        };
        assert_eq!(job(&json!({ "active": 1 })).state, JobState::Active);
        assert_eq!(job(&json!({ "conditions": [condition("Complete", "False")] })).state, JobState::Active);
        let complete = job(&json!({ "conditions": [condition("Complete", "True")] }));
        assert_eq!(
            (complete.state, complete.step.as_str(), complete.key.as_str()),
            (JobState::Succeeded, "small", "abc")
        );
        let failed =
            job(&json!({ "conditions": [condition("FailureTarget", "True"), condition("Failed", "True")] }));
        assert_eq!(failed.state, JobState::Failed { reason: "R".into(), message: "M".into() });
        assert!(failed.finished_at.is_some());
    }

    #[test]
    fn the_newest_answer_counts_and_other_jobs_pods_do_not() {
        let answer = |output: &str| Some(JobResult { output: Some(output.into()), ..JobResult::default() });
        let pods = [
            pod("u", "2026-01-01T00:00:01Z", answer("old")),
            pod("u", "2026-01-01T00:00:03Z", None),
            pod("u", "2026-01-01T00:00:02Z", answer("new")),
            pod("uid-of-another", "2026-01-01T00:00:09Z", answer("foreign")),
        ];
        let now = "2026-01-01T00:01:00Z".parse().unwrap();
        let (jobs, recheck) = observe(&[entry("net-small-1", job(&json!({})))], &pods, now);
        assert_eq!(jobs[0].result.as_ref().unwrap().output.as_deref(), Some("new"));
        assert_eq!(recheck, None);
    }

    #[test]
    fn the_failure_of_an_attempt_before_is_no_answer_of_a_job_that_succeeded() {
        let ended = json!({ "completionTime": "2026-01-01T00:00:00Z",
                            "conditions": [{ "type": "Complete", "status": "True" }] });
        let jobs = [entry("net-small-1", job(&ended))];
        let failure = Failure { category: FailureCategory::Storage, retryable: true, message: "no".into() };
        let failed = pod(
            "u",
            "2025-12-31T23:59:00Z",
            Some(JobResult { failure: Some(failure), ..JobResult::default() }),
        );
        let soon = "2026-01-01T00:00:04Z".parse().unwrap();
        let (early, recheck) = observe(&jobs, std::slice::from_ref(&failed), soon);
        assert_eq!((&early[0].state, recheck), (&JobState::Active, Some(Duration::from_secs(6))));
        let answer = JobResult { output: Some("sha256:1".into()), ..JobResult::default() };
        let (whole, recheck) =
            observe(&jobs, &[failed, pod("u", "2025-12-31T23:59:30Z", Some(answer))], soon);
        assert_eq!((&whole[0].state, recheck), (&JobState::Succeeded, None));
    }

    #[test]
    fn a_failed_job_waits_a_moment_for_the_words_of_its_pod() {
        let failed = |reason: &str| {
            job(&json!({ "conditions": [{ "type": "Failed", "status": "True", "reason": reason,
                                          "lastTransitionTime": "2026-01-01T00:00:00Z" }] }))
        };
        let soon = "2026-01-01T00:00:04Z".parse().unwrap();
        let (jobs, recheck) = observe(&[entry("j", failed("PodFailurePolicy"))], &[], soon);
        assert_eq!((&jobs[0].state, recheck), (&JobState::Active, Some(Duration::from_secs(6))));
        let (_, recheck) = observe(&[entry("j", failed("DeadlineExceeded"))], &[], soon);
        assert_eq!(recheck, None);
    }

    #[test]
    fn an_ended_job_waits_a_moment_for_its_answer_and_then_says_that_it_is_lost() {
        let ended = json!({ "completionTime": "2026-01-01T00:00:00Z",
                            "conditions": [{ "type": "Complete", "status": "True" }] });
        let jobs = [entry("net-small-1", job(&ended))];
        let (soon, recheck) = observe(&jobs, &[], "2026-01-01T00:00:04Z".parse().unwrap());
        assert_eq!((&soon[0].state, recheck), (&JobState::Active, Some(Duration::from_secs(6))));
        let (late, recheck) = observe(&jobs, &[], "2026-01-01T00:00:30Z".parse().unwrap());
        assert_eq!((&late[0].state, recheck), (&JobState::Succeeded, None));
    }
}
