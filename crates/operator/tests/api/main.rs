//! The operator against a real API server, with faults under its client.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod admission;
mod bench;
mod cluster;
mod converge;
mod farewell;
mod leader;
mod leftovers;
mod marks;
mod neighbours;
mod rights;
mod security;
mod signing;
mod trouble;
