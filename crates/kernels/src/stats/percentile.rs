//! Percentiles of measured times.

/// The nearest-rank percentile of values in rising order: the smallest one that at least `percent` of them do not
/// exceed. Nothing for no values.
///
/// Always a value that was measured, never one between two. `percent` beyond `0..=100` counts as the nearer end.
pub fn percentile(sorted: &[f64], percent: u8) -> Option<f64> {
    let rank = (sorted.len() * usize::from(percent.min(100))).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_rank_is_that_of_the_textbook_example() {
        let values = [15.0, 20.0, 35.0, 40.0, 50.0];
        for (percent, value) in
            [(0, 15.0), (5, 15.0), (30, 20.0), (40, 20.0), (50, 35.0), (95, 50.0), (100, 50.0)]
        {
            assert_eq!(percentile(&values, percent), Some(value), "{percent}");
        }
        assert_eq!(percentile(&values, 255), Some(50.0));
        assert_eq!(percentile(&[], 50), None);
    }
}
