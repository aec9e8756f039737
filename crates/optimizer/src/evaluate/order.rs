//! The order in which samples are asked for, where not all of them may be.

/// The sample at a place of an order of `count` samples that visits each once, and spreads over all of them wherever it ends.
///
/// Data sets are often sorted, by class for one, so the first samples say little of the others. Steps of a golden section keep
/// any number of places apart (S. Świerczkowski, "On successive settings of an arc on the circumference of a circle", 1958).
pub fn spread(place: usize, count: usize) -> usize {
    // Two neighbours of the Fibonacci numbers, as near to the golden section as a step can be that meets every sample.
    let near = count * 610 / 987;
    let step = (near.max(1)..=count).find(|step| common_divisor(*step, count) == 1).unwrap_or(1);
    (place % count.max(1)) * step % count.max(1)
}

fn common_divisor(mut one: usize, mut other: usize) -> usize {
    while other > 0 {
        (one, other) = (other, one % other);
    }
    one
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_sample_is_visited_once_before_any_is_visited_again() {
        for count in [1, 2, 3, 4, 6, 10, 97, 720, 1000] {
            let mut visited: Vec<_> = (0..count).map(|place| spread(place, count)).collect();
            assert_eq!(spread(count, count), visited[0]);
            visited.sort_unstable();
            assert_eq!(visited, (0..count).collect::<Vec<_>>(), "{count}");
        }
        assert_eq!(spread(3, 0), 0);
    }

    #[test]
    fn wherever_it_ends_no_part_was_left_out() {
        for (count, ended) in [(1000, 10), (1000, 55), (10_000, 500), (1024, 100)] {
            let mut visited: Vec<_> = (0..ended).map(|place| spread(place, count)).collect();
            visited.extend([0, count]);
            visited.sort_unstable();
            let widest = visited.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
            assert!(widest * ended <= 4 * count, "{widest} of {count} after {ended}");
        }
    }
}
