//! Verdicts on the times of requests: 95th percentiles, and the ratio of two of them.
//!
//! Bounds come from a circular block bootstrap (D. N. Politis, J. P. Romano, "A Circular Block-Resampling Procedure for
//! Stationary Data", 1992): a busy neighbour slows requests that follow each other, so they are resampled together. The
//! blocks are always the same ones, and so is a verdict on the same times.

use super::counts::float;
use super::verdict::verdict;
use super::{Confidence, Judgement, Needed, Verdict, percentile};

const PERCENT: u8 = 95;
/// Resamples at a usual confidence, and at most; ten of them lie beyond a bound where the confidence asks for more.
const RESAMPLES: u32 = 2000;
const MOST_RESAMPLES: u32 = 100_000;
/// Bounds of what may be anything.
const NO_BOUNDS: [f64; 2] = [f64::NEG_INFINITY, f64::INFINITY];

/// Judges whether the 95th percentile of `times`, in the order in which they were measured, is at most `maximum`.
///
/// It passes when the upper bound stays within the maximum and fails when the lower bound exceeds it. So few times
/// that the slowest 5 % may be missing are inconclusive: fewer than 59, at 95 % confidence. So is a confidence above 99.99 %,
/// which the resamples do not show.
pub fn judge_time(times: &[f64], maximum: f64, confidence: Confidence) -> Judgement {
    judged(times.len(), maximum, confidence, 1.0, |chosen| at_95(times, chosen))
}

/// Judges whether the 95th percentile of `candidate` is at most `maximum` times that of `baseline`.
///
/// Times of one place were measured beside each other, and which came first takes turns: the baseline where the place
/// is odd. Each even place and the next are of one sample; how many times as slow the order makes one of the two, in
/// the median, widens both bounds. Else as [`judge_time`].
///
/// # Panics
/// When the slices are not equally long.
pub fn judge_time_ratio(
    candidate: &[f64],
    baseline: &[f64],
    maximum: f64,
    confidence: Confidence,
) -> Judgement {
    assert_eq!(candidate.len(), baseline.len(), "times of the same requests");
    judged(candidate.len(), maximum, confidence, order_effect(baseline), |chosen| {
        at_95(candidate, chosen) / at_95(baseline, chosen)
    })
}

fn judged(
    n: usize,
    maximum: f64,
    confidence: Confidence,
    slack: f64,
    statistic: impl Fn(&[usize]) -> f64,
) -> Judgement {
    let least = fewest_times(confidence);
    let everything: Vec<usize> = (0..n).collect();
    let judgement = |verdict, [low, high]: [f64; 2], needed| Judgement {
        verdict,
        measured: statistic(&everything),
        low,
        high,
        threshold: maximum,
        n: n as u64,
        needed,
    };
    if (n as u64) < least {
        return judgement(Verdict::Inconclusive, NO_BOUNDS, Needed::Samples(least));
    }
    let Some([low, high]) = bounds(n, confidence, &statistic) else {
        return judgement(Verdict::Inconclusive, NO_BOUNDS, Needed::Unreachable);
    };
    let (low, high) = (low / slack, high * slack);
    let verdict = verdict(high <= maximum, low > maximum);
    let needed = if verdict == Verdict::Pass { Needed::Enough } else { Needed::Unreachable };
    judgement(verdict, [low, high], needed)
}

/// So many times that one of the slowest 5 % is among them, but for the chance of a wrong bound.
fn fewest_times(confidence: Confidence) -> u64 {
    let mut least = 1;
    let mut missing = f64::from(PERCENT) / 100.0;
    while missing > confidence.alpha() {
        least += 1;
        missing *= f64::from(PERCENT) / 100.0;
    }
    least
}

