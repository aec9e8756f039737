//! The same requests to both models in turn, timed.

use std::time::{Duration, Instant};

use serde::{Serialize, Serializer, ser::SerializeStruct};
use slipway_server::cpu_throttled;

use super::order::spread;
use super::{EvaluateError, PredictError, Predictor, Request, Samples, Timings};

/// Pairs that each sample is asked for in a row: two of each order.
const OF_SAMPLE: usize = 4;
/// Pairs before the first that is timed, while caches fill and clocks rise: so many that all of a sample's are timed.
const WARM_UP: usize = 3 * OF_SAMPLE;
/// How long a race takes where enough was timed by then, and where it was not.
const LONG: Duration = Duration::from_mins(2);
const LONGEST: Duration = Duration::from_mins(10);
/// Pairs that are enough for a verdict at any usual confidence.
const ENOUGH: usize = 100;

/// Times of the same requests to two models, those of one pair right after each other.
#[derive(Debug, Clone, Default)]
pub struct Race {
    /// Times of the candidate.
    pub candidate: Timings,
    /// Times of the baseline, which went first in each second pair.
    pub baseline: Timings,
    /// How long it took in all.
    pub took: Duration,
    /// How long a limit of processor time held up this process, or a server, meanwhile, whichever was longer; nothing
    /// where that is not known.
    pub throttled: Option<Duration>,
}

impl Serialize for Race {
    /// Serializes percentiles of both, and seconds; null for what is not known.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { candidate, baseline, took, throttled } = self;
        let mut fields = serializer.serialize_struct("Race", 4)?;
        fields.serialize_field("candidate", &candidate.summary())?;
        fields.serialize_field("baseline", &baseline.summary())?;
        fields.serialize_field("seconds", &took.as_secs_f64())?;
        fields.serialize_field("throttledSeconds", &throttled.map(|time| time.as_secs_f64()))?;
        fields.end()
    }
}

impl Race {
    /// How many pairs a verdict is based on, where time allows.
    pub const PAIRS: usize = 1000;

    /// How many pairs of requests are made to time so many.
    pub const fn laps(pairs: usize) -> usize {
        WARM_UP + pairs
    }
}

/// Times so many pairs of requests for the same sample, or as many as two minutes allow: a hundred at least, in up to
/// ten minutes.
///
/// The first twelve pairs are not timed. Requests have one sample each, which both models get four times in a row;
/// samples are spread over the data set, and after the last comes the first. Which model goes first alternates, so that
/// neither always finds warm caches, with any sample. Requests are written before they are timed. `done` is told how
/// many pairs are finished.
///
/// # Errors
/// Where a sample cannot be taken, or a model gives no answer.
pub async fn race(
    samples: &Samples,
    candidate: &mut (impl Predictor + Send),
    baseline: &mut (impl Predictor + Send),
    pairs: usize,
    done: impl Fn(usize) + Send,
) -> Result<Race, EvaluateError> {
    let (start, throttled) = (Instant::now(), cpu_throttled());
    let mut race = Race::default();
    for lap in 0..Race::laps(pairs) {
        let (_, request) = samples.request(spread(lap / OF_SAMPLE, samples.count()))?;
        let (ours, theirs) = if lap % 2 == 0 {
            let ours = timed(candidate, &request).await?;
            (ours, timed(baseline, &request).await?)
        } else {
            let theirs = timed(baseline, &request).await?;
            (timed(candidate, &request).await?, theirs)
        };
        if lap >= WARM_UP {
            race.candidate.record(ours);
            race.baseline.record(theirs);
        }
        done(lap + 1);
        let limit = if lap + 1 >= Race::laps(ENOUGH) { LONG } else { LONGEST };
        if start.elapsed() > limit {
            break;
        }
    }
    race.took = start.elapsed();
    race.throttled = throttled.zip(cpu_throttled()).map(|(before, after)| after.saturating_sub(before));
    Ok(race)
}

