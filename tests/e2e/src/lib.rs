//! End-to-end tests on a real Kubernetes: the cluster, the commands of a user, and the load.
//!
//! One cluster serves every test of a process, which takes it by [`Watched::begin`]. Each test works in a namespace of its
//! own, and they run one by one, since some change what belongs to the whole cluster.

#![allow(clippy::missing_panics_doc, reason = "a test fails by panicking")]

pub mod cluster;
pub mod command;
pub mod inference;
pub mod load;
pub mod object;
pub mod recorder;
pub mod wait;
mod watched;

pub use cluster::Cluster;
pub use object::Deployment;
pub use watched::Watched;
