//! What can go wrong while an object is reconciled, in a closed set of categories.

use std::time::Duration;

/// Why a reconcile, or a part of one, failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The Kubernetes API refused or did not answer a request.
    #[error("{verb} {object}: {}", words(.source))]
    Api {
        /// What was asked. Example: `apply`.
        verb: &'static str,
        /// The object. Example: `Deployment digits-3f2a`.
        object: String,
        /// The words of the API.
        #[source]
        source: Box<kube::Error>,
    },
    /// An object of the wanted name exists and is not ours to change.
    #[error("{object} exists and belongs to {owner}; rename or delete it")]
    Foreign {
        /// The object. Example: `Service digits`.
        object: String,
        /// Whose it is.
        owner: String,
    },
    /// An object of the wanted name exists, is ours, and was made for something else.
    #[error("{object} was made for other work; delete it to make it anew")]
    OtherWork {
        /// The object. Example: `Job digits-source-3f2a91bc`.
        object: String,
    },
    /// A child cannot be read as what this version writes.
    #[error("{object} cannot be read: {message}; delete it to make it anew")]
    Unreadable {
        /// The object.
        object: String,
        /// What is wrong with it.
        message: String,
    },
    /// The artifact registry could not remove tags.
    #[error("artifact registry: {0}")]
    Registry(#[from] crate::registry::RegistryError),
    /// One reconcile took longer than its limit.
    #[error("the reconcile took longer than {} s", .0.as_secs())]
    TimedOut(Duration),
    /// The system gave no random bytes for a signing key.
    #[error("the system gives no random bytes for a key")]
    NoRandomness,
    /// A watch ended by itself, so that nothing would be seen any more.
    #[error("a watch ended; the operator begins anew")]
    WatchEnded,
    /// The lease for leader election could not be prepared.
    #[error("leader election: {0}")]
    Lease(#[from] kube_lease_manager::LeaseManagerError),
    /// A port could not be opened.
    #[error("listening on {address}: {source}")]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// The system's words.
        source: std::io::Error,
    },
}

impl Error {
    /// An error of the Kubernetes API.
    pub(crate) fn api(verb: &'static str, object: impl Into<String>, source: kube::Error) -> Self {
        Self::Api { verb, object: object.into(), source: Box::new(source) }
    }

    /// The category, from a closed set that is safe as a metric's label.
    pub fn category(&self) -> &'static str {
        match self {
            Self::Api { source, .. } => api_category(source),
            Self::Foreign { .. } | Self::OtherWork { .. } => "Foreign",
            Self::Unreadable { .. } => "Unreadable",
            Self::Registry(_) => "Registry",
            Self::TimedOut(_) => "TimedOut",
            Self::NoRandomness => "NoRandomness",
            Self::WatchEnded => "Watch",
            Self::Lease(_) => "Lease",
            Self::Listen { .. } => "Listen",
        }
    }

    /// Whether somebody else changed the object in the meantime, which a new look solves.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Api { source, .. } if matches!(&**source, kube::Error::Api(status) if status.is_conflict()))
    }

    /// Whether an object of that name was there already.
    pub fn is_already_exists(&self) -> bool {
        matches!(self, Self::Api { source, .. } if matches!(&**source, kube::Error::Api(status) if status.is_already_exists()))
    }

    /// Whether the object that was written is gone.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Api { source, .. } if matches!(&**source, kube::Error::Api(status) if status.is_not_found()))
    }

    /// How long the API asked to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        let Self::Api { source, .. } = self else { return None };
        let kube::Error::Api(status) = &**source else { return None };
        let seconds = status.details.as_ref()?.retry_after_seconds;
        (seconds > 0).then(|| Duration::from_secs(seconds.into()))
    }
}

fn api_category(error: &kube::Error) -> &'static str {
    let kube::Error::Api(status) = error else { return "Unreachable" };
    match status.code {
        403 | 401 => "Forbidden",
        404 => "NotFound",
        409 => "Conflict",
        422 | 400 => "Invalid",
        429 => "Throttled",
        500..=599 => "Unavailable",
        _ => "Other",
    }
}

/// The words of the API for a user, without the debug form that the client adds.
pub(crate) fn words(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if !status.message.is_empty() => status.message.clone(),
        kube::Error::Api(status) => format!("status {} {}", status.code, status.reason),
        other => slipway_artifacts::chain(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::core::Status;
    use serde_json::json;

    fn refused(code: u16, message: &str) -> Error {
        let details = json!({ "retryAfterSeconds": 3 });
        let status = json!({ "status": "Failure", "message": message, "reason": "Why", "code": code, "details": details });
        let status: Status = serde_json::from_value(status).unwrap();
        Error::api("apply", "Service net", kube::Error::Api(status.boxed()))
    }

    #[test]
    fn a_refusal_says_the_object_and_the_apis_words_alone() {
        assert_eq!(refused(422, "spec.type: not that").to_string(), "apply Service net: spec.type: not that");
        assert_eq!(refused(500, "").to_string(), "apply Service net: status 500 Why");
    }

    #[test]
    fn every_refusal_has_a_category_and_the_wait_that_was_asked_for() {
        let categories = [
            (409, "Conflict"),
            (429, "Throttled"),
            (503, "Unavailable"),
            (422, "Invalid"),
            (403, "Forbidden"),
        ];
        for (code, category) in categories {
            assert_eq!(refused(code, "no").category(), category);
        }
        assert_eq!(refused(429, "no").retry_after(), Some(Duration::from_secs(3)));
    }
}