async fn timed(model: &mut impl Predictor, request: &Request) -> Result<Duration, PredictError> {
    let start = Instant::now();
    model.predict(request).await?;
    Ok(start.elapsed())
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use slipway_kernels::stats::control_ratio;
    use slipway_server::NamedTensor;

    use super::*;
    use crate::evaluate::dataset::tests::labelled;

    type Book = Mutex<Vec<(&'static str, Request)>>;

    /// Writes its name and what it is asked into a book.
    struct Noted<'a>(&'static str, &'a Book);

    impl Predictor for Noted<'_> {
        async fn predict(&mut self, request: &Request) -> Result<Vec<NamedTensor>, PredictError> {
            self.1.lock().unwrap().push((self.0, request.clone()));
            Ok(Vec::new())
        }
    }

    fn raced(samples: &Samples, pairs: usize) -> (Race, Vec<(&'static str, Request)>) {
        let book = Mutex::default();
        let (mut ours, mut theirs) = (Noted("ours", &book), Noted("theirs", &book));
        let told = Mutex::new(0);
        let done = |laps| *told.lock().unwrap() = laps;
        let race = race(samples, &mut ours, &mut theirs, pairs, done);
        let race = tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(race).unwrap();
        assert_eq!(*told.lock().unwrap(), pairs + 12);
        (race, book.into_inner().unwrap())
    }

    #[test]
    fn both_are_asked_the_same_in_turn_and_each_is_first_as_often() {
        let (race, book) = raced(&labelled(&[0, 1, 1]), 30);
        let summaries = [race.candidate.summary().unwrap(), race.baseline.summary().unwrap()];
        assert_eq!(summaries.map(|summary| summary.requests), [30; 2], "the first twelve are not timed");
        let names: Vec<_> = book[..4].iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["ours", "theirs", "theirs", "ours"]);
        assert!(book.chunks(2).all(|pair| pair[0].1 == pair[1].1), "a pair is asked the same");
        let of_laps: Vec<_> = book.chunks(2).map(|pair| &pair[0].1).collect();
        assert!(of_laps[..4].iter().all(|asked| *asked == of_laps[0]), "twice in both orders");
        assert_ne!(of_laps[3], of_laps[4]);
        assert_eq!(of_laps[..12], of_laps[12..24], "after the last sample comes the first");
    }

    #[test]
    fn samples_of_other_lengths_are_no_difference_of_the_baseline_to_itself() {
        for (samples, pairs) in [(2, 1000), (2, 59), (2, 61), (3, 100), (7, 1000)] {
            let (_, book) = raced(&labelled(&vec![0; samples]), pairs);
            let lengths: Vec<_> = [8.0, 512.0].into_iter().cycle().take(samples).collect();
            let samples = labelled(&vec![0; samples]);
            let length = |asked: &Request| {
                let sample =
                    (0..samples.count()).find(|sample| samples.request(*sample).unwrap().1 == *asked);
                lengths[sample.unwrap()]
            };
            let laps = book.iter().filter(|(name, _)| *name == "theirs");
            let times: Vec<_> = laps.skip(book.len() / 2 - pairs).map(|(_, asked)| length(asked)).collect();
            assert_eq!(control_ratio(&times), Some(1.0), "{lengths:?}, {pairs} pairs");
        }
    }

    #[test]
    fn samples_of_the_whole_set_are_asked_for_where_not_all_of_them_are() {
        let samples = labelled(&[0; 400]);
        let (_, book) = raced(&samples, 30);
        let place =
            |asked: &Request| (0..400).position(|sample| samples.request(sample).unwrap().1 == *asked);
        let mut asked: Vec<_> = book.iter().map(|(_, request)| place(request).unwrap()).collect();
        asked.sort_unstable();
        asked.dedup();
        assert_eq!(asked.len(), 11);
        let widest = asked.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
        assert!(widest <= 80 && asked[10] >= 320, "no part of the set is left out: {asked:?}");
    }
}
