//! Fixtures and a fault layer under the kube client, for tests alone.
//!
//! [`ApiServer`] is a real API server; [`Faults`] sits under a client, breaks requests on demand and counts them;
//! [`Simulator`] does what controllers and kubelets would do; [`deployment`] begins an object whose every name differs.

mod body;
mod fault;
mod fixture;
mod request;
mod server;
mod simulator;
mod wait;

pub use fault::{Fault, FaultLayer, Faults, On};
pub use fixture::{Fixture, deployment};
pub use request::{Ask, Verb};
pub use server::{ApiServer, cluster_binary};
pub use simulator::{Simulator, digest};
pub use wait::{quiet, until};
