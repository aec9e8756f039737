//! The gate's statistics.
