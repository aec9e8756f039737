//! The operator against a real API server, with faults under its client.

mod admission;
mod bench;
mod cluster;
mod converge;
mod farewell;
mod leader;
mod rights;
mod trouble;
