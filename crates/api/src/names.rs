//! Names, labels and annotations of everything that the operator makes.

use crate::sha256_hex;

/// The label that names the `ModelDeployment` an object belongs to.
pub const DEPLOYMENT_LABEL: &str = "slipway.dev/deployment";
/// The label that names the revision that a pod, Deployment or `ControllerRevision` belongs to.
pub const REVISION_LABEL: &str = "slipway.dev/revision";
/// The label that names the pipeline step that a Job belongs to.
pub const STAGE_LABEL: &str = "slipway.dev/stage";
/// The label of the Service that a `ServiceMonitor` selects.
pub const METRICS_LABEL: &str = "slipway.dev/metrics";
/// The annotation that holds the whole key of a Job's work.
pub const KEY_ANNOTATION: &str = "slipway.dev/key";
/// The label that holds a short hash of what was applied last; on the object alone, never in a template.
pub const APPLIED_LABEL: &str = "slipway.dev/applied";
/// The Secret, one a namespace, that holds the key with which Jobs sign what they record.
pub const SIGNING_SECRET: &str = "slipway-signing";
/// The field of that Secret.
pub const SIGNING_FIELD: &str = "key";
/// The finalizer that removes artifact tags from the registry when the object goes.
pub const FINALIZER: &str = "slipway.dev/artifacts";
/// The value of `app.kubernetes.io/managed-by` on everything that the operator makes.
pub const MANAGED_BY: &str = "slipway";
/// The recommended label that names the managing tool.
pub const MANAGED_BY_LABEL: &str = "app.kubernetes.io/managed-by";
/// The recommended label that names the application.
pub const NAME_LABEL: &str = "app.kubernetes.io/name";
/// The recommended label that names the instance of the application.
pub const INSTANCE_LABEL: &str = "app.kubernetes.io/instance";

/// The field manager of children.
pub const APPLY_MANAGER: &str = "slipway";
/// The field manager of replica counts, which go through `/scale`.
pub const SCALE_MANAGER: &str = "slipway-scale";
/// The field manager of status.
pub const STATUS_MANAGER: &str = "slipway-status";

/// The most characters that a `ModelDeployment`'s name may have, so that every derived name fits a DNS label.
pub const MAX_NAME: usize = 40;

/// How many characters of a hash stand in a name.
const SHORT: usize = 8;

/// The first characters of a hash, for a name.
fn short(key: &str) -> &str {
    key.get(..SHORT).unwrap_or(key)
}

/// The name of the Job that does one step: `{deployment}-{step}-{8 characters}`, at most 63 characters.
///
/// A step's name may be a data set's, so a long one is cut. The characters are a hash of all four arguments: of two
/// deployments, one's name and step may read like the other's, and so do a step's attempts.
pub fn job(deployment: &str, step: &str, key: &str, attempt: usize) -> String {
    let mark = sha256_hex(format!("{deployment}/{step}/{key}/{attempt}"));
    let room = 63 - SHORT - 2 - deployment.len().min(MAX_NAME);
    let step = step.get(..room).unwrap_or(step).trim_end_matches('-');
    format!("{deployment}-{step}-{}", short(&mark))
}

/// The name of a revision's `ControllerRevision` and Deployment.
pub fn revision(deployment: &str, hash: &str) -> String {
    format!("{deployment}-{hash}")
}

/// The hash of what a revision is made of, as short text for names and labels.
pub fn revision_hash(identity: &str) -> String {
    sha256_hex(identity)[..10].to_owned()
}

/// The name of the Service by which metrics are found: `{deployment}-metrics-{8 characters}`, with a hash of the name,
/// since `{deployment}-metrics` may be another deployment, or a Service of the user's.
pub fn metrics_service(deployment: &str) -> String {
    format!("{deployment}-metrics-{}", short(&sha256_hex(deployment)))
}

const WORK: &str = "work-";

/// The tag that keeps a step's output alive in the registry; the output itself holds the whole key.
pub fn work_tag(key: &str) -> String {
    format!("{WORK}{}", key.get(..40).unwrap_or(key))
}

/// Whether a tag is one that job pods make.
pub fn is_work_tag(tag: &str) -> bool {
    tag.starts_with(WORK)
}

/// The tag that keeps a step's report alive in the registry.
pub fn report_tag(key: &str) -> String {
    format!("{}-report", work_tag(key))
}

/// The tag of the signature by which a step's output is known to be the result of its work.
pub fn signature_tag(key: &str) -> String {
    format!("{}-signature", work_tag(key))
}

/// Every tag that a step makes.
pub fn tags(key: &str) -> [String; 3] {
    [work_tag(key), report_tag(key), signature_tag(key)]
}

/// The repository of a `ModelDeployment` in the artifact registry.
pub fn repository(namespace: &str, deployment: &str) -> String {
    format!("{namespace}/{deployment}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derived_names_fit_a_dns_label_at_the_limits() {
        let longest = "a".repeat(MAX_NAME);
        let key = sha256_hex("x");
        for step in ["source", "gate", &"s".repeat(12), &format!("data-{}", "d".repeat(32))] {
            let name = job(&longest, step, &key, 0);
            assert!(name.len() <= 63, "{name}");
            let next = job(&longest, step, &key, 1);
            assert!(next.len() <= 63 && next != name, "{next}");
        }
        assert!(revision(&longest, &revision_hash("x")).len() <= 63);
        assert!(metrics_service(&longest).len() <= 63);
    }

    #[test]
    fn names_that_read_alike_are_told_apart() {
        let key = sha256_hex("the same work");
        assert_ne!(job("x", "a-small", &key, 0), job("x-a", "small", &key, 0));
        let long = |end: &str| format!("data-{}{end}", "d".repeat(31));
        let longest = "a".repeat(MAX_NAME);
        assert_ne!(job(&longest, &long("1"), &key, 0), job(&longest, &long("2"), &key, 0), "cut alike");
        assert_ne!(metrics_service("x"), "x-metrics");
    }
}
