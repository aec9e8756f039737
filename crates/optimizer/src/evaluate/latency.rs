//! Times of requests, measured side by side.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use slipway_kernels::stats::percentile;

/// The times of requests to one server.
#[derive(Debug, Clone, Default)]
pub struct Timings(Vec<f64>);

impl Timings {
    /// Adds the time of one request.
    pub fn record(&mut self, time: Duration) {
        self.0.push(time.as_secs_f64() * 1e3);
    }

    /// The times in milliseconds, in the order in which they were measured.
    pub fn milliseconds(&self) -> &[f64] {
        &self.0
    }

    /// The percentiles; nothing without a request.
    pub fn summary(&self) -> Option<LatencySummary> {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let at = |percent| percentile(&sorted, percent);
        Some(LatencySummary {
            requests: sorted.len() as u64,
            p50_ms: at(50)?,
            p95_ms: at(95)?,
            p99_ms: at(99)?,
        })
    }
}

/// Nearest-rank percentiles of the times of requests, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LatencySummary {
    /// How many requests were timed.
    pub requests: u64,
    /// Half of them took no longer.
    pub p50_ms: f64,
    /// 95 % took no longer.
    pub p95_ms: f64,
    /// 99 % took no longer.
    pub p99_ms: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let mut timings = Timings::default();
        assert_eq!(timings.summary(), None);
        (1..=100).rev().for_each(|ms| timings.record(Duration::from_millis(ms)));
        let LatencySummary { requests, p50_ms, p95_ms, p99_ms } = timings.summary().unwrap();
        assert_eq!(requests, 100);
        for (got, want) in [(p50_ms, 50.0), (p95_ms, 95.0), (p99_ms, 99.0)] {
            assert!((got - want).abs() < 1e-9, "{got}");
        }
    }
}
