//! Fixtures and a fault layer under the kube client, for tests alone.