/// The baseline against itself: how many times as slow one half of its times is as the other, at least one, where
/// nothing but chance and the machine tells the halves apart.
///
/// Each four places are of one sample. Of each eight, the first two of the one sample and the last two of the other are
/// one half, so that either has both orders and both beginnings as often. The halves are compared eight by eight, and
/// the median is taken: so samples may take as long as they like.
///
/// Nothing without eight times.
pub fn control_ratio(baseline: &[f64]) -> Option<f64> {
    let (eights, _) = baseline.as_chunks::<8>();
    median_ratio(eights.iter().map(|[a, b, c, d, e, f, g, h]| {
        let of_samples = [(a + b) / (c + d), (g + h) / (e + f)];
        of_samples.iter().product::<f64>().sqrt()
    }))
}

/// How many times as slow the order makes the baseline, at least one: its time at each even place against the next.
fn order_effect(baseline: &[f64]) -> f64 {
    let (pairs, _) = baseline.as_chunks::<2>();
    median_ratio(pairs.iter().map(|[even, odd]| even / odd)).unwrap_or(1.0)
}

/// The median of some ratios of times, turned so that it is at least one; what was divided by no time, or was none, says
/// nothing.
fn median_ratio(ratios: impl Iterator<Item = f64>) -> Option<f64> {
    let mut ratios: Vec<f64> = ratios.filter(|ratio| ratio.is_finite() && *ratio > 0.0).collect();
    ratios.sort_by(f64::total_cmp);
    percentile(&ratios, 50).map(|ratio| ratio.max(1.0 / ratio))
}

fn at_95(times: &[f64], chosen: &[usize]) -> f64 {
    let mut times: Vec<f64> = chosen.iter().map(|place| times[*place]).collect();
    times.sort_by(f64::total_cmp);
    percentile(&times, PERCENT).unwrap_or(f64::NAN)
}

/// How many resamples show a confidence, and how many of them lie beyond a bound.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts are small")]
fn resamples(confidence: Confidence) -> Option<(u32, usize)> {
    let wanted = (10.0 / confidence.alpha()).round().max(f64::from(RESAMPLES));
    (wanted <= f64::from(MOST_RESAMPLES))
        .then(|| (wanted as u32, (confidence.alpha() * wanted).round() as usize))
}

/// The one-sided lower and upper bounds of a statistic of `n` places; nothing at a confidence that is out of reach.
fn bounds(n: usize, confidence: Confidence, statistic: impl Fn(&[usize]) -> f64) -> Option<[f64; 2]> {
    let (count, beyond) = resamples(confidence)?;
    let mut random = SplitMix(n as u64);
    let mut chosen = Vec::with_capacity(n);
    let mut found: Vec<f64> = (0..count)
        .map(|_| {
            resample(n, &mut random, &mut chosen);
            statistic(&chosen)
        })
        .collect();
    found.sort_by(f64::total_cmp);
    Some([found[beyond], found[found.len() - 1 - beyond]])
}

/// Chooses `n` places in blocks of neighbours; behind the last comes the first.
fn resample(n: usize, random: &mut SplitMix, chosen: &mut Vec<usize>) {
    let block = block_length(n);
    chosen.clear();
    while chosen.len() < n {
        let start = random.below(n);
        let rest = block.min(n - chosen.len());
        chosen.extend((start..start + rest).map(|place| place % n));
    }
}

/// How many neighbours of `n` places are resampled together: the length whose error falls fastest is of the order of the cube
/// root (H. R. Künsch, "The Jackknife and the Bootstrap for General Stationary Observations", 1989).
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a root of a count")]
fn block_length(n: usize) -> usize {
    float(n as u64).cbrt().ceil() as usize
}

/// `SplitMix64` (G. L. Steele, D. Lea, C. H. Flood, "Fast Splittable Pseudorandom Number Generators", 2014).
struct SplitMix(u64);

impl SplitMix {
    /// A number below `end`; its bias is below `end / 2^64`.
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^= mixed >> 31;
        #[expect(clippy::cast_possible_truncation, reason = "it is below a usize")]
        let place = ((u128::from(mixed) * end as u128) >> 64) as usize;
        place
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Times with a long tail, `1 / (1 - u)` for uniform `u`: the 95th percentile is 20.
    fn long_tailed(n: usize, random: &mut SplitMix) -> Vec<f64> {
        (0..n).map(|_| 1000.0 / (1000.0 - float(random.below(1000) as u64))).collect()
    }

