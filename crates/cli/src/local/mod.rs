//! The local road: the same plan as in a cluster, with a folder for a registry and this process for every Job.

mod cluster;
mod judges;
mod outputs;
mod report;
mod serve;
pub(crate) mod signals;
mod workspace;

pub(crate) use cluster::{Road, Sources, finished, observe, repository, settings, step, travel};
pub(crate) use judges::{Started, driven, started};
pub(crate) use report::{Report, Serving, verdict_table};
pub(crate) use serve::{Served, serve};
pub(crate) use signals::asked_to_end;
pub(crate) use workspace::Workspace;
