//! The controller: observe, plan, apply, status.
//!
//! [`run`] looks after all `ModelDeployment`s until it is told to stop; [`lead`] makes sure that one replica of several
//! does; [`serve`] answers on the operator's own port. What should exist is decided by `slipway-plan` alone: nothing
//! here decides, and everything is read from memory that watches keep up to date.

mod apply;
mod backoff;
mod cache;
mod context;
mod error;
mod events;
mod farewell;
mod lease;
mod leftovers;
mod mark;
mod metrics;
mod observe;
mod project;
mod reconcile;
mod registry;
mod serve;
mod signing;
mod status;
mod unparsable;
mod watch;
mod writer;

pub use context::Options;
pub use error::Error;
pub use lease::{Lease, lead};
pub use metrics::Metrics;
pub use registry::{ArtifactRegistry, OciRegistry, RegistryError};
pub use serve::{Health, serve};
pub use watch::run;