    fn scaled(times: &[f64], by: f64) -> Vec<f64> {
        times.iter().map(|time| time * by).collect()
    }

    #[test]
    fn a_wrong_verdict_is_about_as_rare_as_the_confidence_says() {
        let mut random = SplitMix(1);
        let mut wrong = [0, 0];
        for _ in 0..200 {
            let times = long_tailed(300, &mut random);
            let judged = judge_time(&times, 20.0, Confidence::DEFAULT);
            wrong[0] += u32::from(judged.low > 20.0);
            wrong[1] += u32::from(judged.high < 20.0);
        }
        // Ten of two hundred each; the bootstrap of a percentile is a little too sure of itself.
        assert!(wrong.iter().all(|wrong| (2..=22).contains(wrong)), "{wrong:?}");
    }

    #[test]
    fn slower_fails_faster_passes_and_the_same_stays_open() {
        let mut random = SplitMix(2);
        let (one, other) = (long_tailed(1000, &mut random), long_tailed(1000, &mut random));
        let verdict = |by| judge_time_ratio(&scaled(&one, by), &other, 1.0, Confidence::DEFAULT).verdict;
        assert_eq!(verdict(2.0), Verdict::Fail);
        assert_eq!(verdict(0.5), Verdict::Pass);
        let same = judge_time_ratio(&one, &one, 1.1, Confidence::DEFAULT);
        assert_eq!((same.verdict, same.measured, same.needed), (Verdict::Pass, 1.0, Needed::Enough));
        let near = judge_time_ratio(&one, &other, 1.0, Confidence::DEFAULT);
        assert_eq!((near.verdict, near.needed), (Verdict::Inconclusive, Needed::Unreachable));
        assert!(near.low < 1.0 && 1.0 < near.high, "{near:?}");
    }

    #[test]
    fn too_few_times_to_see_the_slowest_judge_nothing() {
        for (n, verdict) in [(0, Verdict::Inconclusive), (58, Verdict::Inconclusive), (59, Verdict::Pass)] {
            let judged = judge_time(&vec![1.0; n], 2.0, Confidence::DEFAULT);
            assert_eq!(judged.verdict, verdict, "{n}");
        }
        let one = judge_time(&[1.0], 2.0, Confidence::DEFAULT);
        assert_eq!((one.needed, [one.low, one.high]), (Needed::Samples(59), NO_BOUNDS));
        assert_eq!(fewest_times(Confidence::new(0.99).unwrap()), 90);
    }

    #[test]
    fn what_the_order_does_is_no_difference_of_the_models() {
        let alternating = |even: f64, odd: f64| -> Vec<f64> {
            (0..1000).map(|place| if place % 2 == 0 { even } else { odd }).collect()
        };
        let candidate = vec![1.3; 1000];
        let steady = judge_time_ratio(&candidate, &alternating(1.2, 1.2), 1.0, Confidence::DEFAULT);
        assert_eq!(steady.verdict, Verdict::Fail);
        for baseline in [alternating(1.0, 1.2), alternating(1.2, 1.0)] {
            let judged = judge_time_ratio(&candidate, &baseline, 1.0, Confidence::DEFAULT);
            assert_eq!(judged.verdict, Verdict::Inconclusive, "{judged:?}");
        }
    }

    #[test]
    fn slow_requests_of_one_order_alone_are_no_effect_of_the_order() {
        // One in ten of every second place is slow: the medians agree, the 95th percentiles do not.
        let baseline: Vec<f64> = (0..1000).map(|place| if place % 20 == 0 { 9.0 } else { 1.0 }).collect();
        assert!((order_effect(&baseline) - 1.0).abs() < 1e-12);
        let every_second: Vec<f64> = (0..1000).map(|place| if place % 2 == 0 { 1.2 } else { 1.0 }).collect();
        assert!((order_effect(&every_second) - 1.2).abs() < 1e-12);
    }

