//! Every command of the real program, as a user or a script calls it.

#![expect(clippy::unwrap_used, clippy::panic, clippy::print_stderr, reason = "tests")]

mod calibrate;
mod damage;
mod destination;
mod ending;
mod evaluate;
mod external;
mod help;
mod inspect;
mod judging;
mod kill;
mod library;
mod npz;
mod pipes;
mod plan;
mod program;
mod push;
mod quantize;
mod run;
mod sensitivity;
mod serve;
mod simplify;
mod smooth;
mod stages;

#[path = "../../../artifacts/tests/common/distribution.rs"]
mod distribution;
