//! What a request to the Kubernetes API asks: a verb and a resource, read from method and path.

use http::Method;

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verb {
    /// One object is read.
    Get,
    /// Objects are read.
    List,
    /// Changes are waited for.
    Watch,
    /// An object is made.
    Create,
    /// An object is replaced.
    Replace,
    /// An object is applied or patched.
    Patch,
    /// An object is deleted.
    Delete,
}

impl Verb {
    /// Whether it changes something.
    pub fn is_write(self) -> bool {
        match self {
            Self::Get | Self::List | Self::Watch => false,
            Self::Create | Self::Replace | Self::Patch | Self::Delete => true,
        }
    }
}

/// A verb and a resource, with its subresource. Example: `Patch deployments/scale`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ask {
    /// What is done.
    pub verb: Verb,
    /// The plural, with a subresource after a slash. Example: `modeldeployments/status`.
    pub resource: String,
}

impl Ask {
    /// Reads a request; what is not about objects has the path as its resource.
    pub fn read(method: &Method, path: &str, query: &str) -> Self {
        let parts: Vec<_> = path.split('/').filter(|part| !part.is_empty()).collect();
        let (["api", _, rest @ ..] | ["apis", _, _, rest @ ..]) = parts.as_slice() else {
            return Self { verb: Verb::Get, resource: path.to_owned() };
        };
        let rest = match rest {
            ["namespaces", _, rest @ ..] if !rest.is_empty() => rest,
            rest => rest,
        };
        let (resource, named) = match rest {
            [kind] => ((*kind).to_owned(), false),
            [kind, _name] => ((*kind).to_owned(), true),
            [kind, _name, sub, ..] => (format!("{kind}/{sub}"), true),
            [] => (path.to_owned(), false),
        };
        let watches = query.split('&').any(|pair| pair == "watch=true" || pair == "watch=1");
        let verb = match *method {
            Method::POST => Verb::Create,
            Method::PUT => Verb::Replace,
            Method::PATCH => Verb::Patch,
            Method::DELETE => Verb::Delete,
            _ if watches => Verb::Watch,
            _ if named => Verb::Get,
            _ => Verb::List,
        };
        Self { verb, resource }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verbs_and_resources_are_read_from_paths() {
        let cases = [
            (
                Method::GET,
                "/apis/slipway.dev/v1alpha1/modeldeployments",
                "watch=true",
                Verb::Watch,
                "modeldeployments",
            ),
            (Method::GET, "/apis/batch/v1/namespaces/vision/jobs", "limit=500", Verb::List, "jobs"),
            (Method::GET, "/api/v1/namespaces/vision", "", Verb::Get, "namespaces"),
            (Method::GET, "/api/v1/namespaces", "", Verb::List, "namespaces"),
            (
                Method::PATCH,
                "/apis/apps/v1/namespaces/v/deployments/net/scale",
                "",
                Verb::Patch,
                "deployments/scale",
            ),
            (Method::POST, "/api/v1/namespaces/v/pods", "", Verb::Create, "pods"),
            (Method::DELETE, "/apis/batch/v1/namespaces/v/jobs/x", "", Verb::Delete, "jobs"),
            (Method::GET, "/version", "", Verb::Get, "/version"),
        ];
        for (method, path, query, verb, resource) in cases {
            assert_eq!(Ask::read(&method, path, query), Ask { verb, resource: resource.into() }, "{path}");
        }
    }
}