    #[test]
    fn the_baseline_is_compared_with_itself_whatever_the_order_does() {
        let of = |time: fn(usize) -> f64| control_ratio(&(0..1000).map(time).collect::<Vec<_>>()).unwrap();
        let near = |ratio: f64, wanted: f64| assert!((ratio - wanted).abs() < 1e-12, "{ratio}");
        near(of(|_| 2.0), 1.0);
        near(of(|place| if place % 2 == 0 { 1.0 } else { 1.5 }), 1.0);
        near(of(|place| if [0, 1, 6, 7].contains(&(place % 8)) { 1.0 } else { 1.1 }), 1.1);
        near(of(|place| if [0, 1, 6, 7].contains(&(place % 8)) { 1.1 } else { 1.0 }), 1.1);
        assert_eq!((control_ratio(&[1.0; 7]), control_ratio(&[0.0; 8])), (None, None));
        // What grows all the time slows both halves alike, and so does a sample that was not asked for before.
        assert!(of(|place| 1.0 + float(place as u64) / 1000.0) < 1.01);
        near(of(|place| if place % 4 == 0 { 2.0 } else { 1.0 }), 1.0);
    }

    #[test]
    fn how_long_samples_take_is_neither_chance_nor_order() {
        for count in [59, 60, 61, 62, 1000] {
            let times: Vec<f64> = (0..count)
                .map(|place| {
                    let order = if place % 2 == 0 { 1.0 } else { 1.2 };
                    // The slowest of each length lies on one side alone: no median of a half may rest on it.
                    let slow = if place == 5 { 1.5 } else { 1.0 };
                    if place / 4 % 2 == 0 { order * slow } else { 64.0 * order * slow }
                })
                .collect();
            let control = control_ratio(&times).unwrap();
            assert!((control - 1.0).abs() < 1e-12, "{count}: {control}");
            assert!((order_effect(&times) - 1.2).abs() < 1e-12, "{count}");
        }
    }

    #[test]
    fn blocks_are_as_long_as_the_cube_root_of_what_was_measured() {
        for (n, length) in [(1, 1), (8, 2), (59, 4), (1000, 10)] {
            assert_eq!(block_length(n), length, "{n}");
        }
    }

    #[test]
    fn slow_requests_in_a_row_say_less_than_the_same_number_apart() {
        let times = |slow: fn(usize) -> bool| -> Vec<f64> {
            (0..1000).map(|place| if slow(place) { 9.0 } else { 1.0 + float(place as u64) / 1e4 }).collect()
        };
        let judge = |times: &[f64]| judge_time(times, 2.0, Confidence::DEFAULT);
        // Thirty of a thousand: well below the slowest 5 %, unless they come in bursts of fifteen.
        assert_eq!(judge(&times(|place| place % 33 == 0)).verdict, Verdict::Pass);
        assert_eq!(judge(&times(|place| place % 500 < 15)).verdict, Verdict::Inconclusive);
    }

    #[test]
    fn a_higher_confidence_takes_more_resamples_until_there_are_too_many() {
        let of = |level| resamples(Confidence::new(level).unwrap());
        assert_eq!(of(0.95), Some((2000, 100)));
        assert_eq!(of(0.999), Some((10_000, 10)));
        assert_eq!(of(0.9999), Some((100_000, 10)));
        assert_eq!(of(0.999_99), None);
        let judged = judge_time(&vec![1.0; 1000], 2.0, Confidence::new(0.999_99).unwrap());
        assert_eq!((judged.verdict, judged.needed), (Verdict::Inconclusive, Needed::Unreachable));
        assert!(judged.low.is_infinite() && judged.high.is_infinite(), "{judged:?}");
    }

    #[test]
    fn the_same_times_get_the_same_bounds() {
        let times = long_tailed(500, &mut SplitMix(3));
        let judge = || judge_time(&times, 20.0, Confidence::DEFAULT);
        assert_eq!(judge(), judge());
    }
}
