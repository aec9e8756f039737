//! The gate's statistics: one-sided bounds, verdicts on them, and how many samples a verdict needs.
//!
//! Pure functions of counts and times. Everything here is one-sided at a stated [`Confidence`]: a check asks whether the truth
//! is on the right side of a threshold, not where it is. It must not hold words for users: those belong to whoever
//! reports, and the numbers are all in [`Judgement`].

mod beta;
mod clopper_pearson;
mod confidence;
mod counts;
mod needed;
mod percentile;
mod tango;
mod times;
mod verdict;
mod wilson;

pub use clopper_pearson::{clopper_pearson_lower, clopper_pearson_upper};
pub use confidence::Confidence;
pub use counts::{Paired, Proportion};
pub use needed::{MOST_SAMPLES, samples_if_misses, samples_if_unchanged};
pub use percentile::percentile;
pub use tango::{tango_lower, tango_upper};
pub use times::{control_ratio, judge_time, judge_time_ratio};
pub use verdict::{Bound, Judgement, Needed, Verdict, judge_drop, judge_rate};
pub use wilson::{wilson_lower, wilson_upper};

/// Narrows the place where a property stops to hold: true at `low`, false beyond `high`, one change between.
///
/// Returns the last point known to hold and the first known not to (or `high`), next to each other in binary.
fn bisect(mut low: f64, mut high: f64, holds: impl Fn(f64) -> bool) -> (f64, f64) {
    loop {
        let middle = low + (high - low) / 2.0;
        if middle <= low || middle >= high {
            return (low, high);
        }
        if holds(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
}
