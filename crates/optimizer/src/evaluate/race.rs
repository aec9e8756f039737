//! The same requests to both models in turn, timed.

use std::time::{Duration, Instant};

use serde::{Serialize, Serializer, ser::SerializeStruct};

use super::{PredictError, Predictor, Samples, Timings, WireTensor};

/// Requests before the first that is timed, while caches fill and clocks rise.
const WARM_UP: usize = 10;
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
}

impl Serialize for Race {
    /// Serializes percentiles of both.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Race", 2)?;
        fields.serialize_field("candidate", &self.candidate.summary())?;
        fields.serialize_field("baseline", &self.baseline.summary())?;
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

/// Times so many pairs of requests for the same sample, or as many as two minutes allow: a hundred at least, in up to ten minutes.
///
/// The first ten pairs are not timed. Requests have one sample each, which both models get twice in a row; after the last sample
/// comes the first. Which model goes first alternates, so that neither always finds warm caches, with any sample. `done` is
/// told how many pairs are finished.
///
/// # Errors
/// Where a model gives no answer.
pub async fn race(
    samples: &Samples,
    candidate: &mut (impl Predictor + Send),
    baseline: &mut (impl Predictor + Send),
    pairs: usize,
    done: impl Fn(usize) + Send,
) -> Result<Race, PredictError> {
    let start = Instant::now();
    let mut race = Race::default();
    for lap in 0..Race::laps(pairs) {
        let Some(inputs) = samples.request(lap / 2 % samples.count()) else { break };
        let (ours, theirs) = if lap % 2 == 0 {
            let ours = timed(candidate, &inputs).await?;
            (ours, timed(baseline, &inputs).await?)
        } else {
            let theirs = timed(baseline, &inputs).await?;
            (timed(candidate, &inputs).await?, theirs)
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
    Ok(race)
}

async fn timed(model: &mut impl Predictor, inputs: &[WireTensor]) -> Result<Duration, PredictError> {
    let start = Instant::now();
    model.predict(inputs).await?;
    Ok(start.elapsed())
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::evaluate::dataset::tests::labelled;
    use crate::evaluate::{Datatype, WireTensor};

    /// Writes its name and the first number of what it is asked into a book.
    struct Noted<'a>(&'static str, &'a Mutex<Vec<(&'static str, String)>>);

    impl Predictor for Noted<'_> {
        async fn predict(&mut self, inputs: &[WireTensor]) -> Result<WireTensor, PredictError> {
            self.1.lock().unwrap().push((self.0, inputs[0].data.get().to_owned()));
            let data = serde_json::value::RawValue::from_string("[1.0]".to_owned()).unwrap();
            Ok(WireTensor { name: "y".to_owned(), datatype: Datatype::Fp32, shape: vec![1, 1], data })
        }
    }

    #[test]
    fn both_are_asked_the_same_in_turn_and_each_is_first_as_often() {
        let book = Mutex::default();
        let (mut ours, mut theirs) = (Noted("ours", &book), Noted("theirs", &book));
        let samples = labelled(&[0, 1, 1]);
        let told = Mutex::new(0);
        let done = |laps| *told.lock().unwrap() = laps;
        let race = race(&samples, &mut ours, &mut theirs, 30, done);
        let race = tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(race).unwrap();
        let summaries = [race.candidate.summary().unwrap(), race.baseline.summary().unwrap()];
        assert_eq!(summaries.map(|summary| summary.requests), [30; 2], "the first ten are not timed");
        assert_eq!(*told.lock().unwrap(), 40);
        let book = book.into_inner().unwrap();
        let names: Vec<_> = book[..4].iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["ours", "theirs", "theirs", "ours"]);
        assert!(book.chunks(2).all(|pair| pair[0].1 == pair[1].1), "a pair is asked the same");
        let of_laps: Vec<_> = book.chunks(2).map(|pair| &pair[0].1).collect();
        assert_eq!(of_laps[0], of_laps[1], "a sample is asked for in both orders");
        assert_ne!(of_laps[1], of_laps[2]);
        assert_eq!(of_laps[..6], of_laps[6..12], "after the last sample comes the first");
    }
}
