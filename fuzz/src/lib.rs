//! What is fuzzed. `fuzz_targets/` hands it to libFuzzer, `crates/optimizer/tests/mutations.rs` to fixed mutations.
//!
//! ```text
//! cargo +nightly fuzz run quantize -- -timeout=10 -rss_limit_mb=4096      # from the repository's root; begins with corpus/quantize
//! ```

pub mod targets;
