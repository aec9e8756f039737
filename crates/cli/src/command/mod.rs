//! The commands, one file each.

pub(crate) mod binding;
pub(crate) mod calibrate;
pub(crate) mod completions;
pub(crate) mod engine;
pub(crate) mod evaluate;
pub(crate) mod inspect;
pub(crate) mod method;
pub(crate) mod plan;
pub(crate) mod push;
pub(crate) mod quantize;
pub(crate) mod run;
pub(crate) mod scratch;
mod seen;
pub(crate) mod sensitivity;
pub(crate) mod serve;
pub(crate) mod simplify;
pub(crate) mod smooth;
pub(crate) mod stages;
